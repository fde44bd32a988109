import type { Failure } from '../failure/failure.ts';
import type { LaneLog } from './tools.ts';

/** What the log tells of a hold that begins, or that was tried out and goes on. */
export interface HoldTold {
  failure: Failure;
  /** Milliseconds since the epoch. */
  since: number;
  /** How often it was tried out. */
  probes: number;
  nextProbeInMilliseconds: number;
}

/** Tells the log of holds: one that many mailboxes run into at once, only once. */
export interface HoldTeller {
  held(mailbox: string, hold: string, told: HoldTold): void;
  /** @param since milliseconds since the epoch */
  released(mailbox: string, hold: string, since: number): void;
  /** Nothing was tried out: what it was held for is not among its settings any more. */
  outdated(mailbox: string, hold: string): void;
}

export function holdTeller(log: LaneLog, monotonic: () => number = () => performance.now()): HoldTeller {
  /** By key of the hold: until when whoever else runs into it says nothing new. */
  const toldUntil = new Map<string, number>();
  return {
    held(mailbox, hold, { failure, since, probes, nextProbeInMilliseconds }) {
      const now = monotonic();
      // What a trial came to is always told: one that an operator asked for comes before its time.
      if (probes === 0 && (toldUntil.get(hold) ?? 0) > now) return;
      toldUntil.set(hold, now + nextProbeInMilliseconds);
      const next = { probes, nextProbeInMilliseconds: Math.round(nextProbeInMilliseconds) };
      log.warn({ mailbox, hold, since: new Date(since).toISOString(), ...next, failure }, 'Mailbox held');
    },
    released(mailbox, hold, since) {
      toldUntil.delete(hold);
      log.info({ mailbox, hold, since: new Date(since).toISOString() }, 'Mailbox released');
    },
    outdated(mailbox, hold) {
      toldUntil.delete(hold);
      log.info({ mailbox, hold }, 'Mailbox released, since its settings have changed');
    },
  };
}
