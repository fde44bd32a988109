import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharedBackends } from '../../src/queue/backend.ts';
import { type Jobs, jobQueues } from '../../src/queue/jobs.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';

let server: TestRedis;
let redis: Redis;
let jobs: Jobs;
beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis(server.url, { maxRetriesPerRequest: null });
  jobs = jobQueues(redis, '{test}:lanes', sharedBackends(redis));
});
afterAll(async () => {
  await jobs.close();
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

const ticket = { messageId: 'msg_one', number: 1, priority: 'normal' } as const;
const waiting = () => redis.zcard('{test}:lanes:main:prioritized');
const delayed = () => redis.zcard('{test}:lanes:main:delayed');

describe('a job', () => {
  it('that is delayed runs when its time has come by the monotonic clock, whatever the wall clock says', async () => {
    await jobs.add('main', ticket, 3_600_000);
    expect([await waiting(), await delayed()]).toEqual([0, 1]);
    await jobs.promote('main', ticket);
    expect([await waiting(), await delayed()]).toEqual([1, 0]);
    await jobs.promote('main', ticket);
    await jobs.promote('main', { ...ticket, number: 9 });
    expect([await waiting(), await delayed()]).toEqual([1, 0]);
  });

  it('is there once, however often it is added', async () => {
    await jobs.add('other', ticket);
    await jobs.add('other', ticket);
    expect(await redis.zcard('{test}:lanes:other:prioritized')).toBe(1);
  });
});
