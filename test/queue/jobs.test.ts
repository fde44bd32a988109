import { type ConnectionOptions, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { sharedBackends } from '../../src/queue/backend.ts';
import { FIRST_JOBS, jobQueues } from '../../src/queue/jobs.ts';
import { connectRedis } from '../../src/store/redis.ts';
import { eventually } from '../support/postroom.ts';
import { startTestRedis } from '../support/redis.ts';
import { startRedisProxy } from '../support/redis-proxy.ts';
import { aMessage, openStore } from '../support/store.ts';

/** What there is of the job `msg_1-1`, and the order of all. */
async function keptIn(client: Redis, queue: string): Promise<object> {
  const { data = '', opts = '', timestamp, ...fields } = await client.hgetall(`${queue}:msg_1-1`);
  // Said in its key already.
  const { jobId: _, ...options } = JSON.parse(opts) as { jobId?: string };
  const order = await client.zrangebyscore(`${queue}:prioritized`, '-inf', '+inf', 'WITHSCORES');
  return { fields, data: JSON.parse(data), options, isTimed: Number(timestamp) > 1e12, order };
}

const ticket = { messageId: 'msg_1', number: 1, priority: 'normal' } as const;

describe('a job', () => {
  it('that a dead process had in hand is found, however many it had', async () => {
    await using redis = await startTestRedis();
    const client = connectRedis(redis.url, 'prompt', () => undefined);
    await eventually(() => client.status === 'ready');
    const jobs = jobQueues(client, '{test}:lanes', sharedBackends(client));
    const numbers = [1, 2, 3, 4, 5];
    for (const number of numbers) await client.lpush('{test}:lanes:main:active', `msg_1-${number}`);
    expect((await jobs.active('main')).map(({ number }) => number).sort()).toEqual(numbers);
    client.disconnect();
  });

  it('with a delay is added by a process that began before its Redis could be reached', async () => {
    await using redis = await startTestRedis();
    await using proxy = await startRedisProxy(redis.url);
    proxy.cut();
    const client = connectRedis(proxy.url, 'prompt', () => undefined);
    const jobs = jobQueues(client, '{test}:lanes', sharedBackends(client));
    await new Promise((resolve) => setTimeout(resolve, 200));
    proxy.restore();
    await eventually(() => client.status === 'ready');
    await jobs.add('main', ticket, 60_000);
    expect(await client.exists('{test}:lanes:main:msg_1-1')).toBe(1);
    client.disconnect();
  });

  it('with a delay is added by a process whose first question to Redis was not answered', {
    timeout: 30_000,
  }, async () => {
    await using redis = await startTestRedis();
    await using proxy = await startRedisProxy(redis.url);
    const client = connectRedis(proxy.url, 'prompt', () => undefined);
    await eventually(() => client.status === 'ready');
    proxy.blackHole();
    const jobs = jobQueues(client, '{test}:lanes', sharedBackends(client));
    await expect(jobs.add('main', ticket, 60_000)).rejects.toThrow();
    proxy.restore();
    await eventually(
      () =>
        jobs.add('main', ticket, 60_000).then(
          () => true,
          () => false,
        ),
      undefined,
      20_000,
    );
    expect(await client.exists('{test}:lanes:main:msg_1-1')).toBe(1);
    client.disconnect();
  });

  it('is kept as BullMQ itself would keep it', async () => {
    await using redis = await startTestRedis();
    const client = new Redis(redis.url, { maxRetriesPerRequest: null });
    const jobs = jobQueues(client, '{ours}', sharedBackends(client));
    const opts = { attempts: 1_000_000, backoff: { type: 'again' } };
    const theirs = new Queue('main', { connection: client as unknown as ConnectionOptions, prefix: '{theirs}' });
    const ranks = { high: 2, normal: 4, low: 6 } as const;
    for (const [priority, rank] of Object.entries(ranks) as [keyof typeof ranks, number][]) {
      await client.flushall();
      for (const messageId of ['msg_1', 'msg_2', 'msg_1']) {
        await jobs.add('main', { messageId, number: 1, priority });
        const data = { m: messageId, n: 1, p: priority };
        await theirs.add('deliver', data, { ...opts, priority: rank, jobId: `${messageId}-1` });
      }
      expect(await keptIn(client, '{ours}:main')).toEqual(await keptIn(client, '{theirs}:main'));
    }
    await theirs.close();
    await jobs.close();
    client.disconnect();
  });

  it('of a new message is written with its record, as BullMQ itself would keep it, and wakes the lane', async () => {
    await using redis = await startTestRedis();
    const store = openStore(redis.url, 'patient', FIRST_JOBS);
    const client = new Redis(redis.url, { maxRetriesPerRequest: null });
    const heard: string[] = [];
    const listener = client.duplicate();
    listener.on('message', (_channel, mailbox) => heard.push(mailbox));
    await listener.subscribe(store.keys.wake);
    const opts = { attempts: 1_000_000, backoff: { type: 'again' } };
    const theirs = new Queue('main', { connection: client as unknown as ConnectionOptions, prefix: '{theirs}' });
    const ranks = { high: 2, normal: 4, low: 6 } as const;
    for (const [priority, rank] of Object.entries(ranks) as [keyof typeof ranks, number][]) {
      await client.flushall();
      const { fixed } = aMessage();
      const idempotency = { key: 'again', fingerprint: 'same' };
      const messages = ['msg_1', 'msg_2'].map((id) => aMessage({ id, fixed: { ...fixed, priority } }));
      await Promise.all(messages.map((message) => store.messages.accept({ ...message, idempotency })));
      await Promise.all(messages.map((message) => store.messages.accept(message)));
      for (const { id } of messages) {
        const data = { m: id, n: 1, p: priority };
        await theirs.add('deliver', data, { ...opts, priority: rank, jobId: `${id}-1` });
      }
      expect(await keptIn(client, `${store.keys.bull}:main`)).toEqual(await keptIn(client, '{theirs}:main'));
    }
    await eventually(() => heard.length >= 3);
    expect(new Set(heard)).toEqual(new Set(['main']));
    await theirs.close();
    listener.disconnect();
    client.disconnect();
    store.close();
  });

  it('that cannot be written, since its queue is damaged, costs no other mailbox a message, and its own is looked after', async () => {
    await using redis = await startTestRedis();
    const store = openStore(redis.url, 'patient', FIRST_JOBS);
    const { keys, messages } = store;
    await store.redis.set(`${keys.bull}:main:prioritized`, 'damaged');
    const [mine, others] = [aMessage({ id: 'msg_1' }), aMessage({ id: 'msg_2', mailbox: 'other' })];
    const idempotency = { key: 'again', fingerprint: 'same' };
    const accepted = await Promise.all([messages.accept({ ...mine, idempotency }), messages.accept(others)]);
    expect(accepted.map(({ kind }) => kind)).toEqual(['accepted', 'accepted']);
    expect(await store.redis.zrange(`${keys.bull}:other:prioritized`, '0', '-1')).toEqual(['msg_2-1']);
    expect((await store.redis.zrange(keys.due, '0', '-1')).sort()).toEqual(['msg_1', 'msg_2']);
    store.close();
  });

  it('is given to a worker by its priority, and among equals in the order in which it came, even of one turn', async () => {
    await using redis = await startTestRedis();
    const client = new Redis(redis.url, { maxRetriesPerRequest: null });
    const jobs = jobQueues(client, '{test}:lanes', sharedBackends(client));
    const asked = ['normal', 'low', 'high', 'normal', 'first', 'high'] as const;
    await Promise.all(
      asked.map((priority, index) => jobs.add('main', { messageId: `msg_${index}`, number: 1, priority })),
    );
    const done: string[] = [];
    const options = { connection: client.duplicate() as unknown as ConnectionOptions, prefix: '{test}:lanes' };
    const worker = new Worker('main', async (job) => void done.push(job.data.m), options);
    await eventually(() => done.length === asked.length);
    expect(done).toEqual(['msg_4', 'msg_2', 'msg_5', 'msg_0', 'msg_3', 'msg_1']);
    await worker.close();
    await jobs.close();
    client.disconnect();
  });

  it('of a retry whose time has come goes before others of its priority, and behind higher ones', async () => {
    await using redis = await startTestRedis();
    const client = new Redis(redis.url, { maxRetriesPerRequest: null });
    const jobs = jobQueues(client, '{test}:lanes', sharedBackends(client));
    const retry = { messageId: 'retry', number: 2, priority: 'normal' } as const;
    await jobs.add('main', retry, 60_000);
    for (const priority of ['low', 'normal', 'high'] as const)
      await jobs.add('main', { messageId: priority, number: 1, priority });
    await jobs.promote('main', retry);
    const done: string[] = [];
    const options = { connection: client.duplicate() as unknown as ConnectionOptions, prefix: '{test}:lanes' };
    const worker = new Worker('main', async (job) => void done.push(job.data.m), options);
    await eventually(() => done.length === 4);
    expect(done).toEqual(['high', 'retry', 'normal', 'low']);
    await worker.close();
    await jobs.close();
    client.disconnect();
  });

  it('whose time comes while somebody lets it go before goes, and that is no trouble', async () => {
    await using redis = await startTestRedis();
    const client = new Redis(redis.url, { maxRetriesPerRequest: null });
    const jobs = jobQueues(client, '{test}:lanes', sharedBackends(client));
    const retry = { messageId: 'retry', number: 2, priority: 'normal' } as const;
    await jobs.add('main', retry, 60_000);
    // Each finds it delayed, and one of them moves it.
    await Promise.all(Array.from({ length: 3 }, () => jobs.promote('main', retry)));
    expect(await client.zcard('{test}:lanes:main:delayed')).toBe(0);
    await jobs.close();
    client.disconnect();
  });
});
