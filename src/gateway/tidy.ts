import { LISTED_STATUSES, type ListName, type MessageLists } from './lists.ts';

export interface TidyTools {
  lists: MessageLists;
  /** Milliseconds since the epoch by the store's clock. */
  now(): Promise<number>;
  /** How long records are kept once they are final. */
  recordMilliseconds: number;
  /** Between two steps, so that nobody else waits for long. */
  pause(): Promise<unknown>;
  signal: AbortSignal;
}

const STEP = 500;

/**
 * Takes messages whose record is not kept any more off all lists. Looks only at those that were accepted longer ago than
 * records are kept, in small steps; younger ones cannot be gone.
 *
 * @returns how many entries it took away
 */
export async function tidyLists(tools: TidyTools): Promise<number> {
  const until = (await tools.now()) - tools.recordMilliseconds;
  let removed = 0;
  for (const callerId of await tools.lists.callers()) {
    for (const kind of ['all', ...LISTED_STATUSES] as const) removed += await tidy({ kind, callerId }, until, tools);
    if (!tools.signal.aborted) await tools.lists.forgetCaller(callerId);
  }
  return removed;
}

async function tidy(list: ListName, until: number, { lists, pause, signal }: TidyTools): Promise<number> {
  let kept = 0;
  let removed = 0;
  while (!signal.aborted) {
    const entries = await lists.oldest(list, kept, STEP);
    const old = entries.filter(({ acceptedAt }) => acceptedAt <= until).map(({ id }) => id);
    const gone = old.length > 0 ? await lists.gone(old) : [];
    if (gone.length > 0) await lists.remove(list, gone);
    removed += gone.length;
    kept += old.length - gone.length;
    if (old.length < STEP) break;
    await pause();
  }
  return removed;
}
