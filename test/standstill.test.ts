import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { watchStandstill } from '../src/standstill.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('a process that was stopped for a minute says so when it goes on, and one that is a little late says nothing', () => {
  const told: object[] = [];
  let stopped = 0;
  const watch = watchStandstill({ warn: (fields) => void told.push(fields) }, () => Date.now() + stopped);
  vi.advanceTimersByTime(5_000);
  stopped += 1_500;
  vi.advanceTimersByTime(5_000);
  expect(told).toEqual([]);
  stopped += 60_000;
  vi.advanceTimersByTime(5_000);
  expect(told).toEqual([{ milliseconds: 60_000 }]);
  watch.close();
});
