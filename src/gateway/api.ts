import type { Failure } from '../failure/failure.ts';
import type { Submission } from '../mail/message.ts';
import type { Status } from '../mail/status.ts';
import type { KeyView } from './api-key.ts';
import type { MessageCounts } from './counts.ts';
import type { Examination } from './examination.ts';
import type { KeyChange, KeyOutcome, NewKey, ShownKey } from './keys.ts';
import type { ListQuery, MessagePage } from './list.ts';
import type { Preview } from './preview.ts';
import type { Retried, RetryQuery } from './retry-many.ts';
import type { MessageView } from './view.ts';
import type { WebhookMetrics } from './webhook.ts';
import type { WebhookApi } from './webhook-api.ts';

/** What the HTTP layer may ask of the gateway. `service` hands it over. */
export interface Api {
  /** Whose key or token this is; undefined if it is nobody's. Constant-time. */
  authenticate(credential: string): Caller | RefusedToken | undefined | Promise<Caller | RefusedToken | undefined>;
  /** Charges a caller that has a rate; undefined for one that has none, which costs nothing. */
  charge(caller: Caller, cost: Cost): Promise<Charge> | undefined;
  keys: KeysApi;
  /** The answer given before to the same idempotency key, if there is one. Asked before the body is judged. */
  replay(caller: Caller, idempotency: Idempotency): Promise<Replayed | undefined>;
  accept(caller: Caller, submission: Submission, idempotency?: Idempotency): Promise<Acceptance>;
  /** What would become of a message, without accepting it. */
  preview(caller: Caller, submission: Submission): Promise<Preview | Refused>;
  /** Undefined where there is none, or where it is another caller's. */
  read(caller: Caller, id: string): Promise<Reading | undefined>;
  /** The caller's messages, or everybody's for a caller who may operate. */
  list(caller: Caller, query: ListQuery): Promise<MessagePage>;
  counts(caller: Caller): Promise<MessageCounts>;
  retryMany(caller: Caller, query: RetryQuery): Promise<Retried>;
  /** The message's timeline; undefined as for `read`. */
  timeline(caller: Caller, id: string): Promise<TimelineEvent[] | undefined>;
  /** True when the message may have changed; false after `milliseconds`, or when `signal` aborts; whichever is first. */
  changed(id: string, milliseconds: number, signal: AbortSignal): Promise<boolean>;
  readiness(): Promise<Readiness>;
  cancel(caller: Caller, id: string): Promise<Change>;
  retry(caller: Caller, id: string): Promise<Change>;
  resolve(caller: Caller, id: string, outcome: 'sent' | 'failed'): Promise<Change>;
  /** Another time for a scheduled message, in milliseconds since the epoch; null or a past one means now. */
  reschedule(caller: Caller, id: string, sendAt: number | null): Promise<Change>;
  /** Lets a waiting message go before the others of its mailbox. */
  expedite(caller: Caller, id: string): Promise<Change>;
  mailboxes(): Promise<MailboxView[]>;
  /** Undefined where there is no such mailbox; the same for the two below. */
  mailbox(id: string): Promise<MailboxView | undefined>;
  /** @param by who asks, for the log */
  hold(id: string, reason: string, by: string): Promise<MailboxView | undefined>;
  release(id: string, by: string): Promise<MailboxView | undefined>;
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
  /** What was wished for does not fit this message. */
  | { kind: 'unfit'; errors: FieldError[] }
  /** It may not go to one of its recipients any more. */
  | { kind: 'barred'; reason: string }
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
  /**
   * Messages that wait for their turn, and about when the last of them should go; scheduled ones are not among them. Whether
   * a worker process drives the mailbox is only said where something waits, since idle mailboxes are driven by none.
   */
  waiting: { count: number; driven?: boolean; estimatedLastSendAt?: string };
  /** The sliding window: how many messages it takes, how many could go now, and when the next place is free if none is. */
  window: { seconds: number; limit: number; left: number; nextFreeAt?: string };
  /** Recipients in any 24 hours. */
  day: { limit: number; left: number };
  /** Its other limits, as configured. */
  limits: { connections: number; recipientsPerMessage: number; messageBytes: number };
  /** Mail of test keys, which is in none of the above; absent where there has been none. */
  test?: Pick<MailboxView, 'state' | 'hold' | 'messages'>;
}

/** Counted as things happen: nothing is scanned to tell them. */
export interface Metrics {
  /** Number of messages by mailbox and status. */
  messages: { mailbox: string; status: Status; count: number; test?: true }[];
  /** Holds in force, by what they stop and why. */
  holds: { key: string; code: string; test?: true }[];
  /** Of the mailboxes that have something to send: whether a worker process drives each. */
  driven: { mailbox: string; driven: boolean }[];
  webhooks: WebhookMetrics;
}

export type Permission = 'send' | 'read' | 'operate';

export interface Caller {
  id: string;
  permissions: readonly Permission[];
  /** What it may send as, further to what the mailboxes allow: addresses in lower case, or `*@domain`. */
  from?: readonly string[];
  /** Whom alone it may send to, written alike. */
  to?: readonly string[];
  rate?: Rate;
  /** Holds a test key: what it submits goes into the sandbox, never to Microsoft. */
  test?: true;
}

/** A token of an identity provider that does not let its bearer in, and why: one sentence in ASCII without quotes. */
export interface RefusedToken {
  refused: string;
}

/** So many at once after a pause, and so many a minute in the long run. */
export interface Rate {
  perMinute: number;
  burst: number;
}

export interface Cost {
  units: number;
  /** The request has paid one unit already; what is charged now is for more of what it holds. */
  further?: true;
}

export interface Charge {
  admitted: boolean;
  /** Units that could be used at once. */
  left: number;
  /** Until nothing is used any more. */
  resetMilliseconds: number;
  /** Until what was refused can be asked again. */
  retryMilliseconds: number;
}

/** What operators do with keys. `by` is the caller's id, for the log. */
export interface KeysApi {
  create(wish: NewKey, by: string): Promise<ShownKey>;
  list(): Promise<KeyView[]>;
  read(id: string): Promise<KeyView | undefined>;
  change(id: string, change: KeyChange, by: string): Promise<KeyOutcome<KeyView>>;
  rotate(id: string, graceMilliseconds: number, by: string): Promise<KeyOutcome<ShownKey>>;
  revoke(id: string, by: string): Promise<KeyOutcome<KeyView>>;
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
  /** The key was used before, with another body or for a message that is not kept any more. */
  | { kind: 'conflict'; messageId: string };

export type Acceptance = { kind: 'accepted'; message: MessageView } | Replayed | Refused;

/** What Microsoft would refuse with certainty, or may not be sent from here. */
export interface Refused {
  kind: 'refused';
  code: string;
  status: 403 | 413 | 422;
  errors: FieldError[];
}

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
  /** RFC 3339 UTC; until when it waits since. */
  sendAt?: string;
  /** Somebody wanted it to go first. */
  expedited?: true;
  /** Somebody said that it was sent; the server never did. */
  resolved?: true;
  /** The message was accepted with a test key. */
  test?: true;
}

export interface Readiness {
  ready: boolean;
  checks: Record<string, { status: 'ok' | 'warn' | 'fail'; detail: string }>;
}

/** The keys of the identity provider cannot be fetched, so that nobody can say whether a token is good. */
export class IdentityUnavailable extends Error {
  override name = 'IdentityUnavailable';
}

/** Redis cannot be asked, or cannot write: the caller may repeat the request, best with an Idempotency-Key. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
}
