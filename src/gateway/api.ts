import type { Failure } from '../failure/failure.ts';
import type { Submission } from '../mail/message.ts';
import type { Status } from '../mail/status.ts';
import type { Examination } from './examination.ts';
import type { MessageView } from './view.ts';
import type { WebhookApi } from './webhook-api.ts';

/** What the HTTP layer may ask of the gateway. `service` hands it over. */
export interface Api {
  /** Whose key this is; undefined if it is nobody's. Constant-time. */
  authenticate(key: string): Promise<Caller | undefined>;
  /** The answer given before to the same idempotency key, if there is one. Asked before the body is judged. */
  replay(caller: Caller, idempotency: Idempotency): Promise<Replayed | undefined>;
  accept(caller: Caller, submission: Submission, idempotency?: Idempotency): Promise<Acceptance>;
  /** Undefined where there is none, or where it is another caller's. */
  read(caller: Caller, id: string): Promise<Reading | undefined>;
  /** The message's timeline; undefined as for `read`. */
  timeline(caller: Caller, id: string): Promise<TimelineEvent[] | undefined>;
  /** True when the message may have changed; false after `milliseconds`, or when `signal` aborts; whichever is first. */
  changed(id: string, milliseconds: number, signal: AbortSignal): Promise<boolean>;
  readiness(): Promise<Readiness>;
  cancel(caller: Caller, id: string): Promise<Change>;
  retry(caller: Caller, id: string): Promise<Change>;
  resolve(caller: Caller, id: string, outcome: 'sent' | 'failed'): Promise<Change>;
  mailboxes(): Promise<MailboxView[]>;
  /** Undefined where there is no such mailbox; the same for the two below. */
  mailbox(id: string): Promise<MailboxView | undefined>;
  hold(id: string, reason: string): Promise<MailboxView | undefined>;
  release(id: string): Promise<MailboxView | undefined>;
  metrics(): Promise<Metrics>;
  webhooks: WebhookApi;
  /** Examines a mailbox from DNS to Send As; undefined where there is no such mailbox. Ends early when `signal` aborts. */
  verify(id: string, options: { send: boolean; signal: AbortSignal }): Promise<Verification | undefined>;
}

export type Verification =
  | { kind: 'examined'; examination: Examination }
  /** It is being examined already. */
  | { kind: 'busy' };

/** What became of a person's wish for a message. */
export type Change =
  | { kind: 'changed' }
  /** No such message, or not this caller's. */
  | { kind: 'unknown' }
  | { kind: 'tooLate'; status: Status }
  /** The bytes of a finished message are not kept for ever. */
  | { kind: 'contentGone' };

/** A mailbox as an operator reads it. Times are RFC 3339 UTC. */
export interface MailboxView {
  id: string;
  from: string[];
  state: 'open' | 'held';
  hold?: { failure: Failure; since: string; nextProbeAt?: string; probes: number; byOperator: boolean };
  /** Number of messages by status. */
  messages: Partial<Record<Status, number>>;
  /** The sliding window: how many messages it takes and how many could go now. */
  window: { seconds: number; limit: number; left: number };
  /** Recipients in any 24 hours. */
  day: { limit: number; left: number };
}

/** Counted as things happen: nothing is scanned to tell them. */
export interface Metrics {
  /** Number of messages by mailbox and status. */
  messages: { mailbox: string; status: Status; count: number }[];
  /** Holds in force, by what they stop and why. */
  holds: { key: string; code: string }[];
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

/** One move of a message, as callers read it. */
export interface TimelineEvent {
  /** Counts the message's moves from 1. */
  number: number;
  /** RFC 3339 UTC. */
  at: string;
  status: Status;
  /** Code of the failure that led to it. */
  code?: string;
}

export interface Readiness {
  ready: boolean;
  checks: Record<string, { status: 'ok' | 'warn' | 'fail'; detail: string }>;
}

/** Redis cannot be asked, or cannot write: the caller may repeat the request, best with an Idempotency-Key. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
}
