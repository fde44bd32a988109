import type { Attempt, MessageRecord } from '../mail/message.ts';
import { STATUSES, type Status } from '../mail/status.ts';
import type { KeyEnd } from './api-key.ts';

/** `held` is how a message reads while its mailbox is held: nothing of the message changes, so there is no event of it. */
export type EventType = `message.${Exclude<Status, 'held'>}`;
export const EVENT_TYPES = (Object.keys(STATUSES) as Status[])
  .filter((status) => status !== 'held')
  .map((status) => `message.${status}` as EventType);

/** What an endpoint gets that names nothing: `sending` says only that an attempt has begun. */
export const USUAL_EVENTS = EVENT_TYPES.filter((type) => type !== 'message.sending');

/** By its caller; by an operator; by its own answer 410; or after days in which every attempt failed. */
export type DisabledBecause = 'byCaller' | 'byOperator' | 'gone' | 'failing';

/**
 * Whether the key of an endpoint's caller has ended. Asked at every use and never written into the endpoint: so it holds
 * from that very moment, no process has to be alive at it, and a key whose end is put off has its endpoints again.
 */
export type EndOfKey = (callerId: string) => Promise<KeyEnd | undefined>;

/** An address of a caller that is told of every change of its messages. Times are milliseconds since the epoch. */
export interface Webhook {
  id: string;
  callerId: string;
  url: string;
  description: string;
  events: EventType[];
  /** Newest first; those whose time is over do not sign any more. */
  secrets: WebhookSecret[];
  createdAt: number;
  disabled?: { because: DisabledBecause; at: number };
  lastSuccessAt?: number;
  lastFailure?: WebhookFailure;
  /** Failed attempts since the last success. */
  failures: number;
  /** Events that it wanted and was never told, since it was made. */
  dropped?: { events: number; lastAt: number };
}

export interface WebhookSecret {
  /** `whsec_` and base64, as Standard Webhooks writes it. */
  secret: string;
  validUntil?: number;
}

export interface WebhookFailure {
  at: number;
  httpStatus?: number;
  reason: string;
}

/** One change of one message, as it is told: the body is made once, and every try sends these bytes. */
export interface WebhookEvent {
  /** The same however often it is told, so that receivers can tell a repetition. */
  id: string;
  type: EventType;
  at: number;
  callerId: string;
  messageId: string;
  /** Only these endpoints, as the message says. */
  only?: string[];
  body: string;
}

/** One try to tell an event to an endpoint, as callers read it. Times are milliseconds since the epoch. */
export interface Delivery {
  at: number;
  eventId: string;
  type: EventType;
  messageId: string;
  /** Counts from 1; a replay begins anew. */
  attempt: number;
  outcome: 'delivered' | 'failed';
  httpStatus?: number;
  reason?: string;
  /** The beginning of what it answered. */
  response?: string;
  durationMilliseconds: number;
  nextAttemptAt?: number;
}

/** A job of the delivery queue: ids only. */
export interface DeliveryJob {
  eventId: string;
  attempt: number;
  /** Tells a replay's jobs from those of the first time; empty for the latter. */
  run: string;
}

/** What an endpoint answered to a call, or why there was none. */
export interface CallResult {
  httpStatus?: number;
  /** Why it is not a success, in words; absent for a success. */
  reason?: string;
  response?: string;
  retryAfterMilliseconds?: number;
  durationMilliseconds: number;
}

/** Signs a body with every secret and POSTs it. Never rejects. */
export type Call = (request: {
  url: string;
  eventId: string;
  secrets: string[];
  body: string;
  at: Date;
}) => Promise<CallResult>;

/** A move of a message whose caller has webhooks, with the record as the move left it. */
export interface Outgoing {
  entry: string;
  record: MessageRecord;
  attempts: Attempt[];
}

/** Moves that are written down in the same step in which they are made, until they are in the delivery queues. */
export interface Outbox {
  /** The oldest; waits this long for the first one. */
  oldest(limit: number, waitMilliseconds: number): Promise<Outgoing[]>;
  done(entries: string[]): Promise<void>;
}

/** Why events were dropped untold: too many waited for a worker, one was too old when a worker came, or too many waited for the endpoint. */
export const DROP_REASONS = ['outboxFull', 'tooOld', 'queueFull'] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** What the metrics tell of webhooks. */
export interface WebhookMetrics {
  /** Moves that wait to become events. */
  outbox: number;
  /** Events times endpoints that were dropped, by reason. */
  dropped: Record<DropReason, number>;
}

export interface WebhookChange {
  url?: string;
  description?: string;
  events?: EventType[];
  /** False: ends whatever disabled it, and forgets its failures. */
  disabled?: boolean;
}

/** Endpoints, the events that may still be told, and what became of telling them. */
export interface WebhookStore {
  /** False where its caller has so many already. */
  create(webhook: Webhook, most: number): Promise<boolean>;
  find(id: string): Promise<Webhook | undefined>;
  /** Oldest first. */
  ofCaller(callerId: string): Promise<Webhook[]>;
  idsOf(callerId: string): Promise<string[]>;
  /** Every endpoint's id. */
  ids(): Promise<string[]>;
  /** `barred`: an operator has disabled it, and only one may say otherwise. */
  change(id: string, change: WebhookChange, by?: 'caller' | 'operator'): Promise<'changed' | 'gone' | 'barred'>;
  /** Puts these secrets in the place of those; `outdated` where it has others meanwhile. */
  changeSecrets(id: string, from: WebhookSecret[], to: WebhookSecret[]): Promise<'changed' | 'gone' | 'outdated'>;
  remove(id: string, callerId: string): Promise<void>;
  /** Notes a try, and disables the endpoint if it is gone or has failed for so long; says so if it was this try. */
  note(id: string, delivery: Delivery, disableAfterMilliseconds: number): Promise<DisabledBecause | undefined>;
  /** Counts events that it was not told. */
  drop(id: string, events: number, reason: DropReason): Promise<void>;
  metrics(): Promise<WebhookMetrics>;
  /** Newest first. */
  deliveries(id: string, limit: number): Promise<Delivery[]>;
  keepEvent(event: WebhookEvent): Promise<void>;
  event(id: string): Promise<WebhookEvent | undefined>;
  /** Ids of a caller's events that are still kept, oldest first. */
  eventsBetween(callerId: string, since: number, until: number, limit: number): Promise<string[]>;
  /** Milliseconds since the epoch by the store's clock. */
  now(): Promise<number>;
}

/** The secrets that sign at this time. */
export function secretsAt({ secrets }: Webhook, now: number): string[] {
  return secrets.filter(({ validUntil }) => validUntil === undefined || validUntil > now).map(({ secret }) => secret);
}

/** Is the endpoint to be told of this event? */
export function wants(webhook: Webhook, { type, only }: Pick<WebhookEvent, 'type' | 'only'>): boolean {
  return webhook.events.includes(type) && (only === undefined || only.includes(webhook.id));
}
