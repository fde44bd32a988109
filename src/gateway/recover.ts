import type { Failure } from '../failure/failure.ts';
import { backoffDelay } from '../failure/plan.ts';
import type { Attempt, MessageRecord } from '../mail/message.ts';
import { isFinal, type Status } from '../mail/status.ts';
import { mailboxOf } from '../mail/test-lane.ts';
import { as, inTheEnd, isUnknown, neverKnown, withEarlier } from './earlier-attempts.ts';

/** What becomes of a message whose worker died while it was `sending`. */
export interface Recovery {
  to: Extract<Status, 'unconfirmed' | 'queued' | 'deferred' | 'failed' | 'partiallySent'>;
  attempt: Attempt;
  attempts: number;
  /** How often a worker has died of it, or with it, this time included. */
  interruptions: number;
  failure?: Failure;
  recipients: MessageRecord['recipients'];
  delayMilliseconds?: number;
}

/**
 * So many workers may die while they send a message. One that dies of something else takes the same few messages with it
 * each time, so they come back at growing intervals, by chance not together: then it is seen which one it is.
 */
const MOST_INTERRUPTIONS = 10;

/**
 * Before its mark the final dot cannot have left, so the message goes on as if nothing had been; after it nobody knows,
 * save of those whom the server had refused.
 * One that seems to be what workers die of is put off, and in the end parked. Pure.
 */
export function recoverSending(record: MessageRecord, now: Date, random: () => number): Recovery {
  const at = now.toISOString();
  const interruptions = (record.interruptions ?? 0) + 1;
  const isParked = interruptions % MOST_INTERRUPTIONS === 0;
  const attempt: Attempt = {
    number: record.attempts + 1,
    startedAt: new Date(record.updatedAt).toISOString(),
    endedAt: at,
    outcome: 'interrupted',
    stage: record.dotMayHaveLeft ? 'after-dot' : 'mail',
  };
  const again = comesAgain(interruptions, random);
  if (!record.dotMayHaveLeft) {
    const base = { attempt, attempts: record.attempts, interruptions };
    if (isParked) return { ...base, ...parked(record, interruptions, at) };
    const failure = again.to === 'deferred' ? workerDied(interruptions, at) : undefined;
    return { ...base, ...again, ...(failure && { failure }), recipients: withPending(record, again.to, failure) };
  }
  const failure = interrupted(at);
  const refused = new Map(record.refusedBeforeDot?.map((each) => [each.address, each]));
  const before = new Map(record.recipients.map((each) => [each.address, each]));
  const next = record.onUnconfirmed === 'resend' && !isParked ? again : { to: 'unconfirmed' as const };
  const unknown = withPending(record, 'unconfirmed', failure);
  const recipients = unknown.map((each) => {
    if (each.status !== 'unconfirmed') return each;
    const known = refused.get(each.address);
    return known ? withEarlier(known, before.get(each.address) ?? known) : as(each, next.to, failure);
  });
  return {
    ...next,
    failure,
    attempt: { ...attempt, outcome: 'unconfirmed', failure },
    attempts: record.attempts + 1,
    interruptions,
    recipients: next.to === 'unconfirmed' ? inTheEnd(recipients) : recipients,
  };
}

/** At once the first time, which any stopped process may cause. */
function comesAgain(interruptions: number, random: () => number) {
  if (interruptions === 1) return { to: 'queued' as const };
  return { to: 'deferred' as const, delayMilliseconds: backoffDelay(interruptions - 1, random) };
}

function parked(record: MessageRecord, interruptions: number, at: string) {
  const failure = workerDied(interruptions, at);
  const recipients = inTheEnd(withPending(record, 'failed', failure));
  if (isUnknown(recipients)) return { to: 'unconfirmed', failure: neverKnown(new Date(at)), recipients } as const;
  const isPartial = record.recipients.some(({ status }) => status === 'sent');
  const to: Status = isPartial ? 'partiallySent' : 'failed';
  return { to, failure, recipients } as const;
}

function workerDied(times: number, at: string): Failure {
  return {
    category: 'configuration',
    code: 'worker_died',
    scope: 'message',
    plan: times % MOST_INTERRUPTIONS === 0 ? 'never' : 'backoff',
    summary: `${times} times the worker that was sending this message stopped, or lost its lease, before the final dot: the message may be what it dies of.`,
    remedy:
      'Look for what ended the workers: their exit codes, their memory limit, the last lines of their logs. Retry the message once that is mended.',
    at,
  };
}

function withPending(record: MessageRecord, status: Status, failure?: Failure): MessageRecord['recipients'] {
  return record.recipients.map((each) => (isFinal(each.status) ? each : as(each, status, failure)));
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

/** @param recipientsPerDay what its mailbox has now; when it was accepted, it had more */
export function overDayFailure(recipientsPerDay: number) {
  return ({ mailbox, recipients }: MessageRecord, now: Date): Failure => {
    const left = recipients.filter(({ status }) => !isFinal(status)).length;
    return {
      category: 'messageRefused',
      code: 'too_many_recipients',
      scope: 'message',
      plan: 'afterFix',
      summary: `The message still goes to ${left} recipients, and recipientsPerDay of mailbox ${mailboxOf(mailbox)}, which was lowered since the message was accepted, is ${recipientsPerDay}: it could never be sent.`,
      remedy:
        'Raise recipientsPerDay (M365_RECIPIENTS_PER_DAY) if the mailbox really has more, and retry the message; or submit it again in parts.',
      at: now.toISOString(),
    };
  };
}

/** Of a message of which our own store has lost what an attempt needs. */
export function lostFailure(record: MessageRecord, now: Date): Failure {
  return record.isDamaged ? damagedFailure(now) : contentGoneFailure(now);
}

function damagedFailure(now: Date): Failure {
  return {
    category: 'configuration',
    code: 'record_damaged',
    scope: 'message',
    plan: 'never',
    summary: 'The record of the message in Redis cannot be read any more, so that it cannot be sent.',
    remedy:
      'Submit it again. Find out who has written to our keys: only Postroom may, and an older one not after a newer one.',
    at: now.toISOString(),
  };
}

/** Only a Redis that evicts or has lost data comes to this, or a retry at the very end of a failed message's content. */
function contentGoneFailure(now: Date): Failure {
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
