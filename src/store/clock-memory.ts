import type { Redis } from 'ioredis';
import type { Keys } from './keys.ts';

/** By then a machine is started anew, or nobody asks any more. */
const KEPT_MILLISECONDS = 7 * 24 * 3_600_000;

/** What the processes of one boot of a machine know of Redis's clock, for those that start after them. */
export function clockMemory<Known>(redis: Redis, keys: Keys, boot: string) {
  const key = keys.clock(boot);
  return {
    async recall(): Promise<Known | undefined> {
      const json = await redis.get(key);
      return json ? (JSON.parse(json) as Known) : undefined;
    },
    remember: (known: Known) => redis.set(key, JSON.stringify(known), 'PX', KEPT_MILLISECONDS),
  };
}
