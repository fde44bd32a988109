import type { Failure } from '../failure/failure.ts';
import type { Attempt, MessageRecord } from '../mail/message.ts';
import { isFinal, type Status } from '../mail/status.ts';

/** What becomes of a message whose worker died while it was `sending`. */
export interface Recovery {
  to: Extract<Status, 'unconfirmed' | 'queued'>;
  attempt: Attempt;
  attempts: number;
  failure?: Failure;
  recipients: MessageRecord['recipients'];
}

/**
 * Before its mark the final dot cannot have left, so the message goes on as if nothing had been; after it nobody knows.
 * Pure.
 */
export function recoverSending(record: MessageRecord, now: Date): Recovery {
  const at = now.toISOString();
  const attempt: Attempt = {
    number: record.attempts + 1,
    startedAt: new Date(record.updatedAt).toISOString(),
    endedAt: at,
    outcome: 'interrupted',
    stage: record.dotMayHaveLeft ? 'after-dot' : 'mail',
  };
  if (!record.dotMayHaveLeft)
    return { to: 'queued', attempt, attempts: record.attempts, recipients: withPending(record, 'queued') };
  const failure = interrupted(at);
  const to = record.onUnconfirmed === 'resend' ? 'queued' : 'unconfirmed';
  return {
    to,
    failure,
    attempt: { ...attempt, outcome: 'unconfirmed', failure },
    attempts: record.attempts + 1,
    recipients: withPending(record, to, failure),
  };
}

function withPending(record: MessageRecord, status: Status, failure?: Failure): MessageRecord['recipients'] {
  return record.recipients.map((each) =>
    isFinal(each.status) ? each : { address: each.address, status, ...(failure && { failure }) },
  );
}

function interrupted(at: string): Failure {
  return {
    category: 'outcomeUnknown',
    code: 'outcome_unknown',
    scope: 'message',
    plan: 'never',
    summary:
      'The worker that was sending this message stopped after the final dot may have left, so nobody knows whether Microsoft has it.',
    remedy:
      'Look for its internetMessageId in Sent Items or in the message trace; then mark it as sent, or have it sent again.',
    at,
  };
}

export function expiredFailure(record: MessageRecord, now: Date): Failure {
  return {
    category: 'expired',
    code: 'expired',
    scope: 'message',
    plan: 'never',
    summary: `The message was not sent by its expiresAt, ${new Date(record.expiresAt).toISOString()}${lastTrouble(record)}.`,
    remedy: 'Submit it again if it is still wanted, with a later expiresAt if the mailbox is slow or was held.',
    at: now.toISOString(),
  };
}

/** Only a Redis that evicts or has lost data comes to this, or a retry at the very end of a failed message's content. */
export function contentGoneFailure(_record: MessageRecord, now: Date): Failure {
  return {
    category: 'configuration',
    code: 'content_gone',
    scope: 'message',
    plan: 'never',
    summary: 'The content of the message is not in Redis any more, so that it cannot be sent: our store lost it.',
    remedy:
      'Submit it again. If nobody deleted it, check that Redis runs with maxmemory-policy noeviction and did not lose data (postroom doctor).',
    at: now.toISOString(),
  };
}

function lastTrouble(record: MessageRecord): string {
  return record.failure ? `; the last trouble was ${record.failure.code}` : '';
}
