import { uptime } from 'node:os';

/** A clock of the day that a jump of the one it is set by does not move. */
export interface SteadyTime {
  /** Another reading of the clock it is set by, in milliseconds since the epoch. */
  learn(reading: number): void;
  /** Milliseconds since the epoch; undefined before the first reading. */
  now(): number | undefined;
}

/** What is a correction, and not a jump; more than a slow answer takes. */
const TOLERANCE_MILLISECONDS = 2_000;
/** So far two machines' clocks may be apart where none of them has jumped. */
const APART_MILLISECONDS = 60_000;
/** A clock that was set right stays where it is; one that went wrong is set back by then. */
const DISTRUST_MILLISECONDS = 3_600_000;

/**
 * Goes by this machine's uptime, set by the readings it is given. One that is suddenly another time is not believed
 * before an hour has passed: a clock set ahead must not send what is scheduled early, nor one set back send it late. Whoever
 * starts after the jump has not seen it, but may know another clock.
 *
 * @param wall that one, in milliseconds since the epoch: of a first reading far ahead of it, it is believed instead, since
 *   late is better than early. None if absent
 */
export function steadyTime(monotonic: () => number = upFor, wall?: () => number): SteadyTime {
  let offset: number | undefined;
  let jumpedAt: number | undefined;
  return {
    learn(reading) {
      const at = monotonic();
      const apart = reading - at;
      const own = offset === undefined ? wall?.() : undefined;
      if (own !== undefined && reading - own > APART_MILLISECONDS) {
        offset = own - at;
        jumpedAt = at;
        return;
      }
      if (offset === undefined || Math.abs(apart - offset) <= TOLERANCE_MILLISECONDS) {
        offset = apart;
        jumpedAt = undefined;
        return;
      }
      jumpedAt ??= at;
      if (at - jumpedAt < DISTRUST_MILLISECONDS) return;
      offset = apart;
      jumpedAt = undefined;
    },
    now: () => (offset === undefined ? undefined : offset + monotonic()),
  };
}

/** Linux counts the time a machine was asleep in its uptime, which `performance.now` does not. */
export function upFor(): number {
  return process.platform === 'linux' ? uptime() * 1_000 : performance.now();
}
