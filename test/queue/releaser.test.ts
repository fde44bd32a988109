import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ReleaseTools } from '../../src/gateway/schedule.ts';
import { type KnownClock, steadyClock } from '../../src/queue/clock.ts';
import { startReleaser } from '../../src/queue/releaser.ts';
import { steadyTime } from '../../src/queue/steady-time.ts';
import { eventually } from '../support/postroom.ts';

const HOUR = 3_600_000;
const START = 1_800_000_000_000;

describe('a steady time', () => {
  function timeOf() {
    const clock = { wall: START, monotonic: 5_000 };
    const time = steadyTime(() => clock.monotonic);
    time.learn(clock.wall);
    return {
      time,
      pass(milliseconds: number) {
        clock.wall += milliseconds;
        clock.monotonic += milliseconds;
        time.learn(clock.wall);
      },
      set(milliseconds: number) {
        clock.wall += milliseconds;
        time.learn(clock.wall);
      },
    };
  }

  it('knows nothing before the first reading', () => {
    expect(steadyTime().now()).toBeUndefined();
  });

  it('follows small corrections', () => {
    const { time, pass, set } = timeOf();
    for (let i = 0; i < 5; i++) set(1_500);
    pass(1_000);
    expect(time.now()).toBe(START + 8_500);
  });

  it.each([-HOUR, 48 * HOUR, 5_000])('does not believe a jump of %i ms for an hour, and then does', (jump) => {
    const { time, pass, set } = timeOf();
    set(jump);
    expect(time.now()).toBe(START);
    pass(HOUR / 2);
    expect(time.now()).toBe(START + HOUR / 2);
    pass(HOUR);
    expect(time.now()).toBe(START + 1.5 * HOUR + jump);
  });

  it('forgets a jump that was set right', () => {
    const { time, pass, set } = timeOf();
    set(48 * HOUR);
    pass(HOUR / 2);
    set(-48 * HOUR);
    pass(0.75 * HOUR);
    set(48 * HOUR);
    pass(HOUR / 2);
    expect(time.now()).toBe(START + 1.75 * HOUR);
  });
});

describe('a steady time that begins when the clock it is set by has jumped', () => {
  it.each([48 * HOUR, 90_000])('goes by its own clock for an hour where that is %i ms behind', (ahead) => {
    let monotonic = 5_000;
    const time = steadyTime(
      () => monotonic,
      () => START + monotonic,
    );
    for (const passed of [0, HOUR / 2]) {
      monotonic = 5_000 + passed;
      time.learn(START + monotonic + ahead);
      expect(time.now()).toBe(START + monotonic);
    }
    monotonic += HOUR;
    time.learn(START + monotonic + ahead);
    expect(time.now()).toBe(START + monotonic + ahead);
  });

  it.each([-HOUR, 30_000])(
    'goes by the reading where that is %i ms ahead: rather late, and never by itself',
    (ahead) => {
      const time = steadyTime(
        () => 5_000,
        () => START,
      );
      time.learn(START + ahead);
      expect(time.now()).toBe(START + ahead);
    },
  );
});

describe('the releaser', () => {
  const stops: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  const aClock = { now: async () => Date.now(), asBefore: () => undefined };

  /** A store whose clock a test sets, with one message due at `dueAt`. */
  function release(dueAt: number, offset = 0, clock: Parameters<typeof startReleaser>[0]['clock'] = aClock) {
    const store = { offset, asked: [] as number[], away: false };
    const jobs: string[] = [];
    let there = true;
    const now = () => Date.now() + store.offset;
    const tools: ReleaseTools = {
      schedule: {
        async releaseDue(asOf) {
          if (store.away) throw new Error('away');
          store.asked.push(asOf);
          const ticket = { messageId: 'msg_1', number: 2, priority: 'normal' as const };
          if (!there || asOf < dueAt) return { now: now(), next: there ? dueAt : undefined, queued: [] };
          there = false;
          return { now: now(), next: undefined, queued: [{ mailbox: 'main', ticket, expiresAt: 0 }] };
        },
      },
      postpone: async () => undefined,
      addJob: async (_mailbox, { messageId }) => void jobs.push(messageId),
      wake: async () => undefined,
      log: { info: () => undefined },
    };
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const releaser = startReleaser({ ...tools, clock, log });
    stops.push(releaser.stop);
    return { store, jobs };
  }

  it('queues a message at its time, not before, although the clock is set two days ahead', async () => {
    const dueAt = Date.now() + 1_500;
    const { store, jobs } = release(dueAt);
    await eventually(() => store.asked.length >= 2);
    store.offset = 48 * HOUR;
    await eventually(() => jobs.length === 1);
    expect(Date.now()).toBeGreaterThanOrEqual(dueAt - 1);
    expect(Math.max(...store.asked)).toBeLessThan(dueAt + HOUR);
  });

  it('queues nothing early that starts after the clock was set two days ahead', async () => {
    const dueAt = Date.now() + 1_500;
    const { store, jobs } = release(dueAt, 48 * HOUR);
    await eventually(() => jobs.length === 1);
    expect(Date.now()).toBeGreaterThanOrEqual(dueAt - 1);
    expect(Math.max(...store.asked)).toBeLessThan(dueAt + HOUR);
  });

  it('queues nothing early that starts after the clock of the whole machine was set two days ahead', async () => {
    const realNow = Date.now;
    const dueAt = realNow() + 1_500;
    let kept: KnownClock | undefined;
    const memory = {
      recall: async () => kept,
      async remember(known: KnownClock) {
        kept = known;
      },
    };
    const aProcess = () => steadyClock(async () => Date.now(), undefined, undefined, memory);
    await aProcess().now();
    const setAhead = vi.spyOn(Date, 'now').mockImplementation(() => realNow() + 48 * HOUR);
    const { jobs } = release(dueAt, 0, aProcess());
    await eventually(() => jobs.length === 1);
    setAhead.mockRestore();
    expect(Date.now()).toBeGreaterThanOrEqual(dueAt - 1);
    expect(Date.now()).toBeLessThan(dueAt + 5_000);
  });

  it('does not come late because the clock is set back', async () => {
    const { store, jobs } = release(Date.now() + 1_500);
    await eventually(() => store.asked.length >= 2);
    store.offset = -HOUR;
    await eventually(() => jobs.length === 1);
  });

  it('goes on when the store is back', async () => {
    const { store, jobs } = release(Date.now() + 300);
    store.away = true;
    await eventually(() => store.asked.length === 1);
    store.away = false;
    await eventually(() => jobs.length === 1);
  });
});
