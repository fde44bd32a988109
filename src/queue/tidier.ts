import { setTimeout as delay } from 'node:timers/promises';
import type { MailboxStore } from '../gateway/ports.ts';
import { type TidyTools, tidyLists } from '../gateway/tidy.ts';
import type { Clock } from './clock.ts';
import type { LaneLog } from './tools.ts';

const PAUSE_MILLISECONDS = 20;
/** How often the lists are gone through, over all processes: what they may hold too much is an hour's messages. */
const EVERY_MILLISECONDS = 3_600_000;
const LOOK_MILLISECONDS = 60_000;
/** Who has messages tries a hold out within hours; who has none shall still see for days what was wrong. */
const HOLDS_KEPT_MILLISECONDS = 7 * 24 * 3_600_000;

/** Tidies the lists and the holds once an hour. Any number of processes may do so at a time; one of them does. */
export function startTidier(
  tools: Omit<TidyTools, 'pause' | 'signal'> & {
    mailboxes: Pick<MailboxStore, 'forgetHolds'>;
    clock: Pick<Clock, 'jumped'>;
    log: LaneLog;
  },
  { every = EVERY_MILLISECONDS, look = LOOK_MILLISECONDS } = {},
): { stop(): void } {
  const stop = new AbortController();
  const { signal } = stop;
  let timer: NodeJS.Timeout;
  async function run(): Promise<void> {
    try {
      if (await tools.lists.claimTidying(every)) {
        await tidyLists({ ...tools, pause: () => delay(PAUSE_MILLISECONDS), signal });
        if (!tools.clock.jumped()) await tools.mailboxes.forgetHolds(HOLDS_KEPT_MILLISECONDS);
      }
    } catch (error) {
      tools.log.warn({ error }, 'Could not tidy up');
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
