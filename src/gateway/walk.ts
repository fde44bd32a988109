import type { ListName, MessageLists } from './lists.ts';
import { newestFirst, type Position } from './position.ts';

/** Where a walk begins and ends. */
export interface Range {
  before?: Position;
  /** Nothing that was accepted before this time; milliseconds since the epoch. */
  floor: number;
}

/** Entries that were read and are not walked yet, newest first, and how to read on. */
interface Branch {
  waiting: Position[];
  more?: { list: ListName; range: Range; count: number };
}

const AT_A_TIME = 100;

/** Walks many lists as one, newest first. Reads of each only about as much as is walked. */
export async function* walkLists(
  store: Pick<MessageLists, 'older'>,
  lists: ListName[],
  range: Range,
  besides: Position[] = [],
): AsyncGenerator<Position, void> {
  const count = Math.max(2, Math.ceil(AT_A_TIME / Math.max(1, lists.length)));
  const branches: Branch[] = lists.map((list) => ({ waiting: [], more: { list, range, count } }));
  branches.push({ waiting: besides.toSorted(newestFirst) });
  let last: string | undefined;
  for (;;) {
    const empty = branches.filter(({ waiting, more }) => more && waiting.length === 0);
    if (empty.length > 0) await Promise.all(empty.map((branch) => readOn(store, branch)));
    const next = nextOf(branches);
    if (!next) return;
    // A message that moved while two lists were read is on both.
    if (next.id !== last) yield next;
    last = next.id;
  }
}

async function readOn(store: Pick<MessageLists, 'older'>, branch: Branch): Promise<void> {
  if (!branch.more) return;
  const { list, range, count } = branch.more;
  const { entries, isEnd } = await store.older(list, { ...range, count });
  branch.waiting = entries;
  const before = entries.at(-1);
  if (isEnd || !before) delete branch.more;
  else branch.more = { list, range: { ...range, before }, count: Math.min(count * 2, AT_A_TIME) };
}

function nextOf(branches: Branch[]): Position | undefined {
  let newest: Branch | undefined;
  for (const branch of branches) {
    const [head] = branch.waiting;
    const best = newest?.waiting[0];
    if (head && (!best || newestFirst(head, best) < 0)) newest = branch;
  }
  return newest?.waiting.shift();
}
