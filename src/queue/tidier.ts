import { setTimeout as delay } from 'node:timers/promises';
import { type TidyTools, tidyLists } from '../gateway/tidy.ts';
import type { LaneLog } from './tools.ts';

const PAUSE_MILLISECONDS = 20;
/** How often the lists are gone through, over all processes: what they may hold too much is an hour's messages. */
const EVERY_MILLISECONDS = 3_600_000;
const LOOK_MILLISECONDS = 60_000;

/** Tidies the lists once an hour. Any number of processes may do so at a time; one of them does. */
export function startTidier(
  tools: Omit<TidyTools, 'pause' | 'signal'> & { log: LaneLog },
  { every = EVERY_MILLISECONDS, look = LOOK_MILLISECONDS } = {},
): { stop(): void } {
  const stop = new AbortController();
  const { signal } = stop;
  let timer: NodeJS.Timeout;
  async function run(): Promise<void> {
    try {
      if (await tools.lists.claimTidying(every))
        await tidyLists({ ...tools, pause: () => delay(PAUSE_MILLISECONDS), signal });
    } catch (error) {
      tools.log.warn({ error }, 'Could not tidy the lists');
    }
    if (!signal.aborted) timer = setTimeout(run, look);
  }
  timer = setTimeout(run, look);
  return {
    stop() {
      stop.abort();
      clearTimeout(timer);
    },
  };
}
