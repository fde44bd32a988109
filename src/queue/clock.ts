import { upFor } from './steady-time.ts';

/** The store's clock, watched against this process's monotonic one. */
export interface Clock {
  /** Milliseconds since the epoch by the store's clock. */
  now(): Promise<number>;
  /**
   * Without a time: was it set by so much, and so lately, that nothing may be given up because of it? With one: was it set
   * within so many milliseconds, by however little, so that what was counted by it is not certain?
   */
  jumped(withinMilliseconds?: number): boolean;
  /** What it would say had it not jumped, as long as it is not believed for that; undefined where it is, or nobody knows. */
  asBefore(): number | undefined;
}

/** What is known of the store's clock on this boot of this machine, where all processes have one monotonic clock. */
export interface KnownClock {
  /** What the store's clock is ahead of the monotonic one, in milliseconds. */
  ahead: number;
  /** When it was seen to be set last, and when by much, by the monotonic clock. */
  setAt?: number;
  jumpedAt?: number;
  /** What it was ahead of the machine's uptime when it was believed last. */
  aheadOfUptime?: number;
}

/** Where processes tell each other of it: one that starts has seen nothing itself. Rejects where that is not possible now. */
export interface ClockMemory {
  recall(): Promise<KnownClock | undefined>;
  remember(known: KnownClock): Promise<unknown>;
}

/** What may be a correction of either clock. More frees places of the window before their time. */
const STEP_MILLISECONDS = 1_500;
/** What makes messages expire, or not. Also what two machines' clocks may be apart. */
const JUMP_MILLISECONDS = 60_000;
/** A clock that was set right stays where it is; one that went wrong is set back by then. */
const DISTRUST_MILLISECONDS = 3_600_000;
/** An answer that took longer than this says less than what is known. */
const EXACT_MILLISECONDS = 1_000;
const REMEMBERED_EACH_MILLISECONDS = 10_000;

/** What the one clock is ahead of the other: it was read at some time between question and answer. */
interface Ahead {
  least: number;
  most: number;
}

/**
 * A machine whose clock is set two days ahead must not make every waiting message expire: after a jump, expiry waits an
 * hour. So it does where the store's clock is not this machine's at the first look: one of them has jumped before. And one
 * that is set by seconds frees places of a window too early: who opens a lane then waits a window. The clocks are given,
 * so that a test can be them.
 *
 * @param monotonic milliseconds; the same for all processes that share the memory
 * @param wall this machine's clock, milliseconds since the epoch
 * @param up milliseconds; unlike the monotonic one it goes on while the machine sleeps
 */
export function steadyClock(
  read: () => Promise<number>,
  monotonic: () => number = () => Number(process.hrtime.bigint()) / 1e6,
  wall: () => number = () => Date.now(),
  memory?: ClockMemory,
  up: () => number = upFor,
): Clock {
  let known: Ahead | undefined;
  let setAt = Number.NEGATIVE_INFINITY;
  let jumpedAt = Number.NEGATIVE_INFINITY;
  let aheadOfUptime: number | undefined;
  let looks = 0;
  let rememberedAt = Number.NEGATIVE_INFINITY;

  async function recall(): Promise<void> {
    const recalled = await memory?.recall().catch(() => undefined);
    if (!recalled || known) return;
    known = { least: recalled.ahead, most: recalled.ahead };
    setAt = recalled.setAt ?? setAt;
    jumpedAt = recalled.jumpedAt ?? jumpedAt;
    aheadOfUptime = recalled.aheadOfUptime;
  }

  const isDistrusted = () => monotonic() - jumpedAt < DISTRUST_MILLISECONDS;

  function learn(ahead: Ahead, at: number): void {
    const own = wall() - at;
    const fromOwn = looks === 0 ? apart(ahead, { least: own, most: own }) : 0;
    const moved = known ? apart(ahead, known) : 0;
    looks += 1;
    const hasJumped = Math.max(moved, fromOwn) > JUMP_MILLISECONDS;
    const isSet = hasJumped || moved > STEP_MILLISECONDS;
    if (isSet) setAt = at;
    if (hasJumped) jumpedAt = at;
    if (!known || isSet || ahead.most - ahead.least <= EXACT_MILLISECONDS) known = ahead;
    if (!isDistrusted()) aheadOfUptime = at + ahead.least - up();
    if (isSet || at - rememberedAt >= REMEMBERED_EACH_MILLISECONDS) remember(at);
  }

  function remember(at: number): void {
    if (!known) return;
    rememberedAt = at;
    const ahead = (known.least + known.most) / 2;
    // JSON has no infinity.
    const seen = {
      ...(Number.isFinite(setAt) && { setAt }),
      ...(Number.isFinite(jumpedAt) && { jumpedAt }),
      ...(aheadOfUptime !== undefined && { aheadOfUptime }),
    };
    memory?.remember({ ahead, ...seen }).catch(() => undefined);
  }

  return {
    async now() {
      if (!known) await recall();
      const askedAt = monotonic();
      const now = await read();
      const answeredAt = monotonic();
      learn({ least: now - answeredAt, most: now - askedAt }, answeredAt);
      return now;
    },
    jumped: (withinMilliseconds) =>
      withinMilliseconds === undefined ? isDistrusted() : monotonic() - setAt < withinMilliseconds,
    asBefore: () => (isDistrusted() && aheadOfUptime !== undefined ? aheadOfUptime + up() : undefined),
  };
}

/** How far one lies from the other at least; negative where they may be the same. */
function apart(one: Ahead, other: Ahead): number {
  return Math.max(other.least - one.most, one.least - other.most);
}
