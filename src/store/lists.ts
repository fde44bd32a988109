import type { Redis } from 'ioredis';
import type { MessageLists } from '../gateway/lists.ts';
import { isOlder, type Position } from '../gateway/position.ts';
import type { Status } from '../mail/status.ts';
import type { Keys } from './keys.ts';
import { wholeIn } from './records.ts';
import type { Scripted } from './redis.ts';

/** The lists of messages: sorted sets by the time of acceptance, and within one millisecond by id. */
export function messageLists(redis: Redis & Scripted, keys: Keys): MessageLists {
  return {
    callers: () => redis.smembers(keys.callers),
    older: (list, range) => older(redis, keys.list(list), range),
    oldest: async (list, skip, count) =>
      positions(await redis.zrange(keys.list(list), String(skip), String(skip + count - 1), 'WITHSCORES')),
    async unfinished(most) {
      if ((await redis.zcard(keys.due)) > most) return undefined;
      return redis.zrange(keys.due, '0', '-1');
    },
    hasHolds: async () => (await redis.hlen(keys.holds)) > 0,
    async countOwn(callerId) {
      const own = keys.countsOf(callerId);
      return withQueued(await redis.countOwn(own, callerId, keys.message(''), keys.sending('')));
    },
    async gone(ids) {
      const exist = await Promise.all(ids.map((id) => redis.exists(keys.message(id))));
      return ids.filter((_, index) => exist[index] === 0);
    },
    remove: (list, ids) => redis.zrem(keys.list(list), ...ids),
    forgetCaller: (callerId) =>
      redis.forgetCaller(keys.list({ kind: 'all', callerId }), keys.callers, keys.countsOf(callerId), callerId),
    claimTidying: async (milliseconds) => (await redis.set(keys.tidied, '1', 'PX', milliseconds, 'NX')) === 'OK',
  };
}

/** What was accepted and is nothing else is queued: so the way of an ordinary message costs one count, when it is sent. */
function withQueued(flat: string[]): { lane: string; status: Status; count: number }[] {
  const counts = flat.flatMap((field, index) =>
    index % 2 === 0 ? [countOf(field, wholeIn(flat[index + 1]) ?? 0)] : [],
  );
  const isTotal = ({ status }: { status: string }) => status === 'accepted';
  const stated = counts.filter((each) => !isTotal(each));
  const queued = counts.filter(isTotal).map(({ lane, count }) => {
    const others = stated.filter((each) => each.lane === lane).reduce((sum, each) => sum + each.count, 0);
    return { lane, status: 'queued' as const, count: Math.max(0, count - others) };
  });
  return [...(stated as { lane: string; status: Status; count: number }[]), ...queued];
}

function countOf(field: string, count: number): { lane: string; status: string; count: number } {
  const bar = field.indexOf('|');
  return { status: field.slice(0, bar), lane: field.slice(bar + 1), count };
}

/** Those of the position's own millisecond that are not older come first and are read again; they are few. */
async function older(
  redis: Redis,
  key: string,
  { before, floor, count }: Parameters<MessageLists['older']>[1],
): Promise<{ entries: Position[]; isEnd: boolean }> {
  const from = before?.acceptedAt ?? '+inf';
  for (let offset = 0; ; offset += count) {
    const read = positions(await redis.zrevrangebyscore(key, from, floor, 'WITHSCORES', 'LIMIT', offset, count));
    const entries = before ? read.filter((entry) => isOlder(entry, before)) : read;
    const isEnd = read.length < count;
    if (isEnd || entries.length > 0) return { entries, isEnd };
  }
}

function positions(flat: string[]): Position[] {
  return flat.flatMap((id, index) => (index % 2 === 0 ? [{ id, acceptedAt: Number(flat[index + 1]) }] : []));
}
