import type { Failure } from '../failure/failure.ts';
import type { LaneLog } from './tools.ts';

/** Tells the log of holds: one that many mailboxes run into at once, only once. */
export interface HoldTeller {
  held(mailbox: string, hold: string, failure: Failure, nextProbeInMilliseconds: number): void;
  released(mailbox: string, hold: string): void;
}

export function holdTeller(log: LaneLog, monotonic: () => number = () => performance.now()): HoldTeller {
  /** By key of the hold: until when it has been told. After that its trial was made, and prolonged it. */
  const toldUntil = new Map<string, number>();
  return {
    held(mailbox, hold, failure, nextProbeInMilliseconds) {
      const now = monotonic();
      if ((toldUntil.get(hold) ?? 0) > now) return;
      toldUntil.set(hold, now + nextProbeInMilliseconds);
      const fields = { mailbox, hold, failure, nextProbeInMilliseconds: Math.round(nextProbeInMilliseconds) };
      log.warn(fields, 'Mailbox held');
    },
    released(mailbox, hold) {
      toldUntil.delete(hold);
      log.info({ mailbox, hold }, 'Mailbox released');
    },
  };
}
