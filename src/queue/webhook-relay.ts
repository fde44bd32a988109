import { type RelayTools, relay } from '../gateway/relay.ts';
import { nowAndThen } from './now-and-then.ts';
import type { LaneLog } from './tools.ts';

export interface RelayLoop extends RelayTools {
  /** Takes or renews the right to empty the outbox; false where another process has it. */
  takeTurn(milliseconds: number): Promise<boolean>;
  endTurn(): Promise<unknown>;
  /** Ends the wait for the next move. */
  interrupt(): void;
  log: LaneLog;
}

const BATCH = 100;
/** Taken over this long after its holder died. A batch that takes longer is only made twice, with the same ids. */
const TURN_MILLISECONDS = 6_000;
const WAIT_MILLISECONDS = 2_000;
const LOOK_MILLISECONDS = 1_000;

/** Empties the outbox into the delivery queues; one process at a time, so that nothing is done twice on purpose. */
export function startRelay(tools: RelayLoop): { close(): Promise<void> } {
  let over = false;
  let rested: () => void = () => undefined;
  const rest = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      rested = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const unwell = nowAndThen((error) =>
    tools.log.warn({ error }, 'Could not relay events to webhooks yet; trying again'),
  );

  async function run(): Promise<void> {
    while (!over) {
      try {
        if (await tools.takeTurn(TURN_MILLISECONDS)) {
          const batch = await tools.outbox.oldest(BATCH, WAIT_MILLISECONDS);
          if (batch.length > 0) await relay(tools, batch);
        } else if (!over) await rest(LOOK_MILLISECONDS);
      } catch (error) {
        if (over) return;
        unwell(error);
        await rest(LOOK_MILLISECONDS);
      }
    }
  }

  const running = run();
  return {
    async close() {
      over = true;
      rested();
      tools.interrupt();
      await running;
      await tools.endTurn().catch(() => undefined);
    },
  };
}
