import type { MessageRecord } from '../mail/message.ts';
import { isFinal } from '../mail/status.ts';
import type { Ticket } from './deliver.ts';
import type { MessageStore } from './ports.ts';

export interface SweepTools {
  messages: MessageStore;
  /** Adds the job of this ticket unless it is there. */
  enqueue(mailbox: string, ticket: Ticket): Promise<void>;
  /** Gives up a waiting message whose time is over, or whose record is damaged. */
  giveUp(id: string): Promise<void>;
  /** Lets its job go now, if it still waits for its time. */
  promote(mailbox: string, ticket: Ticket): Promise<void>;
  /** Takes a `sending` message out of the hands of an attempt that cannot be running any more. */
  recover(id: string): Promise<void>;
  /** Milliseconds since the epoch by the store's clock. */
  now(): Promise<number>;
  /** Has that clock jumped lately? Then nothing is given up because of it. */
  jumped(): boolean;
  /** Has the delay before the next attempt passed since this process first looked, whatever the store's clock says? */
  hasWaited(record: MessageRecord): boolean;
}

const MOST_WATCHED = 10_000;

/**
 * While the store's clock cannot be trusted, a message that seems overdue is given its whole delay again by a clock that
 * nobody sets. Where too many are watched the first are forgotten, and wait for the clock to be trusted again.
 *
 * @param monotonic milliseconds
 */
export function watchDelays(monotonic: () => number): SweepTools['hasWaited'] {
  const watched = new Map<string, number>();
  return ({ id, ticket, nextAttemptAt, updatedAt }) => {
    const attempt = `${id}-${ticket}`;
    const since = watched.get(attempt);
    if (since === undefined) {
      const [first] = watched.keys();
      if (first !== undefined && watched.size >= MOST_WATCHED) watched.delete(first);
      watched.set(attempt, monotonic());
      return false;
    }
    // Both were read off the store's clock at one moment.
    if (monotonic() - since < (nextAttemptAt ?? updatedAt) - updatedAt) return false;
    watched.delete(attempt);
    return true;
  };
}

const BATCH = 200;
/** To be looked at again, also where the process that looks dies on the way. */
const LATER = 60_000;
/** A new owner of a lane recovers what the old one left; this is for what nobody else can explain. */
const NO_ATTEMPT_LASTS_LONGER = 3_600_000;

/**
 * Puts right what fell between two steps: a waiting message without a job gets it, one whose job waits for too long goes,
 * one past its expiry, or of which too much is damaged, is given up, and what is left of one that is over goes.
 * Looks only at messages whose time has come, never at all of them; of several processes each gets others.
 *
 * @returns how many it looked at; as many as a batch holds means that there may be more; and what it could not put right,
 *   which costs the others nothing and is looked at again
 */
export async function sweep(tools: SweepTools): Promise<{ looked: number; more: boolean; troubles: unknown[] }> {
  const ids = await tools.messages.claimDue(BATCH, LATER);
  // Also where there is nothing to do: only a clock that has been watched can be seen to jump.
  const now = await tools.now();
  const results = await Promise.allSettled(ids.map((id) => putRight(id, now, tools)));
  const troubles = results.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
  return { looked: ids.length, more: ids.length === BATCH, troubles };
}

async function putRight(id: string, now: number, tools: SweepTools): Promise<void> {
  const { messages } = tools;
  const record = await messages.find(id);
  if (!record || record.status === 'unconfirmed' || isFinal(record.status)) return void (await messages.leave(id));
  if (record.status === 'sending') {
    if (now - record.updatedAt > NO_ATTEMPT_LASTS_LONGER && !tools.jumped()) return tools.recover(id);
    return void (await messages.postpone(id, record.ticket, now + LATER));
  }
  if (record.isDamaged || (record.expiresAt <= now && !tools.jumped())) return tools.giveUp(id);
  const priority = record.firstTicket === record.ticket ? 'first' : record.priority;
  const ticket: Ticket = { messageId: id, number: record.ticket, priority };
  await tools.enqueue(record.mailbox, ticket);
  const isOverdue = record.status === 'deferred' && (record.nextAttemptAt ?? 0) <= now;
  // Its job waits by the clock of the process that added it, which may have been days ahead, and may be gone.
  const isDoubtful = isOverdue && tools.jumped() && !tools.hasWaited(record);
  if (isOverdue && !isDoubtful) await tools.promote(record.mailbox, ticket);
  await messages.postpone(id, record.ticket, isDoubtful ? now + LATER : nextLook(record, now));
}

/** It has its job now; the next thing that could be wrong with it is that its time is over. */
function nextLook(record: MessageRecord, now: number): number {
  const due = record.nextAttemptAt ?? 0;
  const next = due > now ? Math.min(due + LATER, record.expiresAt) : record.expiresAt;
  return Math.max(next, now + LATER);
}
