import { classify } from '../failure/classify.ts';
import type { Failure, Trouble } from '../failure/failure.ts';
import { backoffDelay } from '../failure/plan.ts';
import type { Attempt, RecipientState } from '../mail/message.ts';
import type { Reply, Stage } from '../mail/reply.ts';
import { isFinal, type Status } from '../mail/status.ts';
import { as, inTheEnd, isUnknown, neverKnown, withEarlier } from './earlier-attempts.ts';
import type { Attempted } from './ports.ts';

/** What one transaction came to; what `smtp/transaction` reports, as far as it matters here. */
export interface Outcome {
  stage: Stage;
  accepted: string[];
  refused: { address: string; trouble: Trouble }[];
  reply?: Reply;
  trouble?: Trouble;
  /** The connection had carried other messages before. */
  reused?: boolean;
}

/** What is to be written about an attempt, and what it means for the mailbox. */
export interface Verdict {
  to: Status;
  recipients: RecipientState[];
  failure?: Failure;
  attempt: Attempt;
  /** Attempts that counted so far, this one included unless the fault was not the message's. */
  attempts: number;
  delayMilliseconds?: number;
  /** A fault of the mailbox, tenant or network: the whole lane waits. */
  hold?: Failure;
}

const BEFORE_MAIL: readonly Stage[] = ['connect', 'greeting', 'ehlo', 'tls', 'auth'];

/** Not a fault of any message: whatever it is, every other message of the mailbox would meet it too. */
function isMailboxWide(failure: Failure, stage: Stage): boolean {
  if (failure.scope === 'mailbox' || failure.scope === 'tenant' || failure.scope === 'network') return true;
  return failure.scope === 'connection' && BEFORE_MAIL.includes(stage);
}

/**
 * Decides what an attempt means. Pure: time and chance come in.
 *
 * - An outcome nobody knows is `unconfirmed`, and is never tried again blindly.
 * - A fault that is not the message's gives it back unharmed (`queued`) and holds the mailbox.
 * - Otherwise each recipient gets its own verdict, and the message the sum of them.
 */
export function judge(
  record: Attempted,
  startedAt: number,
  outcome: Outcome,
  now: Date,
  random: () => number,
): Verdict {
  const main = outcome.trouble && classify(outcome.trouble, now);
  const attempt = attemptOf(record, startedAt, outcome, now);
  const unknown = main?.code === 'outcome_unknown';
  const shared = !unknown && main && isMailboxWide(main, outcome.stage) ? main : wideRefusal(outcome, now);
  const recipients = record.recipients.map((each) => judgeRecipient(each, outcome, main, now));
  if (unknown) return unconfirmed(record, attempt, main, recipients, random);
  if (shared) return givenBack(record, attempt, shared, recipients, random);
  if (staleConnection(outcome) || abandoned(outcome)) return again(record, attempt);
  return summed(record, attempt, recipients, random);
}

/**
 * A kept connection that the server had closed meanwhile: found out at MAIL FROM, before any of the message had left.
 * Not even a fault; the message goes again at once on a new connection.
 */
function staleConnection({ reused, stage, trouble }: Outcome): boolean {
  return reused === true && stage === 'mail' && trouble?.via === 'client' && !NOT_EVEN_TRIED.includes(trouble.code);
}

/** What `smtp/transaction` says of a message that this server cannot take: of any connection, and the connection is well. */
const NOT_EVEN_TRIED: readonly (string | undefined)[] = ['EEXTENSION', 'EMESSAGE', 'EENVELOPE'];

/** Our own store did not let the dot leave: no fault of the message, which goes again when the store works. */
function abandoned({ trouble }: Outcome): boolean {
  return trouble?.via === 'client' && trouble.code === 'ABANDONED';
}

function again(record: Attempted, attempt: Attempt): Verdict {
  const { recipients, attempts } = record;
  return { to: 'queued', recipients, attempts, attempt: { ...attempt, outcome: 'interrupted' } };
}

/** A refusal at RCPT that speaks of the mailbox, not of the recipient. */
function wideRefusal(outcome: Outcome, now: Date): Failure | undefined {
  return outcome.refused.map(({ trouble }) => classify(trouble, now)).find((failure) => isMailboxWide(failure, 'rcpt'));
}

function judgeRecipient(
  recipient: RecipientState,
  outcome: Outcome,
  main: Failure | undefined,
  now: Date,
): RecipientState {
  const { address } = recipient;
  if (isFinal(recipient.status)) return recipient;
  if (outcome.accepted.includes(address))
    return { address, status: 'sent', ...(outcome.reply && { reply: outcome.reply }) };
  const refusal = outcome.refused.find((each) => each.address === address);
  const failure = refusal ? classify(refusal.trouble, now) : main;
  return withEarlier(failure ? fared(address, failure, outcome.stage) : { address, status: 'queued' }, recipient);
}

function fared(address: string, failure: Failure, stage: Stage): RecipientState {
  return { address, status: statusAfter(failure, stage), failure, ...(failure.smtp && { reply: failure.smtp }) };
}

/** What has become of those that were refused at RCPT TO, whatever becomes of the others. */
export function judgeRefused(refused: Outcome['refused'], now: Date): RecipientState[] {
  return refused.map(({ address, trouble }) => fared(address, classify(trouble, now), 'after-dot'));
}

function statusAfter(failure: Failure, stage: Stage): Status {
  if (failure.code === 'outcome_unknown') return 'unconfirmed';
  if (isMailboxWide(failure, stage)) return 'queued';
  return failure.plan === 'never' || failure.plan === 'afterFix' ? 'failed' : 'deferred';
}

function unconfirmed(
  record: Attempted,
  attempt: Attempt,
  failure: Failure,
  recipients: RecipientState[],
  random: () => number,
): Verdict {
  const attempts = record.attempts + 1;
  const base = { failure, attempts, attempt: { ...attempt, outcome: 'unconfirmed' as const, failure } };
  if (record.onUnconfirmed === 'hold') return { ...base, to: 'unconfirmed', recipients: inTheEnd(recipients) };
  const again = recipients.map((each) =>
    each.status === 'unconfirmed' ? withEarlier({ ...each, status: 'deferred' }, each) : each,
  );
  return { ...base, to: 'deferred', recipients: again, delayMilliseconds: backoffDelay(attempts, random) };
}

/** Unharmed: no attempt is spent. Recipients that were accepted or refused on their own account stay so. */
function givenBack(
  record: Attempted,
  attempt: Attempt,
  hold: Failure,
  recipients: RecipientState[],
  random: () => number,
): Verdict {
  const waiting = recipients.map((each) => (isFinal(each.status) ? each : as(each, 'queued')));
  if (waiting.every((each) => isFinal(each.status))) return { ...summed(record, attempt, recipients, random), hold };
  return {
    to: 'queued',
    recipients: waiting,
    attempt: { ...attempt, outcome: 'held', failure: hold },
    attempts: record.attempts,
    hold,
  };
}

function summed(record: Attempted, attempt: Attempt, recipients: RecipientState[], random: () => number): Verdict {
  const attempts = record.attempts + 1;
  const having = (status: Status) => recipients.filter((each) => each.status === status);
  const failure = (having('deferred')[0] ?? having('failed')[0])?.failure;
  const base = { recipients, attempts, ...(failure && { failure }) };
  const told = (outcome: Attempt['outcome']): Attempt =>
    Object.assign({}, attempt, { outcome }, failure && { failure });
  if (recipients.some((each) => !isFinal(each.status)))
    return { ...base, to: 'deferred', attempt: told('deferred'), delayMilliseconds: backoffDelay(attempts, random) };
  if (having('sent').length === recipients.length) return { to: 'sent', attempt: told('sent'), ...base };
  const to = having('sent').length > 0 ? 'partiallySent' : 'failed';
  const verdict = { ...base, to, attempt: told(to) } as const;
  const last = inTheEnd(recipients);
  if (!isUnknown(last)) return verdict;
  return { ...verdict, to: 'unconfirmed', recipients: last, failure: neverKnown(new Date(attempt.endedAt ?? 0)) };
}

function attemptOf(record: Attempted, startedAt: number, outcome: Outcome, now: Date): Attempt {
  const decisive = outcome.reply ?? (outcome.trouble?.via === 'smtp' ? outcome.trouble.reply : undefined);
  return {
    number: record.attempts + 1,
    startedAt: new Date(startedAt).toISOString(),
    endedAt: now.toISOString(),
    outcome: 'failed',
    stage: outcome.stage,
    ...(decisive && { reply: decisive }),
  };
}
