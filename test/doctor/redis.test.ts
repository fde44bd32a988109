import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { askRedis } from '../../src/ask-redis.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { connectRedis } from '../../src/store/redis.ts';
import { redisFacts } from '../../src/store/redis-facts.ts';
import { freePort } from '../support/process.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { whileRefusing } from '../support/redis-trouble.ts';
import { examineSandbox } from './patient.ts';

const PROBE = '{postroom}:probe';

let redis: TestRedis;
let sandbox: Sandbox;
let client: Redis;
beforeAll(async () => {
  [redis, sandbox] = await Promise.all([startTestRedis(), startSandbox()]);
  client = new Redis(redis.url);
});
afterAll(async () => {
  client.disconnect();
  await sandbox[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

const SETTINGS = { 'maxmemory-policy': 'noeviction', maxmemory: '0', appendonly: 'yes', appendfsync: 'always' };
beforeEach(async () => {
  for (const [name, value] of Object.entries(SETTINGS)) await client.config('SET', name, value);
});

const here = () => ({ redis: () => redisFacts(client, PROBE) });

test('Postroom’s own Redis is as it should be', async () => {
  const { troubles, step } = await examineSandbox(sandbox, {}, here());
  expect(troubles).toEqual([]);
  expect(step('redis').finding).toMatch(/^Version \d+\.\d+/);
});

test.each([
  ['maxmemory-policy', 'allkeys-lru', 'redisEviction fail', /allkeys-lru/],
  ['appendfsync', 'everysec', 'redisDurability warn', /everysec/],
  ['appendonly', 'no', 'redisDurability warn', /appendonly is off/],
])('%s %s is found', async (name, value, trouble, words) => {
  await client.config('SET', name, value);
  const { troubles, step } = await examineSandbox(sandbox, {}, here());
  expect(troubles).toEqual([trouble]);
  expect(step(trouble.split(' ')[0] ?? '').finding).toMatch(words);
});

test('a Redis that is nearly full is found', async () => {
  const { usedBytes } = await redisFacts(client, PROBE);
  const nearlyFull = { ...(await redisFacts(client, PROBE)), maxBytes: Math.round(usedBytes * 1.1) };
  const { troubles, step } = await examineSandbox(sandbox, {}, { redis: async () => nearlyFull });
  expect(troubles).toEqual(['redisMemory warn']);
  expect(step('redisMemory').finding).toMatch(/ MiB of \d+ MiB used/);
});

test.each([
  ['OOM', /maxmemory/],
  ['MISCONF', /disk/],
  ['NOREPLICAS', /replicas/],
] as const)('a Redis that answers, but refuses to write with %s, is found', async (kind, remedy) => {
  await whileRefusing(kind, redis, async () => {
    const { troubles, step } = await examineSandbox(sandbox, {}, here());
    expect(troubles).toEqual(['redis fail']);
    expect(step('redis').finding).toContain(`takes no writes: ${kind}`);
    expect(step('redis').remedy).toMatch(remedy);
  });
});

test('a Redis that does not answer is found, and the rest is examined all the same', async () => {
  const nowhere = connectRedis('redis://127.0.0.1:1', 'prompt', () => undefined);
  const { troubles, step } = await examineSandbox(sandbox, {}, { redis: () => redisFacts(nowhere, PROBE) });
  nowhere.disconnect();
  expect(troubles).toEqual(['redis fail']);
  expect(step('redisMemory').status).toBe('skipped');
  expect(step('auth').status).toBe('ok');
});

test.each([
  ['NOAUTH', 'redis://127.0.0.1', /does not let us in: NOAUTH/],
  ['WRONGPASS', 'redis://default:another@127.0.0.1', /does not let us in: WRONGPASS/],
])('a Redis that answers %s is told from one that is away', async (_, origin, words) => {
  const port = await freePort();
  await client.config('SET', 'port', port);
  await client.config('SET', 'requirepass', 'one');
  try {
    const redis = askRedis(`${origin}:${port}`, PROBE);
    const { step } = await examineSandbox(sandbox, {}, redis && { redis });
    expect(step('redis').finding).toMatch(words);
    expect(step('redis').remedy).toMatch(/REDIS_URL/);
  } finally {
    await client.config('SET', 'requirepass', '');
  }
});

test.each([
  [{ version: '5.0.14' }, /too old/],
  [{ isReplica: true }, /replica/],
  [{ isLoading: true }, /loading/],
])('%j is no Redis to work with', async (change, words) => {
  const facts = { ...(await redisFacts(client, PROBE)), ...change };
  const { troubles, step } = await examineSandbox(sandbox, {}, { redis: async () => facts });
  expect(troubles).toEqual(['redis fail']);
  expect(step('redis').finding).toMatch(words);
});

test('a Redis service that hides its settings is warned of', async () => {
  const { appendFsync: _, ...facts } = await redisFacts(client, PROBE);
  expect((await examineSandbox(sandbox, {}, { redis: async () => facts })).troubles).toEqual(['redisDurability warn']);
});
