import { type SweepTools, sweep } from '../gateway/sweep.ts';
import { nowAndThen } from './now-and-then.ts';
import type { LaneLog } from './tools.ts';

const INTERVAL_MILLISECONDS = 2_000;

/** Sweeps every two seconds, and on at once while there is more. Any number of processes may do so at a time. */
export function startSweeper(tools: SweepTools & { log: LaneLog }): { stop(): void } {
  let stopped = false;
  let timer: NodeJS.Timeout;
  const unwell = nowAndThen((error) => tools.log.warn({ error }, 'Could not sweep'));
  async function run(): Promise<void> {
    let more = false;
    try {
      ({ more } = await sweep(tools));
    } catch (error) {
      unwell(error);
    }
    if (!stopped) timer = setTimeout(run, more ? 0 : INTERVAL_MILLISECONDS);
  }
  timer = setTimeout(run, INTERVAL_MILLISECONDS);
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
