import { type ConnectionOptions, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sharedBackends } from '../../src/queue/backend.ts';
import { JOB_NAME, JOB_OPTIONS, jobQueues, WORKER_OPTIONS } from '../../src/queue/jobs.ts';
import { eventually } from '../support/postroom.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { type REFUSALS, whileRefusing } from '../support/redis-trouble.ts';

let redis: TestRedis;
let client: Redis;
beforeAll(async () => {
  redis = await startTestRedis();
  client = new Redis(redis.url, { maxRetriesPerRequest: null });
});
afterAll(async () => {
  client.disconnect();
  await redis[Symbol.asyncDispose]();
});

const LOOKS = 500;

it.each(['OOM', 'READONLY', 'NOREPLICAS'] satisfies (keyof typeof REFUSALS)[])(
  'a worker with jobs waiting does not ask a Redis that refuses with %s over and over, and goes on when it takes writes again',
  async (kind) => {
    const prefix = `{${kind}}`;
    const backends = sharedBackends(client);
    const jobs = jobQueues(client, prefix, backends);
    const waiting = ['one', 'two', 'three'];
    for (const messageId of waiting) await jobs.add('main', { messageId, number: 1, priority: 'normal' });
    const done: string[] = [];
    const refusals: Error[] = [];
    const worker = new Worker(
      'main',
      async ({ data }) => {
        done.push(data.messageId);
      },
      {
        ...WORKER_OPTIONS,
        connection: client as unknown as ConnectionOptions,
        prefix,
        autorun: false,
        drainDelay: 5,
        runRetryDelay: 1_000,
      },
      backends.forLanes({ jobName: JOB_NAME, jobOptions: JOB_OPTIONS, lockMilliseconds: 15_000 }),
    );
    worker.on('error', (error) => refusals.push(error));
    await whileRefusing(kind, redis, async () => {
      void worker.run();
      await eventually(() => refusals.some(({ message }) => message.includes(kind)));
      for (let look = 0; look < LOOKS; look++) await client.ping();
    });
    expect(refusals.length).toBeLessThan(LOOKS / 10);
    await eventually(() => done.length === waiting.length);
    await worker.close();
  },
);
