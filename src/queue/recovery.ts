import type { Failure } from '../failure/failure.ts';
import { LaneClosed, type Ticket } from '../gateway/deliver.ts';
import { as, inTheEnd, isUnknown, neverKnown } from '../gateway/earlier-attempts.ts';
import type { Move } from '../gateway/ports.ts';
import { expiredFailure, lostFailure, recoverSending } from '../gateway/recover.ts';
import type { MessageRecord } from '../mail/message.ts';
import { isFinal, type Status } from '../mail/status.ts';
import { LATE_MILLISECONDS } from './fresh.ts';
import { ITS_TURN } from './jobs.ts';
import type { LaneTools } from './tools.ts';

/**
 * What a dead owner left: messages that were being sent, and jobs that were active. One that lives after all may still
 * be on its way to the server with them.
 *
 * @throws LaneClosed where this process has slept, and what is being sent is the next owner's
 */
export async function recoverOrphans(
  mailbox: string,
  lease: string,
  windowMilliseconds: number,
  tools: LaneTools,
): Promise<void> {
  await recoverSent(mailbox, lease, windowMilliseconds, tools, () => false);
  await readdJobs(mailbox, await tools.jobs.active(mailbox), tools);
}

/**
 * Messages that are being sent, though no attempt is under way any more.
 *
 * @param isUnderWay whether the attempt with this token is
 * @throws LaneClosed where this process has slept, and what is being sent is the next owner's
 */
export async function recoverSent(
  mailbox: string,
  lease: string,
  windowMilliseconds: number,
  tools: LaneTools,
  isUnderWay: (token: string) => boolean,
): Promise<void> {
  const sending = await tools.messages.sending(mailbox, lease);
  if (!sending) throw new LaneClosed('The lane has passed to another process');
  const flight = { counted: true, windowMilliseconds: windowMilliseconds + LATE_MILLISECONDS, unusedRecipients: 0 };
  const left = sending.filter(({ token }) => !isUnderWay(token));
  await Promise.all(left.map(({ id, token }) => recoverMessage(id, tools, { token, flight })));
}

/** Gives the messages of jobs that nobody runs new ones at once, instead of when their locks have run out. */
export async function readdJobs(mailbox: string, tickets: Ticket[], { messages, jobs }: LaneTools): Promise<void> {
  await Promise.all(
    tickets.map(async (ticket) => {
      const number = await messages.reticket(ticket.messageId, ticket.number);
      if (number) await jobs.add(mailbox, { ...ticket, number, priority: ITS_TURN });
    }),
  );
}

/**
 * Takes a `sending` message out of the hands of a dead attempt.
 *
 * @param dead that attempt, any if absent; and for how long it takes a place of the window, since nobody knows whether it
 *   counts
 */
export async function recoverMessage(
  id: string,
  { messages, jobs, chance, log }: LaneTools,
  dead?: { token: string; flight: NonNullable<Move['flight']> },
): Promise<void> {
  const record = await messages.find(id);
  if (record?.status !== 'sending') return;
  const { mailbox, ticket, attemptToken: token } = record;
  if (dead && dead.token !== (token ?? '')) return;
  const recovery = recoverSending(record, chance.now(), chance.random);
  const moved = await messages.move({
    id,
    mailbox,
    from: ['sending'],
    // Where the record has lost it, nobody can end that attempt any more.
    ...(token ? { token } : { ticket }),
    ...recovery,
    ...(dead && { flight: dead.flight }),
  });
  if (!moved.moved) return;
  log.warn({ messageId: id, mailbox, attempt: recovery.attempt.number }, `Message of a dead worker ${recovery.to}`);
  if (recovery.to !== 'queued' && recovery.to !== 'deferred') return;
  const priority = recovery.to === 'queued' ? ITS_TURN : record.priority;
  const next = { messageId: id, number: moved.ticket, priority };
  await jobs.add(mailbox, next, recovery.delayMilliseconds);
}

/**
 * Gives up a message whose time is over, or whose record is damaged, and takes its job out of the queue: of a mailbox that
 * is not configured any more nobody else ever would.
 */
export async function sweepAway(
  id: string,
  tools: Pick<LaneTools, 'messages' | 'jobs' | 'chance' | 'log'>,
): Promise<void> {
  const record = await giveUp(id, (each, now) => (each.isDamaged ? lostFailure : expiredFailure)(each, now), tools);
  if (record) await tools.jobs.remove(record.mailbox, { messageId: id, number: record.ticket });
}

type FailureOf = (record: MessageRecord, now: Date) => Failure;
type GivingUp = Pick<LaneTools, 'messages' | 'chance' | 'log'>;

/** Gives up a waiting message, with what `failureOf` says of it. */
export async function giveUpMessage(id: string, failureOf: FailureOf, tools: GivingUp): Promise<void> {
  await giveUp(id, failureOf, tools);
}

/** @returns how it waited; undefined where it does no more */
async function giveUp(
  id: string,
  failureOf: FailureOf,
  { messages, chance, log }: GivingUp,
): Promise<MessageRecord | undefined> {
  const record = await messages.find(id);
  if (!record) return undefined;
  const why = failureOf(record, chance.now());
  const recipients = inTheEnd(record.recipients.map((each) => (isFinal(each.status) ? each : as(each, 'failed', why))));
  const isPartial = recipients.some((each) => each.status === 'sent');
  const to = isUnknown(recipients) ? 'unconfirmed' : isPartial ? 'partiallySent' : 'failed';
  const failure = to === 'unconfirmed' ? neverKnown(chance.now()) : why;
  const from: Status[] = ['scheduled', 'queued', 'deferred'];
  const { mailbox, ticket } = record;
  const moved = await messages.move({ id, mailbox, to, from, ticket, failure, recipients });
  if (!moved.moved) return undefined;
  log.info({ messageId: id, mailbox, failure }, 'Message given up');
  return record;
}
