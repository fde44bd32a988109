import type { Failure } from '../failure/failure.ts';
import type { Attempt, MessageRecord, Priority, RecipientState } from '../mail/message.ts';
import { isFinal, type Status } from '../mail/status.ts';
import { mailboxOf } from '../mail/test-lane.ts';

/** Why a mailbox sends nothing at present. Times are milliseconds since the epoch by Redis's clock. */
export interface Hold {
  failure: Failure;
  since: number;
  nextProbeAt: number;
  /** Probes already made in this hold. */
  probes: number;
  /** Set by a person: only a person ends it, and nothing is tried before. */
  byOperator?: true;
}

/**
 * Why a mailbox sends nothing, where several things hold it: what lasts longest, since nothing is tried before all of
 * them may be. A person's hold lasts until that person ends it; of equal ones it is the widest.
 *
 * @param holds the widest first
 */
export function lastingHold<Each extends Hold>(holds: ReadonlyMap<string, Each>): Each | undefined {
  const endOf = ({ byOperator, nextProbeAt }: Hold) => (byOperator ? Number.POSITIVE_INFINITY : nextProbeAt);
  let lasting: Each | undefined;
  for (const hold of holds.values()) if (!lasting || endOf(hold) > endOf(lasting)) lasting = hold;
  return lasting;
}

/** A message as callers read it. Times are RFC 3339 UTC. */
export interface MessageView {
  id: string;
  status: Status;
  mailbox: string;
  /** Accepted with a test key: it goes into the sandbox. Absent from all other messages. */
  test?: true;
  from: string;
  to: string[];
  cc: string[];
  bcc: string[];
  subject: string;
  tags: string[];
  metadata: Record<string, string>;
  internetMessageId: string;
  sizeBytes: number;
  onUnconfirmed: 'hold' | 'resend';
  priority: Priority;
  webhooks?: string[];
  createdAt: string;
  updatedAt: string;
  sendAt?: string;
  expiresAt: string;
  nextAttemptAt?: string;
  estimatedSendAt?: string;
  failure?: Failure;
  recipients: RecipientState[];
  attempts: Attempt[];
}

/** A message as lists have it. */
export type ListedMessage = Omit<MessageView, 'attempts' | 'estimatedSendAt'>;

/** What else there is to know about a message besides its record. */
export interface Surroundings {
  attempts: Attempt[];
  hold?: Hold | undefined;
  estimatedSendAt?: number | undefined;
}

/**
 * A waiting message of a held mailbox reads as `held`, with the hold's failure: the hold itself rewrites no messages, so
 * that ending it is one write however many wait.
 */
export function readingOf(
  record: MessageRecord,
  hold: Hold | undefined,
): { held: boolean; status: Status; failure: Failure | undefined; nextAttemptAt: number | undefined } {
  if (hold && (record.status === 'queued' || record.status === 'deferred'))
    return {
      held: true,
      status: 'held',
      failure: hold.failure,
      nextAttemptAt: hold.byOperator ? undefined : hold.nextProbeAt,
    };
  return { held: false, status: record.status, failure: record.failure, nextAttemptAt: record.nextAttemptAt };
}

/** The public record. */
export function viewOf(record: MessageRecord, around: Surroundings): MessageView {
  const { held, status, failure, nextAttemptAt } = readingOf(record, around.hold);
  const createdAt = rfc3339(record.acceptedAt);
  /** A new message has the same time in three places. */
  const told = (time: number) => (time === record.acceptedAt ? createdAt : rfc3339(time));
  const view: MessageView = {
    id: record.id,
    status,
    mailbox: mailboxOf(record.mailbox),
    from: record.from,
    to: record.to,
    cc: record.cc,
    bcc: record.bcc,
    subject: record.subject,
    tags: record.tags,
    metadata: record.metadata,
    internetMessageId: record.messageIdHeader,
    sizeBytes: record.bytes,
    onUnconfirmed: record.onUnconfirmed,
    priority: record.priority,
    ...(record.webhooks && { webhooks: record.webhooks }),
    createdAt,
    updatedAt: told(record.updatedAt),
    ...(record.sendAt !== undefined && { sendAt: rfc3339(record.sendAt) }),
    expiresAt: rfc3339(record.expiresAt),
    recipients: held ? record.recipients.map(asHeld) : record.recipients,
    attempts: around.attempts,
  };
  // Assigned one by one: on the way of every message, spreading optional fields showed in the profile.
  if (nextAttemptAt !== undefined && !isFinal(status)) view.nextAttemptAt = rfc3339(nextAttemptAt);
  if (around.estimatedSendAt !== undefined && status === 'queued') view.estimatedSendAt = told(around.estimatedSendAt);
  if (record.test) view.test = true;
  if (failure) view.failure = failure;
  return view;
}

/** The record as it was answered with 202: what an idempotent replay repeats. */
export function asAccepted(record: MessageRecord): MessageRecord {
  const {
    nextAttemptAt: _n,
    failure: _f,
    attemptToken: _t,
    dotMayHaveLeft: _d,
    refusedBeforeDot: _r,
    ...fixed
  } = record;
  const status = record.firstSendAt === undefined ? 'queued' : 'scheduled';
  return {
    ...fixed,
    ...firstTimes(record),
    status,
    revision: 1,
    updatedAt: record.acceptedAt,
    attempts: 0,
    ticket: 1,
    recipients: record.recipients.map(({ address }) => ({ address, status })),
  };
}

/** A scheduled message may have been given another time since, and with it another end. */
function firstTimes({ firstSendAt, lifetime }: MessageRecord): Partial<MessageRecord> {
  if (firstSendAt === undefined) return {};
  return { sendAt: firstSendAt, ...(lifetime !== undefined && { expiresAt: firstSendAt + lifetime }) };
}

export function rfc3339(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function asHeld(recipient: RecipientState): RecipientState {
  return isFinal(recipient.status) ? recipient : { ...recipient, status: 'held' };
}
