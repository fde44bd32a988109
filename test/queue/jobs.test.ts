import { describe, expect, it } from 'vitest';
import { sharedBackends } from '../../src/queue/backend.ts';
import { jobQueues } from '../../src/queue/jobs.ts';
import { connectRedis } from '../../src/store/redis.ts';
import { eventually } from '../support/postroom.ts';
import { startTestRedis } from '../support/redis.ts';
import { startRedisProxy } from '../support/redis-proxy.ts';

const ticket = { messageId: 'msg_1', number: 1, priority: 'normal' } as const;

describe('a job', () => {
  it('is added by a process that began before its Redis could be reached', async () => {
    await using redis = await startTestRedis();
    await using proxy = await startRedisProxy(redis.url);
    proxy.cut();
    const client = connectRedis(proxy.url, 'prompt', () => undefined);
    const jobs = jobQueues(client, '{test}:lanes', sharedBackends(client));
    await new Promise((resolve) => setTimeout(resolve, 200));
    proxy.restore();
    await eventually(() => client.status === 'ready');
    await jobs.add('main', ticket);
    expect(await client.exists('{test}:lanes:main:msg_1-1')).toBe(1);
    client.disconnect();
  });

  it('is added by a process whose first question to Redis was not answered', { timeout: 30_000 }, async () => {
    await using redis = await startTestRedis();
    await using proxy = await startRedisProxy(redis.url);
    const client = connectRedis(proxy.url, 'prompt', () => undefined);
    await eventually(() => client.status === 'ready');
    proxy.blackHole();
    const jobs = jobQueues(client, '{test}:lanes', sharedBackends(client));
    await expect(jobs.add('main', ticket)).rejects.toThrow();
    proxy.restore();
    await eventually(
      () =>
        jobs.add('main', ticket).then(
          () => true,
          () => false,
        ),
      undefined,
      20_000,
    );
    expect(await client.exists('{test}:lanes:main:msg_1-1')).toBe(1);
    client.disconnect();
  });
});
