import type { Caller } from './api.ts';
import type { MessageFilter } from './match.ts';
import { cursorOf, type Position } from './position.ts';
import { type SearchTools, searchMessages } from './search.ts';
import { type ListedMessage, viewOf } from './view.ts';

/** One page of a list. */
export interface ListQuery extends MessageFilter {
  /** At most this many. */
  limit: number;
  /** Where the page before ended. */
  after?: Position;
}

/** Newest first. */
export interface MessagePage {
  messages: ListedMessage[];
  /** Goes on after this page; absent at the end. A page may have it and be short, or empty. */
  next?: string;
}

/** A caller's own messages, or everybody's for a caller who may operate. */
export async function listMessages(
  tools: SearchTools,
  caller: Caller,
  { limit, after, ...filter }: ListQuery,
): Promise<MessagePage> {
  const { found, next } = await searchMessages(tools, caller, filter, { limit, ...(after && { after }) });
  const messages = found.map(({ record, hold }) => {
    const { attempts: _, ...listed } = viewOf(record, { attempts: [], hold });
    return listed;
  });
  return { messages, ...(next && { next: cursorOf(next) }) };
}
