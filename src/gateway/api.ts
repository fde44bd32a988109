import type { Submission } from '../mail/message.ts';
import type { MessageView } from './view.ts';

/** What the HTTP layer may ask of the gateway. `service` hands it over. */
export interface Api {
  /** Whose key this is; undefined if it is nobody's. Constant-time. */
  authenticate(key: string): Promise<Caller | undefined>;
  /** The answer given before to the same idempotency key, if there is one. Asked before the body is judged. */
  replay(caller: Caller, idempotency: Idempotency): Promise<Replayed | undefined>;
  accept(caller: Caller, submission: Submission, idempotency?: Idempotency): Promise<Acceptance>;
  /** Undefined where there is none, or where it is another caller's. */
  read(caller: Caller, id: string): Promise<Reading | undefined>;
  /** Resolves when the message may have changed, after `milliseconds`, or when `signal` aborts; whichever is first. */
  changed(id: string, milliseconds: number, signal: AbortSignal): Promise<void>;
  readiness(): Promise<Readiness>;
}

export type Permission = 'send' | 'read' | 'operate';

export interface Caller {
  id: string;
  permissions: readonly Permission[];
}

/** The `Idempotency-Key` header and a digest of the request it came with. */
export interface Idempotency {
  key: string;
  /** SHA-256, hex, of the canonical JSON body. */
  fingerprint: string;
}

/** One thing that is wrong with a request. */
export interface FieldError {
  /** RFC 6901 JSON pointer into the body, for example `/to/0`. */
  pointer: string;
  message: string;
}

export type Replayed =
  | { kind: 'replayed'; message: MessageView }
  /** The key was used before with another body. */
  | { kind: 'conflict'; messageId: string };

export type Acceptance =
  | { kind: 'accepted'; message: MessageView }
  | Replayed
  /** What Microsoft would refuse with certainty, or no mailbox may send. */
  | { kind: 'refused'; code: string; status: 413 | 422; errors: FieldError[] };

export interface Reading {
  message: MessageView;
  /** Changes with every change that a caller can see; without quotes. */
  etag: string;
}

export interface Readiness {
  ready: boolean;
  checks: Record<string, { status: 'ok' | 'warn' | 'fail'; detail: string }>;
}

/** Redis cannot be asked, or cannot write: the caller may repeat the request, best with an Idempotency-Key. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
}
