import { setImmediate as turn } from 'node:timers/promises';
import { type ConnectionOptions, Queue } from 'bullmq';
import { expect, it } from 'vitest';
import { connectRedis } from '../../src/store/redis.ts';
import { startTestRedis } from '../support/redis.ts';
import { startRedisProxy } from '../support/redis-proxy.ts';

it('a connection bears a listener for each of many lanes without a warning, also where BullMQ has counted its own', async () => {
  await using server = await startTestRedis();
  const redis = connectRedis(server.url, 'patient', () => undefined);
  const warnings: string[] = [];
  const note = (warning: Error) => warnings.push(warning.message);
  process.on('warning', note);
  const queue = new Queue('lane', { connection: redis as unknown as ConnectionOptions });
  await queue.waitUntilReady();
  for (let lane = 0; lane < 100; lane += 1) redis.on('ready', () => undefined);
  await turn();
  process.off('warning', note);
  await queue.close();
  redis.disconnect();
  expect(warnings).toEqual([]);
});

it('where Redis says nothing any more, whoever asks after the first one was given up is refused at once', async () => {
  await using server = await startTestRedis();
  await using proxy = await startRedisProxy(server.url);
  const redis = connectRedis(proxy.url, 'prompt', () => undefined);
  await expect.poll(() => redis.ping().catch(() => undefined)).toBe('PONG');
  proxy.blackHole();
  await expect(redis.ping()).rejects.toThrow('timed out');
  await expect(redis.ping()).rejects.toThrow("Stream isn't writeable");
  redis.disconnect();
});

it('what was given up while Redis said nothing is not done when it answers again', async () => {
  await using server = await startTestRedis();
  await using proxy = await startRedisProxy(server.url);
  const redis = connectRedis(proxy.url, 'prompt', () => undefined);
  await expect.poll(() => redis.ping().catch(() => undefined)).toBe('PONG');
  proxy.blackHole();
  await expect(redis.incr('accepted')).rejects.toThrow('timed out');
  proxy.restore();
  await expect.poll(() => redis.ping().catch(() => undefined), { timeout: 10_000 }).toBe('PONG');
  expect(await redis.get('accepted')).toBeNull();
  redis.disconnect();
});
