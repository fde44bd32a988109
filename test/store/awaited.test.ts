import type { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { dateField } from '../../src/gateway/schedule.ts';
import { whileAwaited } from '../../src/store/awaited.ts';
import { scheduleStore } from '../../src/store/schedule.ts';
import { startTestRedis } from '../support/redis.ts';
import { freezeRedis } from '../support/redis-trouble.ts';
import { aMessage, openStore } from '../support/store.ts';

const HOUR = 3_600_000;
it.each([
  ['', 1],
  [', nor the first of a process', 0],
])(
  'a message whose caller was told that Redis does not answer is not accepted when it goes on%s',
  async (_, before) => {
    await using redis = await startTestRedis();
    const { messages, mailboxes, redis: client, keys, close } = openStore(redis.url, 'prompt');
    await expect.poll(() => mailboxes.now().catch(() => 0)).toBeGreaterThan(0);
    const schedule = scheduleStore(client, keys, { lifetimeMilliseconds: HOUR } as never, messages);
    const sendAt = Date.now() + HOUR;
    const later = { ...aMessage(), sendAt, date: dateField(sendAt) };
    const now = aMessage();
    for (let count = 0; count < before; count += 1) await messages.accept(aMessage());
    const frozen = freezeRedis(redis);
    const answers = await Promise.allSettled([messages.accept(now), schedule.accept(later)]);
    frozen.resume();
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect.poll(() => mailboxes.now().catch(() => 0), { timeout: 10_000 }).toBeGreaterThan(0);
    expect(await messages.find(now.id)).toBeUndefined();
    expect(await messages.find(later.id)).toBeUndefined();
    expect(await messages.accept(now)).toMatchObject({ kind: 'accepted' });
    expect(await schedule.accept(later)).toMatchObject({ kind: 'accepted' });
    close();
  },
);

describe('where Redis refuses what comes too late,', () => {
  interface Answer {
    at: number;
    isLate: boolean;
  }

  /** A Redis whose clock is the test's, which takes no time to answer. */
  function clocked(commandTimeout?: number) {
    const asked: (number | undefined)[] = [];
    const clock = { ahead: 0 };
    const now = () => performance.now() + clock.ahead;
    const time = async () => [String(Math.floor(now() / 1_000)), String(Math.floor((now() % 1_000) * 1_000))];
    const redis = { options: { commandTimeout }, time } as unknown as Redis;
    const ask = async (until: number | undefined): Promise<Answer> => {
      asked.push(until);
      const at = now();
      return { at, isLate: until !== undefined && at > until };
    };
    return { clock, asked, get: () => whileAwaited(redis, ask, (answer) => answer) };
  }

  it('a clock that is set two days ahead refuses nobody, nor one that is set back', async () => {
    const { clock, asked, get } = clocked(2_000);
    for (const ahead of [1e12, 1e12 + 48 * HOUR, 1e12, 1e12 + 48 * HOUR]) {
      clock.ahead = ahead;
      expect((await get()).isLate).toBe(false);
      expect((await get()).isLate).toBe(false);
    }
    // Two for each time, and one more for each time that it was set ahead.
    expect(asked).toHaveLength(10);
    expect((asked.at(-1) ?? 0) - performance.now() - clock.ahead).toBeLessThan(2_000);
  });

  it('nothing is too late for whoever waits without end', async () => {
    const { asked, get } = clocked();
    for (let i = 0; i < 2; i++) await get();
    expect(asked).toEqual([undefined, undefined]);
  });
});
