import { type ReleaseTools, releaseDue } from '../gateway/schedule.ts';
import { nowAndThen } from './now-and-then.ts';
import { type SteadyTime, steadyTime } from './steady-time.ts';
import type { LaneLog } from './tools.ts';

/** How often it looks at least: what was scheduled meanwhile by another process may be due sooner than what it knows. */
const LOOK_MILLISECONDS = 1_000;
const PAUSE_MILLISECONDS = 10;
/** An uptime is told in hundredths of a second: rather that much late than early. */
const PRECISION_MILLISECONDS = 20;
/** Redis may be away, and what was queued then has to wait for the sweeper. */
const GRACE_MILLISECONDS = 1_000;

/**
 * Queues scheduled messages at their time, by the store's clock as long as it does not jump. Any number of processes
 * may do so at a time.
 */
export function startReleaser(
  tools: ReleaseTools & { log: LaneLog },
  time: SteadyTime = steadyTime(undefined, Date.now),
): { stop(): Promise<void> } {
  let stopped = false;
  let timer: NodeJS.Timeout;
  let running: Promise<void>;
  async function look(): Promise<number> {
    const steady = time.now();
    const { now, next } = await releaseDue(tools, steady === undefined ? -1 : steady - PRECISION_MILLISECONDS);
    time.learn(now);
    const wait = next === undefined ? LOOK_MILLISECONDS : next + PRECISION_MILLISECONDS - (time.now() ?? now);
    return Math.min(Math.max(wait, PAUSE_MILLISECONDS), LOOK_MILLISECONDS);
  }
  const unwell = nowAndThen((error) => tools.log.warn({ error }, 'Could not look for scheduled messages'));
  async function run(): Promise<void> {
    const wait = await look().catch((error) => {
      unwell(error);
      return LOOK_MILLISECONDS;
    });
    if (!stopped) timer = setTimeout(start, wait);
  }
  function start(): void {
    running = run();
  }
  start();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      // What it has queued gets its jobs.
      await Promise.race([running, new Promise((resolve) => setTimeout(resolve, GRACE_MILLISECONDS))]);
    },
  };
}
