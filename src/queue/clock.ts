/** The store's clock, watched against this process's monotonic one. */
export interface Clock {
  /** Milliseconds since the epoch by the store's clock. */
  now(): Promise<number>;
  /** Has it jumped within so many milliseconds, by default lately? Then nothing may be given up because of it. */
  jumped(withinMilliseconds?: number): boolean;
}

/** What two honest clocks may drift apart between two looks, a slow answer included. */
const TOLERANCE_MILLISECONDS = 60_000;
/** A clock that was set right stays where it is; one that went wrong is set back by then. */
const DISTRUST_MILLISECONDS = 3_600_000;

/**
 * A machine whose clock is set two days ahead must not make every waiting message expire: after a jump, expiry waits an
 * hour. So it does where the store's clock is not this machine's at the first look: one of them has jumped before. The
 * clocks are given, so that a test can be them.
 *
 * @param wall this machine's clock, milliseconds since the epoch
 */
export function steadyClock(
  read: () => Promise<number>,
  monotonic: () => number = () => performance.now(),
  wall: () => number = () => Date.now(),
): Clock {
  let offset: number | undefined;
  let jumpedAt = Number.NEGATIVE_INFINITY;
  return {
    async now() {
      const now = await read();
      const apart = now - monotonic();
      const expected = offset ?? wall() - monotonic();
      if (Math.abs(apart - expected) > TOLERANCE_MILLISECONDS) jumpedAt = monotonic();
      offset = apart;
      return now;
    },
    jumped: (withinMilliseconds = DISTRUST_MILLISECONDS) => monotonic() - jumpedAt < withinMilliseconds,
  };
}
