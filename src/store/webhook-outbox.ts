import type { Redis } from 'ioredis';
import type { Outbox, Outgoing } from '../gateway/webhook.ts';
import type { Keys } from './keys.ts';
import { attemptsOf, pairs, recordOf } from './records.ts';

/**
 * The moves that wait to become events. A stream, because what was read stays in it until it is done with.
 *
 * @param waiting a connection of its own: it blocks while it waits
 */
export function webhookOutbox(redis: Redis, waiting: Redis, keys: Keys): Outbox {
  const { outbox } = keys.webhooks;

  function outgoing([entry, flat]: [string, string[]]): Outgoing | undefined {
    const { id = '', ...fields } = pairs(flat);
    const record = recordOf(id, fields);
    return record && { entry, record, attempts: attemptsOf(fields) };
  }

  return {
    async oldest(limit, waitMilliseconds) {
      const found = await waiting.xread('COUNT', limit, 'BLOCK', waitMilliseconds, 'STREAMS', outbox, '0-0');
      const entries = (found?.[0]?.[1] ?? []) as [string, string[]][];
      const read = entries.map(outgoing);
      const unfit = entries.filter((_, i) => !read[i]).map(([entry]) => entry);
      if (unfit.length > 0) await redis.xdel(outbox, ...unfit);
      return read.filter((each) => each !== undefined);
    },
    async done(entries) {
      if (entries.length > 0) await redis.xdel(outbox, ...entries);
    },
  };
}
