import type { MessageRecord } from '../mail/message.ts';
import { STATUSES, type Status } from '../mail/status.ts';
import type { Caller } from './api.ts';
import { LISTED_STATUSES, type ListedStatus, type MessageLists } from './lists.ts';
import { holdsOnce, type Match, type MessageFilter, matchOf, withPlainRecipient } from './match.ts';
import type { MailboxStore, MessageStore } from './ports.ts';
import { isOlder, type Position } from './position.ts';
import { mayRead } from './read.ts';
import { type Range, walkLists } from './walk.ts';

export interface SearchTools {
  messages: Pick<MessageStore, 'findMany'>;
  lists: MessageLists;
  mailboxes: Pick<MailboxStore, 'holdsOf'>;
}

/** A search looks at no more messages than these, however few of them match: its cost does not grow with their number. */
export const MOST_LOOKED_AT = 1_000;
const MOST_AT_A_TIME = 200;

/**
 * Looks at a caller's messages (everybody's for one who may operate), newest first, until enough match.
 *
 * @param after where an earlier search ended
 * @returns where to go on, if there may be more: also where fewer than `limit` were found, or none
 */
export async function searchMessages(
  tools: SearchTools,
  caller: Caller,
  given: MessageFilter,
  { limit, after }: { limit: number; after?: Position },
): Promise<{ found: Match[]; next?: Position }> {
  const found: Match[] = [];
  const filter = withPlainRecipient(given);
  const holdOf = holdsOnce(tools.mailboxes);
  const walk = await walkFor(tools, caller, filter, after);
  let last: Position | undefined;
  for (let looked = 0; looked < MOST_LOOKED_AT; ) {
    // One more than is wanted tells whether there is more.
    const atATime = Math.min(looked === 0 ? limit + 1 : MOST_AT_A_TIME, MOST_AT_A_TIME, MOST_LOOKED_AT - looked);
    const batch = await take(walk, atATime);
    looked += batch.length;
    const records = await tools.messages.findMany(batch.map(({ id }) => id));
    await forgetGaps(tools.lists, caller, batch, records);
    for (const [index, position] of batch.entries()) {
      if (found.length === limit) return { found, ...(last && { next: last }) };
      last = position;
      const record = records[index];
      const match = record && mayRead(caller, record) && (await matchOf(record, filter, holdOf));
      if (match) found.push(match);
    }
    if (batch.length < atATime) return { found };
  }
  return { found, ...(last && { next: last }) };
}

/** In steps, since Redis does nothing else meanwhile. */
async function findAll({ findMany }: SearchTools['messages'], ids: string[]): Promise<(MessageRecord | undefined)[]> {
  const records: (MessageRecord | undefined)[] = [];
  for (let first = 0; first < ids.length; first += MOST_AT_A_TIME)
    records.push(...(await findMany(ids.slice(first, first + MOST_AT_A_TIME))));
  return records;
}

async function take(walk: AsyncGenerator<Position, void>, count: number): Promise<Position[]> {
  const taken: Position[] = [];
  while (taken.length < count) {
    const { value, done } = await walk.next();
    if (done || !value) break;
    taken.push(value);
  }
  return taken;
}

/** The shortest way to all that can match. */
async function walkFor({ lists, messages }: SearchTools, caller: Caller, filter: MessageFilter, after?: Position) {
  const range = rangeOf(filter, after);
  const callers = caller.permissions.includes('operate') ? await lists.callers() : [caller.id];
  const through = (kinds: ('all' | ListedStatus)[], besides: Position[] = []) =>
    walkLists(
      lists,
      kinds.flatMap((kind) => callers.map((callerId) => ({ kind, callerId }))),
      range,
      besides,
    );
  const statuses = filter.status ?? (filter.category ? MAY_HAVE_FAILED : undefined);
  if (!statuses || statuses.includes('sent')) return through(['all']);
  const listed = LISTED_STATUSES.filter((status) => statuses.includes(status));
  if (listed.length === statuses.length) return through(listed);
  if (statuses.every((status) => status === 'held') && !(await lists.hasHolds())) return through([]);
  // A few are looked at one by one; of many, the lists of all messages begin with them, since the newest are the last sent.
  const unfinished = await lists.unfinished(MOST_LOOKED_AT);
  if (!unfinished) return through(['all']);
  const records = await findAll(messages, unfinished);
  return through(
    listed,
    records.filter((record): record is MessageRecord => !!record && isWithin(record, range)),
  );
}

/** Whatever is sent has no failure any more. */
const MAY_HAVE_FAILED = (Object.keys(STATUSES) as Status[]).filter((status) => status !== 'sent');

function rangeOf({ createdAfter = 0, createdBefore }: MessageFilter, after?: Position): Range {
  const start = createdBefore === undefined ? undefined : { acceptedAt: createdBefore, id: '' };
  const before = start && after ? (isOlder(after, start) ? after : start) : (after ?? start);
  return { floor: createdAfter, ...(before && { before }) };
}

function isWithin(position: Position, { before, floor }: Range): boolean {
  return position.acceptedAt >= floor && (!before || isOlder(position, before));
}

/** Redis deletes a record by itself when its time is over; nobody may have tidied the lists since. */
async function forgetGaps(
  lists: MessageLists,
  caller: Caller,
  batch: Position[],
  records: (MessageRecord | undefined)[],
): Promise<void> {
  const ids = batch.filter((_, index) => !records[index]).map(({ id }) => id);
  if (ids.length === 0 || caller.permissions.includes('operate')) return;
  for (const kind of ['all', ...LISTED_STATUSES] as const) await lists.remove({ kind, callerId: caller.id }, ids);
}
