import { type ConnectionOptions, Queue, type RedisQueueBackend, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharedBackends } from '../../src/queue/backend.ts';
import { JOB_NAME, JOB_OPTIONS, jobQueues, WORKER_OPTIONS } from '../../src/queue/jobs.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';

/**
 * The same queue twice: jobs of one are ended, and the next ones fetched, by BullMQ's own script, of the other by ours.
 * Whatever is left in Redis must be the same, but for what `compared` names.
 */
const LOCK_MILLISECONDS = 15_000;
const SIDES = ['theirs', 'ours'] as const;
type Side = (typeof SIDES)[number];

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

/** A queue, and the back end of its worker. */
interface Lane {
  queue: Queue;
  worker: RedisQueueBackend;
  /** In BullMQ's keys. */
  key(name: string): string;
  /** Gives jobs to the worker, each under the token `token-<n>` from 1; the ids. */
  fetch(count: number): Promise<string[]>;
  /** Ends jobs in one turn of the event loop, those of ours; of theirs one after the other. What each was answered. */
  end(jobs: { id: string; token: string; fetchNext?: boolean }[]): Promise<unknown[]>;
}

function laneOf(side: Side): Lane {
  const prefix = `{${side}}`;
  const backends = sharedBackends(client);
  const connection = client as unknown as ConnectionOptions;
  const queue = new Queue('main', { connection, prefix, streams: { events: { maxLen: 100 } } }, backends.factory);
  const lane = { jobName: JOB_NAME, jobOptions: JOB_OPTIONS, lockMilliseconds: LOCK_MILLISECONDS };
  const factory = side === 'ours' ? backends.forLanes(lane) : backends.factory;
  const options = { ...WORKER_OPTIONS, connection, prefix, lockDuration: LOCK_MILLISECONDS };
  const worker = factory('main', options, { withBlockingConnection: true });
  const endOne = ({ id, token, fetchNext = true }: Parameters<Lane['end']>[0][number]) =>
    worker
      .moveToCompleted({ id, opts: JOB_OPTIONS } as never, undefined, undefined as never, token, fetchNext)
      .then(({ result }) => answerOf(result as unknown[] | undefined))
      .catch((error: Error & { code?: number }) => ({ error: error.code ?? error.message }));
  return {
    queue,
    worker,
    key: (name) => `${prefix}:main:${name}`,
    async fetch(count) {
      const ids: string[] = [];
      for (let each = 1; each <= count; each++) {
        const [, id] = (await worker.moveToActive(`token-${each}`)) as unknown[];
        ids.push(String(id));
      }
      return ids;
    },
    async end(jobs) {
      if (side === 'ours') return Promise.all(jobs.map(endOne));
      const answers: unknown[] = [];
      for (const job of jobs) answers.push(await endOne(job));
      return answers;
    },
  };
}

/** What BullMQ's worker makes of an answer. It looks for the next delayed job at that time, in whole milliseconds. */
function answerOf([job, id, rateLimitDelay, delayUntil]: unknown[] = []): object {
  const { data, name, attemptsMade, opts } = (job ?? {}) as Record<string, unknown>;
  const { attempts, backoff } = (opts ?? {}) as Record<string, unknown>;
  return {
    job: job ? { id, data, name, attemptsMade, attempts, backoff } : undefined,
    isRateLimited: Number(rateLimitDelay ?? 0) > 0,
    delayUntil: Math.floor(Number(delayUntil ?? 0)),
  };
}

/** Nobody reads these in our lanes: no worker blocks on a marker, and what a job had from being fetched goes with it. */
const UNREAD_KEYS = ['marker'];
const UNREAD_FIELDS = ['processedOn', 'ats'];
const UNREAD_EVENTS = ['active', 'completed', 'drained'];

/** Everything that is in Redis under a prefix, of every type; what depends on the second in which it was written, less that. */
async function compared(side: Side): Promise<Record<string, unknown>> {
  const keys = (await client.keys(`{${side}}:*`)).sort();
  const kept: Record<string, unknown> = {};
  for (const key of keys) {
    const name = key.slice(`{${side}}:main:`.length);
    if (!UNREAD_KEYS.includes(name)) kept[name] = await contentOf(key);
  }
  return kept;
}

async function contentOf(key: string): Promise<unknown> {
  const type = await client.type(key);
  const isLasting = (await client.pttl(key)) < 0;
  if (type === 'string') return { string: await client.get(key), isLasting };
  if (type === 'list') return { list: await client.lrange(key, 0, -1), isLasting };
  if (type === 'set') return { set: (await client.smembers(key)).sort(), isLasting };
  if (type === 'stream') {
    const events = await client.xrange(key, '-', '+');
    const fields = events.map(([, each]) => each.join(' ').replace(/\d{13}/, '<time>'));
    return { events: fields.filter((each) => !UNREAD_EVENTS.includes(each.split(' ')[1] ?? '')), isLasting };
  }
  if (type === 'zset') return { zset: await client.zrange(key, '0', '-1', 'WITHSCORES'), isLasting };
  const hash = Object.entries(await client.hgetall(key)).filter(([field]) => !UNREAD_FIELDS.includes(field));
  return { hash: Object.fromEntries(hash.map((entry) => timeless(entry))), isLasting };
}

function timeless([field, value]: [string, string]): [string, string] {
  return field === 'timestamp' ? [field, ''] : [field, value];
}

interface Scenario {
  what: string;
  /** Jobs by their ids: their priority, and their delay if any. */
  jobs: Record<string, { priority?: number; delay?: number; attemptsMade?: number }>;
  /** How many of them the worker has in hand. */
  inHand: number;
  /** What else is the case. */
  before?: (lane: Lane, inHand: string[]) => Promise<unknown>;
  /** What is ended; without it, everything in hand, and the next ones are fetched. */
  ended?: (inHand: string[]) => Parameters<Lane['end']>[0];
  /** Ids of the jobs that are fetched, to show that the scenario is what its name says. */
  fetched: (string | undefined)[];
}

/** BullMQ keeps a time in milliseconds in the upper bits of a score, and the order of those of one time in the lower. */
const delayedUntil =
  (time: number) =>
  async ({ key }: Lane) => {
    const ids = await client.zrange(key('delayed'), '0', '-1');
    for (const [index, id] of ids.entries()) await client.zadd(key('delayed'), time * 4_096 + index + 1, id);
  };
const pastDue = delayedUntil(1_000);
const IN_THE_YEAR_2100 = 4_102_444_800_000;
const notDue = delayedUntil(IN_THE_YEAR_2100);

const SCENARIOS: Scenario[] = [
  { what: 'without anything that waits', jobs: { a: {} }, inHand: 1, fetched: [undefined] },
  { what: 'with jobs of no priority', jobs: { a: {}, b: {}, c: {} }, inHand: 1, fetched: ['b'] },
  {
    what: 'with priorities',
    jobs: { a: { priority: 1 }, b: { priority: 3 }, c: { priority: 2 }, d: { priority: 2 } },
    inHand: 1,
    fetched: ['c'],
  },
  {
    what: 'with some that have a priority and some that have none',
    jobs: { a: { priority: 1 }, b: { priority: 1 }, c: {}, d: {} },
    inHand: 1,
    fetched: ['d'],
  },
  {
    what: 'with the last that has a priority',
    jobs: { a: { priority: 1 }, b: { priority: 1 } },
    inHand: 2,
    fetched: [undefined, undefined],
  },
  {
    what: 'several in a turn, of which the last finds nothing',
    jobs: { a: {}, b: { priority: 2 }, c: { priority: 2 }, d: { priority: 1 }, e: { priority: 3 } },
    inHand: 3,
    fetched: ['c', 'e', undefined],
  },
  {
    what: 'several in a turn, of which one fetches nothing',
    jobs: { a: {}, b: {}, c: {}, d: {}, e: {} },
    inHand: 3,
    ended: (ids) => ids.map((id, index) => ({ id, token: `token-${index + 1}`, fetchNext: index !== 1 })),
    fetched: ['d', undefined, 'e'],
  },
  {
    what: 'with a delayed job whose time has not come',
    jobs: { a: {}, b: { delay: 3_600_000 }, c: { delay: 3_600_000 } },
    inHand: 1,
    before: notDue,
    fetched: [undefined],
  },
  {
    what: 'with a job that waits, and a delayed one whose time has not come',
    jobs: { a: {}, b: { delay: 3_600_000 }, c: { priority: 2 } },
    inHand: 1,
    before: notDue,
    fetched: ['c'],
  },
  {
    what: 'with a delayed job that is due',
    jobs: { a: {}, b: { delay: 3_600_000, priority: 1 }, c: { priority: 2 } },
    inHand: 1,
    before: pastDue,
    fetched: ['b'],
  },
  {
    what: 'several in a turn, with delayed jobs that are due',
    jobs: { a: {}, b: {}, c: { delay: 3_600_000 }, d: { delay: 3_600_000, priority: 3 }, e: { priority: 2 } },
    inHand: 2,
    before: pastDue,
    fetched: ['c', 'e'],
  },
  {
    what: 'of a queue that is paused',
    jobs: { a: {}, b: {}, c: { priority: 1 } },
    inHand: 1,
    before: ({ queue }) => queue.pause(),
    fetched: [undefined],
  },
  {
    what: 'of a queue that runs one at a time',
    jobs: { a: {}, b: {}, c: {} },
    inHand: 1,
    before: ({ queue }) => queue.setGlobalConcurrency(1),
    fetched: ['b'],
  },
  {
    what: 'of a queue that runs one at a time and has another in hand',
    jobs: { a: {}, b: {}, c: {} },
    inHand: 2,
    before: ({ queue }) => queue.setGlobalConcurrency(1),
    ended: ([id = '']) => [{ id, token: 'token-1' }],
    fetched: [undefined],
  },
  {
    what: 'of a queue whose rate is used up',
    jobs: { a: {}, b: {} },
    inHand: 1,
    before: async ({ queue, key }) => {
      await queue.setGlobalRateLimit(1, 60_000);
      await client.set(key('limiter'), '1', 'PX', 60_000);
    },
    fetched: [undefined],
  },
  {
    what: 'whose lock is somebody else’s by now',
    jobs: { a: {}, b: {} },
    inHand: 1,
    before: ({ key }, [id]) => client.set(key(`${id}:lock`), 'another', 'PX', 60_000),
    fetched: [undefined],
  },
  {
    what: 'whose lock has run out',
    jobs: { a: {}, b: {} },
    inHand: 1,
    before: ({ key }, [id]) => client.del(key(`${id}:lock`)),
    fetched: [undefined],
  },
  {
    what: 'that is gone',
    jobs: { a: {}, b: {} },
    inHand: 1,
    before: ({ key }, [id]) => client.del(key(`${id}`), key(`${id}:lock`)),
    fetched: [undefined],
  },
  {
    what: 'one of which has lost its lock, the others of the turn not',
    jobs: { a: {}, b: {}, c: {}, d: {}, e: {} },
    inHand: 3,
    before: ({ key }, ids) => client.del(key(`${ids[1]}:lock`)),
    fetched: ['d', undefined, 'e'],
  },
  {
    what: 'that was looked at as perhaps stalled',
    jobs: { a: {}, b: {} },
    inHand: 1,
    before: ({ key }, [id]) => client.sadd(key('stalled'), `${id}`, 'another'),
    fetched: ['b'],
  },
  {
    what: 'before one that has been tried before',
    jobs: { a: {}, b: { attemptsMade: 3 } },
    inHand: 1,
    fetched: ['b'],
  },
];

async function play(side: Side, { jobs, inHand, before, ended }: Scenario) {
  const lane = laneOf(side);
  await lane.queue.waitUntilReady();
  for (const [id, { attemptsMade, ...options }] of Object.entries(jobs)) {
    await lane.queue.add(JOB_NAME, { m: id, n: 1, p: 'normal' }, { ...JOB_OPTIONS, ...options, jobId: id });
    if (attemptsMade) await client.hset(lane.key(id), 'atm', String(attemptsMade));
  }
  const ids = await lane.fetch(inHand);
  await before?.(lane, ids);
  const answers = await lane.end(ended?.(ids) ?? ids.map((id, index) => ({ id, token: `token-${index + 1}` })));
  const left = await compared(side);
  await lane.queue.close();
  return { answers, left };
}

describe('a job of a lane that is over', () => {
  it.each(SCENARIOS)('leaves Redis as BullMQ’s own script would: $what', async (scenario) => {
    await client.flushall();
    const [theirs, ours] = [await play('theirs', scenario), await play('ours', scenario)];
    expect(ours).toEqual(theirs);
    const ids = ours.answers.map((answer) => (answer as { job?: { id: string } }).job?.id);
    expect(ids).toEqual(scenario.fetched);
  });

  it('is told of to nobody, and nobody is told of the next one: that is all it leaves out', async () => {
    await client.flushall();
    const scenario = { what: '', jobs: { a: {}, b: {} }, inHand: 1, fetched: [] };
    for (const side of SIDES) await play(side, scenario);
    const eventsOf = async (side: Side) =>
      (await client.xrange(`{${side}}:main:events`, '-', '+')).map(([, fields]) => fields[1]);
    expect(await eventsOf('theirs')).toEqual([...(await eventsOf('ours')), 'completed', 'active']);
    const fieldsOf = async (side: Side) => Object.keys(await client.hgetall(`{${side}}:main:b`)).sort();
    expect(await fieldsOf('theirs')).toEqual([...(await fieldsOf('ours')), ...UNREAD_FIELDS].sort());
  });

  it('is followed by the next one that is there: one whose content is gone is passed over', async () => {
    await client.flushall();
    const { answers, left } = await play('ours', {
      what: '',
      jobs: { a: {}, b: {}, c: {} },
      inHand: 1,
      before: ({ key }) => client.del(key('b')),
      fetched: [],
    });
    expect(answers).toMatchObject([{ job: { id: 'c' } }]);
    expect(left.active).toEqual({ list: ['c'], isLasting: true });
    expect(left.b).toBeUndefined();
  });
});

it('a lane that is to take fewer jobs in hand than it has goes on with what waits', async () => {
  const prefix = '{fewer}';
  const backends = sharedBackends(client);
  const jobs = jobQueues(client, prefix, backends);
  const names = Array.from({ length: 20 }, (_, index) => `msg_${index}`);
  for (const messageId of names) await jobs.add('main', { messageId, number: 1, priority: 'normal' });
  const inHand: (() => void)[] = [];
  const done: string[] = [];
  let isHolding = true;
  const worker = new Worker(
    'main',
    async ({ id = '' }) => {
      if (isHolding) await new Promise<void>((resolve) => inHand.push(resolve));
      done.push(id);
    },
    // So long it would wait if it took the queue for empty.
    { ...WORKER_OPTIONS, connection: client as unknown as ConnectionOptions, prefix, concurrency: 6, drainDelay: 60 },
    backends.forLanes({ jobName: JOB_NAME, jobOptions: JOB_OPTIONS, lockMilliseconds: LOCK_MILLISECONDS }),
  );
  worker.on('error', () => undefined);
  await expect.poll(() => inHand.length, { timeout: 10_000 }).toBe(6);
  worker.concurrency = 3;
  isHolding = false;
  for (const go of inHand) go();
  await expect.poll(() => done.length, { timeout: 10_000 }).toBe(names.length);
  await worker.close();
});
