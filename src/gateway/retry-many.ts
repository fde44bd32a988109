import type { Caller, Change } from './api.ts';
import { type ChangeTools, retryMessage } from './change.ts';
import type { ListQuery } from './list.ts';
import { cursorOf } from './position.ts';
import { type SearchTools, searchMessages } from './search.ts';

/** Which messages to send again; failed ones only, unless the statuses say otherwise, and no test mail unless `test` does. */
export interface RetryQuery extends ListQuery {
  status: ('failed' | 'unconfirmed')[];
}

/** What became of them. */
export interface Retried {
  retried: number;
  /** Found, but not sent again. */
  notRetried: {
    /** Their bytes are not kept any more. */
    contentGone: number;
    /** They may not go to one of their recipients any more. */
    notAllowed: number;
    /** Somebody else was faster, or they have just been deleted. */
    tooLate: number;
  };
  /** Goes on after these; absent when no more can match. */
  next?: string;
}

const AT_A_TIME = 20;

const REASONS: Partial<Record<Change['kind'], keyof Retried['notRetried']>> = {
  contentGone: 'contentGone',
  barred: 'notAllowed',
};

/**
 * Sends again what failed and matches, as one by one would: the oldest first, and nothing twice, however often it is
 * asked, since what is sent again is not failed any more. Rejects with what the store throws; what was done until then
 * stays done, and asking again goes on. A test key has test mail only, and means that.
 */
export async function retryMessages(
  tools: SearchTools & ChangeTools,
  caller: Caller,
  { limit, after, ...given }: RetryQuery,
): Promise<Retried> {
  const filter = given.test === undefined && !caller.test ? { ...given, test: false } : given;
  const { found, next } = await searchMessages(tools, caller, filter, { limit, ...(after && { after }) });
  const ids = found.map(({ record }) => record.id).reverse();
  const notRetried = { contentGone: 0, notAllowed: 0, tooLate: 0 };
  let retried = 0;
  for (let first = 0; first < ids.length; first += AT_A_TIME) {
    const some = ids.slice(first, first + AT_A_TIME);
    for (const { kind } of await Promise.all(some.map((id) => retryMessage(tools, caller, id, filter.status)))) {
      if (kind === 'changed') retried += 1;
      else notRetried[REASONS[kind] ?? 'tooLate'] += 1;
    }
  }
  return { retried, notRetried, ...(next && { next: cursorOf(next) }) };
}
