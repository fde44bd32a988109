import { expect, it } from 'vitest';
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
