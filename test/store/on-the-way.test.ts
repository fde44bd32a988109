import { type Redis, ReplyError } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { whenThereIsRoom } from '../../src/store/on-the-way.ts';
import { startTestRedis } from '../support/redis.ts';
import { startRedisProxy } from '../support/redis-proxy.ts';
import { aMessage, openStore } from '../support/store.ts';

const MEGABYTE = 1_000_000;

it('contents that come all at once are accepted, however long Redis takes for all of them', async () => {
  await using redis = await startTestRedis();
  await using proxy = await startRedisProxy(redis.url);
  const { messages, mailboxes, close } = openStore(proxy.url, 'prompt');
  await expect.poll(() => mailboxes.now().catch(() => undefined)).toBeDefined();
  // Three times as long as any one command may take, large ones that are written in pieces among them.
  proxy.narrow(10 * MEGABYTE);
  const sizes = [...Array<number>(40).fill(MEGABYTE), ...Array<number>(4).fill(5 * MEGABYTE)];
  const all = sizes.map((octets) => {
    const message = aMessage({ mime: Buffer.alloc(octets, 'x') });
    return messages.accept({ ...message, fixed: { ...message.fixed, bytes: octets } });
  });
  const small = messages.accept(aMessage());
  expect((await Promise.all([...all, small])).map(({ kind }) => kind)).toEqual(Array(45).fill('accepted'));
  close();
});

describe('where there is room for eight contents at a time, and two more wait,', () => {
  const ROOM = 8;
  let redis: Redis;
  let sent: { resolve(answer: string): void; reject(error: Error): void }[];

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
    redis = {} as Redis;
    sent = [];
  });
  afterEach(() => vi.useRealTimers());

  /** What becomes of one content; it is on its way until the test answers it. */
  function give(over = redis): Promise<string> {
    const send = () => new Promise<string>((resolve, reject) => void sent.push({ resolve, reject }));
    return whenThereIsRoom(over, MEGABYTE, send).catch((error: Error) => error.message);
  }

  const giveAll = () => Array.from({ length: ROOM + 2 }, () => give());
  const settle = () => new Promise((resolve) => setImmediate(resolve));

  it('those who wait are given up with those before them, and not sent when nobody would wait for them', async () => {
    const all = giveAll();
    await settle();
    vi.advanceTimersByTime(2_000);
    for (const { reject } of sent) reject(new Error('Command timed out'));
    expect(await Promise.all(all)).toEqual(Array(ROOM + 2).fill('Command timed out'));
    expect(sent).toHaveLength(ROOM);
  });

  it('one that is refused, however late, costs them nothing, nor does one that is given up while others are answered', async () => {
    const all = giveAll();
    await settle();
    vi.advanceTimersByTime(1_000);
    sent[0]?.reject(new ReplyError('OOM'));
    await settle();
    vi.advanceTimersByTime(2_000);
    sent[1]?.resolve('kept');
    await settle();
    sent[2]?.reject(new Error('Command timed out'));
    await settle();
    for (const { resolve } of sent) resolve('kept');
    expect(await Promise.all(all)).toEqual(['OOM', 'kept', 'Command timed out', ...Array(ROOM - 1).fill('kept')]);
  });

  it('nobody waits for what is said over another connection, where it may be waited for without end', async () => {
    giveAll();
    const other = give({} as Redis);
    await settle();
    sent.at(-1)?.resolve('kept');
    expect(await other).toBe('kept');
  });
});
