import type { Failure } from '../failure/failure.ts';
import type { MessageRecord, RecipientState } from '../mail/message.ts';
import { isFinal, type Status } from '../mail/status.ts';
import type { Caller, Change } from './api.ts';
import type { Ticket } from './deliver.ts';
import { as, inTheEnd, isUnknown, neverKnown } from './earlier-attempts.ts';
import type { MessageStore, Move } from './ports.ts';
import { mayRead } from './read.ts';
import { barredFromRetry } from './recipient-rules.ts';

export interface ChangeTools {
  messages: MessageStore;
  enqueue(mailbox: string, ticket: Ticket): Promise<void>;
  now(): Date;
  /** How long a message that is sent again is tried, if its own time is over. */
  lifetimeMilliseconds: number;
  /** Who alone may be written to, whoever asks; everybody if absent. */
  allowTo?: readonly string[] | undefined;
}

/** What a person can do to a message, and from where. */
type Wish = {
  from: Status[];
  /** Why it may not be granted at all. */
  barred?: (record: MessageRecord) => string | undefined;
  move: (record: MessageRecord) => Pick<Move, 'to'> & Partial<Move>;
};

/** Never sent from now on; too late once an attempt is running. What an earlier one may have sent is not canceled. */
export function cancelMessage(tools: ChangeTools, caller: Caller, id: string): Promise<Change> {
  return change(tools, caller, id, {
    from: ['scheduled', 'queued', 'deferred'],
    move: ({ recipients }) => {
      const left = inTheEnd(recipients.map((each) => (isFinal(each.status) ? each : as(each, 'canceled'))));
      if (isUnknown(left)) return { to: 'unconfirmed', recipients: left, failure: neverKnown(tools.now()) };
      return { to: left.some(({ status }) => status === 'sent') ? 'partiallySent' : 'canceled', recipients: left };
    },
  });
}

/**
 * Sends what failed or is unconfirmed again: the same bytes, to the recipients that were not accepted.
 *
 * @param from only if it is one of these when it is sent again
 */
export function retryMessage(
  tools: ChangeTools,
  caller: Caller,
  id: string,
  from: Status[] = ['failed', 'unconfirmed'],
): Promise<Change> {
  return change(tools, caller, id, {
    from,
    barred: (record) => barredFromRetry(tools.allowTo, caller, record),
    move: (record) =>
      goesOn(
        tools,
        record,
        record.recipients.map((each) => (each.status === 'sent' ? each : as(each, 'queued'))),
      ),
  });
}

/** Back into its lane for those of its recipients that wait; with more time, where its own is over. */
function goesOn(tools: ChangeTools, { expiresAt }: MessageRecord, recipients: RecipientState[]) {
  const now = tools.now().getTime();
  const extended = expiresAt <= now && { expiresAt: now + tools.lifetimeMilliseconds };
  return { to: 'queued' as const, recipients, clearFailure: true, ...extended };
}

/**
 * What a person has found out about an unconfirmed message. Whoever was refused for now, in the same attempt or before
 * it, is still to get it: for them the message goes on.
 */
export function resolveMessage(
  tools: ChangeTools,
  caller: Caller,
  id: string,
  outcome: 'sent' | 'failed',
): Promise<Change> {
  return change(tools, caller, id, {
    from: ['unconfirmed'],
    move: (record) => {
      const failure = outcome === 'failed' ? foundNotSent(tools.now()) : undefined;
      const recipients = record.recipients.map((each) => {
        if (each.status === 'unconfirmed')
          return { address: each.address, status: outcome, ...(failure && { failure }), resolved: true as const };
        return isFinal(each.status) ? each : as(each, 'queued');
      });
      const told = outcome === 'sent' && { resolved: true as const };
      if (!recipients.every(({ status }) => isFinal(status))) return { ...goesOn(tools, record, recipients), ...told };
      const mixed = new Set(recipients.map(({ status }) => status)).size > 1;
      const to = mixed && recipients.some(({ status }) => status === 'sent') ? 'partiallySent' : outcome;
      return { to, recipients, ...(failure ? { failure } : { clearFailure: true }), ...told };
    },
  });
}

/** A message may move on just then, to where the wish can still be granted. */
const TRIES = 5;

async function change(tools: ChangeTools, caller: Caller, id: string, wish: Wish, triesLeft = TRIES): Promise<Change> {
  const { messages } = tools;
  const record = await messages.find(id);
  if (!record || !mayRead(caller, record)) return { kind: 'unknown' };
  if (!wish.from.includes(record.status)) return { kind: 'tooLate', status: record.status };
  const barred = wish.barred?.(record);
  if (barred !== undefined) return { kind: 'barred', reason: barred };
  const move = wish.move(record);
  if (move.to === 'queued' && !(await messages.hasContent(id))) return withoutContent(tools, caller, id, wish);
  const { mailbox, status, ticket } = record;
  const moved = await messages.move({ ...move, id, mailbox, from: [status], ticket });
  if (!moved.moved && moved.status && wish.from.includes(moved.status) && triesLeft > 1)
    return change(tools, caller, id, wish, triesLeft - 1);
  if (!moved.moved) return moved.status ? { kind: 'tooLate', status: moved.status } : { kind: 'unknown' };
  if (move.to === 'queued')
    await tools
      .enqueue(mailbox, { messageId: id, number: moved.ticket, priority: record.priority })
      .catch(() => undefined);
  return { kind: 'changed' };
}

/** Its content may have gone only now, because somebody else was faster and it is over. */
async function withoutContent({ messages }: ChangeTools, caller: Caller, id: string, wish: Wish): Promise<Change> {
  const record = await messages.find(id);
  if (!record || !mayRead(caller, record)) return { kind: 'unknown' };
  return wish.from.includes(record.status) ? { kind: 'contentGone' } : { kind: 'tooLate', status: record.status };
}

function foundNotSent(now: Date): Failure {
  return {
    category: 'connection',
    code: 'resolved_not_sent',
    scope: 'message',
    plan: 'never',
    summary: 'The connection was lost after the final dot; a person has found out that the message was not sent.',
    remedy: 'Have it sent again if it is still wanted.',
    at: now.toISOString(),
  };
}
