import type { Failure } from '../failure/failure.ts';
import type { Attempt, MessageRecord, Priority, RecipientState } from '../mail/message.ts';
import { isFinal, type Status } from '../mail/status.ts';

/** Why a mailbox sends nothing at present. Times are milliseconds since the epoch by Redis's clock. */
export interface Hold {
  failure: Failure;
  since: number;
  nextProbeAt: number;
  /** Probes already made in this hold. */
  probes: number;
}

/** A message as callers read it. Times are RFC 3339 UTC. */
export interface MessageView {
  id: string;
  status: Status;
  mailbox: string;
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
  expiresAt: string;
  nextAttemptAt?: string;
  estimatedSendAt?: string;
  failure?: Failure;
  recipients: RecipientState[];
  attempts: Attempt[];
}

/** What else there is to know about a message besides its record. */
export interface Surroundings {
  attempts: Attempt[];
  hold?: Hold | undefined;
  estimatedSendAt?: number | undefined;
}

/**
 * The public record. A waiting message of a held mailbox reads as `held`, with the hold's failure: the hold itself
 * rewrites no messages, so that ending it is one write however many wait.
 */
export function viewOf(record: MessageRecord, around: Surroundings): MessageView {
  const held = around.hold !== undefined && (record.status === 'queued' || record.status === 'deferred');
  const status = held ? 'held' : record.status;
  const failure = held ? around.hold?.failure : record.failure;
  const nextAttemptAt = held ? around.hold?.nextProbeAt : record.nextAttemptAt;
  return {
    id: record.id,
    status,
    mailbox: record.mailbox,
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
    createdAt: rfc3339(record.acceptedAt),
    updatedAt: rfc3339(record.updatedAt),
    expiresAt: rfc3339(record.expiresAt),
    ...(nextAttemptAt !== undefined && !isFinal(status) && { nextAttemptAt: rfc3339(nextAttemptAt) }),
    ...(around.estimatedSendAt !== undefined &&
      status === 'queued' && { estimatedSendAt: rfc3339(around.estimatedSendAt) }),
    ...(failure && { failure }),
    recipients: held ? record.recipients.map(asHeld) : record.recipients,
    attempts: around.attempts,
  };
}

/** The record as it was answered with 202: what an idempotent replay repeats. */
export function asAccepted(record: MessageRecord): MessageRecord {
  const { nextAttemptAt: _n, failure: _f, attemptToken: _t, dotMayHaveLeft: _d, ...fixed } = record;
  return {
    ...fixed,
    status: 'queued',
    revision: 1,
    updatedAt: record.acceptedAt,
    attempts: 0,
    ticket: 1,
    recipients: record.recipients.map(({ address }) => ({ address, status: 'queued' })),
  };
}

export function rfc3339(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function asHeld(recipient: RecipientState): RecipientState {
  return isFinal(recipient.status) ? recipient : { ...recipient, status: 'held' };
}
