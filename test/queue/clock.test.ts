import { describe, expect, it } from 'vitest';
import { steadyClock } from '../../src/queue/clock.ts';

const HOUR = 3_600_000;

function clockOf(ahead = 0) {
  let wall = 1_000_000;
  let monotonic = 0;
  const clock = steadyClock(
    async () => wall + ahead,
    () => monotonic,
    () => wall,
  );
  return {
    clock,
    pass(milliseconds: number) {
      wall += milliseconds;
      monotonic += milliseconds;
    },
    set(milliseconds: number) {
      wall += milliseconds;
    },
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
});
