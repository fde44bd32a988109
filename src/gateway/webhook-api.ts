import type { Caller, FieldError } from './api.ts';
import type { KeyEnd } from './api-key.ts';
import type { Delivery, DisabledBecause, EventType } from './webhook.ts';

/** Of which an operator can ask instead of one caller's. */
export const EVERYBODY = 'all';

/**
 * What the HTTP layer may ask about webhooks. A caller sees its own, an operator everybody's; undefined reads the same as
 * "no such webhook".
 */
export interface WebhookApi {
  create(caller: Caller, wish: NewWebhook): Promise<Creation>;
  /** Its own, or, for an operator, those of this caller or of `EVERYBODY`. */
  list(caller: Caller, of?: string): Promise<WebhookView[]>;
  read(caller: Caller, id: string): Promise<WebhookView | undefined>;
  change(
    caller: Caller,
    id: string,
    wish: Partial<NewWebhook> & { disabled?: boolean },
  ): Promise<WebhookUpdate | undefined>;
  /** True where there was one. */
  remove(caller: Caller, id: string): Promise<boolean>;
  /** The old secret signs beside the new one for so long. */
  rotate(caller: Caller, id: string, overlapSeconds: number): Promise<Rotation | undefined>;
  /** One try at once, without a queue. */
  test(caller: Caller, id: string): Promise<TestResult | undefined>;
  replay(caller: Caller, id: string, wish: ReplayWish): Promise<Replay | undefined>;
  /** Newest first. */
  deliveries(caller: Caller, id: string, limit: number): Promise<DeliveryView[] | undefined>;
}

export interface NewWebhook {
  url: string;
  events: EventType[];
  description: string;
}

/** An endpoint as its caller reads it. Times are RFC 3339 UTC. */
export interface WebhookView {
  id: string;
  /** Whose it is; absent where it is the reader's own. */
  callerId?: string;
  url: string;
  description: string;
  events: EventType[];
  state: 'active' | 'disabled';
  disabledBecause?: DisabledBecause | KeyEnd['because'];
  disabledAt?: string;
  createdAt: string;
  lastSuccessAt?: string;
  lastFailure?: { at: string; httpStatus?: number; reason: string };
  consecutiveFailures: number;
  /** Events that it wanted and was never told. */
  dropped?: { events: number; lastAt: string };
  /** Until when the secret before the present one signs as well. */
  previousSecretValidUntil?: string;
}

export type Creation =
  | { kind: 'created'; webhook: WebhookView; secret: string }
  | { kind: 'refused'; errors: FieldError[] }
  | { kind: 'tooMany'; limit: number };

export type WebhookUpdate =
  | { kind: 'changed'; webhook: WebhookView }
  | { kind: 'refused'; errors: FieldError[] }
  /** An operator has disabled it. */
  | { kind: 'barred' };

export interface Rotation {
  secret: string;
  previousSecretValidUntil: string;
}

export interface TestResult {
  eventId: string;
  outcome: 'delivered' | 'failed';
  httpStatus?: number;
  reason?: string;
  response?: string;
  durationMilliseconds: number;
}

/** The events of one message, or those of a time; milliseconds since the epoch. */
export type ReplayWish = { messageId: string } | { since: number; until?: number };

export type Replay =
  /** `more`: there are others in that time; ask again from the last one's. */
  { kind: 'replayed'; events: number; more: boolean; lastAt?: string } | { kind: 'disabled' };

/** Times as RFC 3339 writes them. */
export type DeliveryView = Omit<Delivery, 'at' | 'nextAttemptAt'> & { at: string; nextAttemptAt?: string };
