import type { Redis } from 'ioredis';
import { parseInfo } from './health.ts';

const LOOK_MILLISECONDS = 3_000;

/**
 * A fail-over may make the server at the other end a replica and leave the connections to it open, though its address
 * leads to the new primary already: every write over them would be refused until somebody cuts them. Sentinel does so;
 * a switch-over by hand, behind a proxy or by a name in DNS, does not. So the server is asked now and then what it is.
 *
 * Asked, because the refusals themselves are not always heard as such: a script that catches one answers with data. And
 * connections that subscribe would not hear of any.
 *
 * @param redis one that is no subscriber
 * @param leave is called at each look that finds a replica
 */
export function watchForDemotion(redis: Redis, leave: () => void): { stop(): void } {
  let isAsking = false;
  async function look(): Promise<void> {
    // While it is away, a patient connection would keep the question.
    if (isAsking || redis.status !== 'ready') return;
    isAsking = true;
    try {
      if (parseInfo(await redis.info('replication')).get('role') === 'slave') leave();
    } catch {
      // Who uses it hears of that.
    } finally {
      isAsking = false;
    }
  }
  const timer = setInterval(() => void look(), LOOK_MILLISECONDS).unref();
  return { stop: () => clearInterval(timer) };
}
