import type { Status } from '../mail/status.ts';
import { mailboxOf, testLaneOf } from '../mail/test-lane.ts';
import type { Caller, Metrics } from './api.ts';
import type { MessageLists } from './lists.ts';
import type { MailboxStore } from './ports.ts';

export type StatusCounts = Partial<Record<Status, number>>;

/** How many messages have each status; a status that none has may be absent. */
export interface MessageCounts {
  statuses: StatusCounts;
  mailboxes: { mailbox: string; statuses: StatusCounts }[];
  /** For a caller who may operate: the same of test keys, which are in none of the above. Absent where there are none. */
  test?: Pick<MessageCounts, 'statuses' | 'mailboxes'>;
}

export interface CountTools {
  lists: Pick<MessageLists, 'countOwn'>;
  mailboxes: Pick<MailboxStore, 'metrics' | 'holdsOf'>;
}

/**
 * What is counted as things happen; nothing is scanned to tell it. All messages for an operator, else the caller's own;
 * finished ones are counted on when they are not kept any more.
 */
export function countMessages(tools: CountTools, caller: Caller): Promise<MessageCounts> {
  return caller.permissions.includes('operate') ? countAll(tools) : countOwn(tools, caller);
}

async function countOwn({ lists, mailboxes }: CountTools, { id, test }: Caller): Promise<MessageCounts> {
  const counts = await lists.countOwn(id);
  const own = counts.map(({ lane, status, count }) => ({ mailbox: mailboxOf(lane), status, count }));
  return countLanes(mailboxes, own, test ? testLaneOf : (mailbox) => mailbox);
}

async function countAll({ mailboxes }: CountTools): Promise<MessageCounts> {
  const { messages } = await mailboxes.metrics();
  const [real, tests] = [messages.filter(({ test }) => !test), messages.filter(({ test }) => test)];
  const counted = await countLanes(mailboxes, real, (mailbox) => mailbox);
  return { ...counted, ...(tests.length > 0 && { test: await countLanes(mailboxes, tests, testLaneOf) }) };
}

/** @param laneOf the lane of a mailbox that these messages are in */
async function countLanes(
  mailboxes: CountTools['mailboxes'],
  messages: Metrics['messages'],
  laneOf: (mailbox: string) => string,
): Promise<Pick<MessageCounts, 'statuses' | 'mailboxes'>> {
  const names = [...new Set(messages.map(({ mailbox }) => mailbox))].sort();
  const each = await Promise.all(
    names.map(async (mailbox) => {
      const held = (await mailboxes.holdsOf(laneOf(mailbox))).size > 0;
      const own = messages.filter((count) => count.mailbox === mailbox);
      return { mailbox, statuses: summed(own, held) };
    }),
  );
  const all = each.flatMap(({ statuses }) =>
    Object.entries(statuses).map(([status, count]) => ({ status: status as Status, count })),
  );
  return { statuses: summed(all, false), mailboxes: each };
}

/** @param held what waits reads as `held` */
function summed(counts: { status: Status; count: number }[], held: boolean): StatusCounts {
  const sums: StatusCounts = {};
  for (const { status, count } of counts) {
    const read = held && (status === 'queued' || status === 'deferred') ? 'held' : status;
    if (count > 0) sums[read] = (sums[read] ?? 0) + count;
  }
  return sums;
}
