import { connectRedis } from './store/redis.ts';
import { type RedisFacts, redisFacts } from './store/redis-facts.ts';

/** How long a connection may take to come about, in milliseconds. */
const WAIT = 5_000;

/**
 * One look at a Redis over a connection of its own; undefined where there is none to look at.
 *
 * @param probeKey is written
 * @throws Error with what Redis or the network last said, when it cannot be asked
 */
export function askRedis(url: string | undefined, probeKey: string): (() => Promise<RedisFacts>) | undefined {
  if (url === undefined) return undefined;
  return async () => {
    let last: Error | undefined;
    let tell: (error: Error) => void = () => undefined;
    const redis = connectRedis(url, 'patient', (error) => {
      last = error;
      // Waiting does not make a password right.
      if (isRefused(error)) tell(error);
    });
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<never>((_, reject) => {
        tell = reject;
        timer = setTimeout(() => reject(new Error(last?.message ?? 'no answer in time')), WAIT);
      });
      return await Promise.race([redisFacts(redis, probeKey), late]);
    } finally {
      clearTimeout(timer);
      redis.disconnect();
    }
  };
}

/** Redis's own first words (redis.io/docs, "ACL", read 2026-11). */
const isRefused = ({ message }: Error) => /^(WRONGPASS|NOAUTH|NOPERM)/.test(message);
