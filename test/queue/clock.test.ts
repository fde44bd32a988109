import { describe, expect, it } from 'vitest';
import { type KnownClock, steadyClock } from '../../src/queue/clock.ts';

const HOUR = 3_600_000;

function clockOf(ahead = 0) {
  let wall = 1_000_000;
  let monotonic = 0;
  let slowness = 0;
  let asleep = 0;
  let kept: KnownClock | undefined;
  const pass = (milliseconds: number) => {
    wall += milliseconds;
    monotonic += milliseconds;
  };
  const memory = {
    recall: async () => kept,
    remember: async (known: KnownClock) => {
      kept = known;
    },
  };
  const start = () =>
    steadyClock(
      async () => {
        const now = wall + ahead;
        pass(slowness);
        return now;
      },
      () => monotonic,
      () => wall,
      memory,
      () => monotonic + asleep,
    );
  return {
    clock: start(),
    /** Another process of the same machine. */
    start,
    answerIn(milliseconds: number) {
      slowness = milliseconds;
    },
    pass,
    set(milliseconds: number) {
      wall += milliseconds;
    },
    sleep(milliseconds: number) {
      wall += milliseconds;
      asleep += milliseconds;
    },
    wall: () => wall,
  };
}

describe('the clock', () => {
  it('is trusted while it goes as ours does, however long that is', async () => {
    const { clock, pass } = clockOf();
    for (const hours of [0, 1, 40]) {
      pass(hours * HOUR);
      await clock.now();
      expect(clock.jumped()).toBe(false);
    }
  });

  it.each([-HOUR, 48 * HOUR])('that is %i ms away from ours at the first look is distrusted too', async (ahead) => {
    const { clock, pass } = clockOf(ahead);
    await clock.now();
    expect(clock.jumped()).toBe(true);
    pass(HOUR);
    await clock.now();
    expect(clock.jumped()).toBe(false);
  });

  it.each([-HOUR, 48 * HOUR])('that jumps by %i ms is distrusted for an hour, and then believed', async (jump) => {
    const { clock, pass, set } = clockOf();
    await clock.now();
    set(jump);
    await clock.now();
    expect(clock.jumped()).toBe(true);
    expect(clock.jumped(60_000)).toBe(true);
    pass(HOUR / 2);
    await clock.now();
    expect(clock.jumped()).toBe(true);
    expect(clock.jumped(60_000)).toBe(false);
    pass(HOUR);
    await clock.now();
    expect(clock.jumped()).toBe(false);
  });

  it.each([-20_000, 3_000, 59_000])(
    'that is set by %i ms is not trusted with a window, but with giving up',
    async (step) => {
      const { clock, pass, set } = clockOf();
      await clock.now();
      pass(2_000);
      await clock.now();
      expect(clock.jumped(60_000)).toBe(false);
      set(step);
      await clock.now();
      expect(clock.jumped(60_000)).toBe(true);
      expect(clock.jumped()).toBe(false);
      pass(61_000);
      await clock.now();
      expect(clock.jumped(60_000)).toBe(false);
    },
  );

  it('is not said to be set because its answers take long, and is although they do', async () => {
    const { clock, pass, set, answerIn } = clockOf();
    await clock.now();
    for (const milliseconds of [9_000, 4_000, 0]) {
      answerIn(milliseconds);
      await clock.now();
      expect(clock.jumped(60_000)).toBe(false);
    }
    answerIn(5_000);
    set(15_000);
    await clock.now();
    expect(clock.jumped(60_000)).toBe(true);
    pass(1);
  });

  it.each([10_000, 48 * HOUR])(
    'that was set by %i ms while no process ran is not trusted by the next one',
    async (step) => {
      const { clock, pass, set, start } = clockOf();
      await clock.now();
      pass(5_000);
      set(step);
      const next = start();
      await next.now();
      expect(next.jumped(60_000)).toBe(true);
      expect(next.jumped()).toBe(step > HOUR);
      // Nor by one that comes when it has been seen by another already.
      pass(5_000);
      const last = start();
      await last.now();
      expect(last.jumped(60_000)).toBe(true);
      expect(last.jumped()).toBe(step > HOUR);
    },
  );

  it.each([-HOUR, 48 * HOUR])(
    'that was set by %i ms tells each process of the machine what it would say else, until it is believed',
    async (jump) => {
      const { clock, pass, set, start, wall } = clockOf();
      await clock.now();
      expect(clock.asBefore()).toBeUndefined();
      set(jump);
      const next = start();
      await next.now();
      expect(next.asBefore()).toBe(wall() - jump);
      pass(HOUR / 2);
      const last = start();
      await last.now();
      expect(last.asBefore()).toBe(wall() - jump);
      pass(HOUR);
      await last.now();
      expect(last.asBefore()).toBeUndefined();
    },
  );

  it('would say nothing else where it has jumped because the machine slept', async () => {
    const { clock, sleep, start, wall } = clockOf();
    await clock.now();
    sleep(2 * HOUR);
    const next = start();
    await next.now();
    expect(next.asBefore()).toBe(wall());
  });

  it('is trusted at once by a process that follows another', async () => {
    const { clock, pass, start } = clockOf();
    await clock.now();
    pass(30 * HOUR);
    const next = start();
    await next.now();
    expect([next.jumped(), next.jumped(60_000)]).toEqual([false, false]);
  });
});
