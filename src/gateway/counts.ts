import type { Status } from '../mail/status.ts';
import type { Caller } from './api.ts';
import { LISTED_STATUSES, type MessageLists } from './lists.ts';
import type { MailboxStore } from './ports.ts';

export type StatusCounts = Partial<Record<Status, number>>;

/** How many messages have each status; a status that none has may be absent. */
export interface MessageCounts {
  statuses: StatusCounts;
  /** For a caller who may operate. */
  mailboxes?: { mailbox: string; statuses: StatusCounts }[];
}

export interface CountTools {
  lists: Pick<MessageLists, 'sizes'>;
  mailboxes: Pick<MailboxStore, 'metrics' | 'holdsOf'>;
}

/**
 * What is counted as things happen; nothing is scanned to tell it. For an operator all statuses by mailbox. Counting the
 * ordinary statuses for each caller would cost every move a write, so a caller's own are those that have lists.
 */
export function countMessages(tools: CountTools, caller: Caller): Promise<MessageCounts> {
  return caller.permissions.includes('operate') ? countAll(tools) : countOwn(tools, caller.id);
}

async function countOwn({ lists }: CountTools, callerId: string): Promise<MessageCounts> {
  const sizes = await lists.sizes(LISTED_STATUSES.map((kind) => ({ kind, callerId })));
  return { statuses: Object.fromEntries(LISTED_STATUSES.map((status, index) => [status, sizes[index] ?? 0])) };
}

async function countAll({ mailboxes }: CountTools): Promise<MessageCounts> {
  // Mail of test keys is no backlog; `test` of a mailbox tells of it.
  const messages = (await mailboxes.metrics()).messages.filter(({ test }) => !test);
  const names = [...new Set(messages.map(({ mailbox }) => mailbox))].sort();
  const each = await Promise.all(
    names.map(async (mailbox) => {
      const held = (await mailboxes.holdsOf(mailbox)).size > 0;
      return {
        mailbox,
        statuses: summed(
          messages.filter((count) => count.mailbox === mailbox),
          held,
        ),
      };
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
