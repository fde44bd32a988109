import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ApiKey, digestOf, newSecret } from '../../src/gateway/api-key.ts';
import { keyCache } from '../../src/gateway/key-cache.ts';
import { changeKey, createKey, type KeyTools, revokeKey, rotateKey } from '../../src/gateway/keys.ts';
import { USUAL_EVENTS } from '../../src/gateway/webhook.ts';
import { keyStore, watchKeys } from '../../src/store/api-keys.ts';
import { rates } from '../../src/store/rates.ts';
import { connectRedis } from '../../src/store/redis.ts';
import { webhookStore } from '../../src/store/webhooks.ts';
import { eventually } from '../support/postroom.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { openStore, type TestStore } from '../support/store.ts';

let redis: TestRedis;
let store: TestStore;
let tools: KeyTools;
beforeAll(async () => {
  redis = await startTestRedis();
  store = openStore(redis.url);
  tools = { keys: keyStore(store.redis, store.keys), now: () => new Date(), log: { info: () => undefined } };
});
afterAll(async () => {
  store.close();
  await redis[Symbol.asyncDispose]();
});
beforeEach(() => redis.flush());

const aKey = () => createKey(tools, { name: 'x', mode: 'live', scopes: ['send'] }, 'test');

describe('keys in Redis', () => {
  it('are changed by many at once without losing a change, and a revoked one stays so', async () => {
    const { id } = await aKey();
    const names = Array.from({ length: 5 }, (_, n) => changeKey(tools, id, { name: `name ${n}` }, 'test'));
    await Promise.all([...names, revokeKey(tools, id, 'test'), rotateKey(tools, id, 0, 'test')]);
    expect((await tools.keys.find(id))?.revokedAt).toBeDefined();
    expect(await changeKey(tools, id, { name: 'late' }, 'test')).toEqual({ kind: 'revoked' });
  });

  it('are found by the digests that they have, and by none that they had', async () => {
    const { id, secret } = await aKey();
    const rotated = await rotateKey(tools, id, 0, 'test');
    expect(rotated.kind).toBe('done');
    expect(await tools.keys.findByDigest(digestOf(secret))).toBeUndefined();
    expect(await store.redis.hlen(store.keys.apiKeyDigests)).toBe(1);
  });

  it('are forgotten long after their end', async () => {
    const old: ApiKey = {
      ...{ id: 'key_old', name: 'old', mode: 'live', permissions: ['send'], createdAt: 0 },
      ...{ revokedAt: Date.now() - 91 * 86_400_000, secrets: [newSecret('live').kept] },
    };
    await tools.keys.add(old);
    const hooks = webhookStore(store.redis, store.keys, 86_400_000);
    const hook = { url: 'https://example.com/', description: '', events: USUAL_EVENTS, secrets: [], failures: 0 };
    await hooks.create({ ...hook, id: 'wh_old', callerId: old.id, createdAt: 0 }, 20);
    const { id } = await aKey();
    expect((await tools.keys.list()).map((key) => key.id)).toEqual([id]);
    expect(await store.redis.hlen(store.keys.apiKeyDigests)).toBe(1);
    // And the webhooks that it owned, which nobody could delete but an operator.
    expect([await hooks.ids(), await hooks.find('wh_old'), await hooks.idsOf(old.id)]).toEqual([[], undefined, []]);
  });

  it('are believed only while changes are heard, also after the connection was lost', async () => {
    const { id, secret } = await aKey();
    const subscriber = connectRedis(redis.url, 'patient', () => undefined);
    let readings = 0;
    const findByDigest = (digest: string) => {
      readings++;
      return tools.keys.findByDigest(digest);
    };
    const cache = keyCache({ ...tools.keys, findByDigest }, Date.now);
    const states: boolean[] = [];
    watchKeys(subscriber, store.keys, {
      forget: cache.forget,
      trust: (heard) => {
        states.push(heard);
        cache.trust(heard);
      },
    });
    await eventually(() => states.at(-1) === true);
    await cache.callerOf(secret);
    await store.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await eventually(() => states.includes(false) && states.at(-1) === true);
    const before = readings;
    expect(await cache.callerOf(secret)).toBeDefined();
    expect(readings).toBe(before + 1);
    await revokeKey(tools, id, 'test');
    await eventually(async () => (await cache.callerOf(secret)) === undefined);
    subscriber.disconnect();
  });
});

describe('a rate', () => {
  const charge = () => rates(store.redis, store.keys);
  const slow = { perMinute: 1, burst: 5 };

  it('lets a burst through and no more, however many ask at once', async () => {
    const ask = charge();
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask('a', slow, { units: 1 })));
    expect(answers.filter(({ admitted }) => admitted)).toHaveLength(5);
    const refused = answers.find(({ admitted }) => !admitted);
    expect(refused?.retryMilliseconds).toBeGreaterThan(50_000);
    expect(refused?.retryMilliseconds).toBeLessThanOrEqual(60_001);
    expect((await ask('b', slow, { units: 1 })).admitted).toBe(true);
  });

  it('takes more than a burst at once only when nothing else was used, and wants it all back', async () => {
    const ask = charge();
    await ask('a', slow, { units: 1 });
    expect(await ask('a', slow, { units: 99, further: true })).toMatchObject({ admitted: true, left: 0 });
    expect((await ask('a', slow, { units: 1 })).retryMilliseconds).toBeGreaterThan(90 * 60_000);
    await ask('b', slow, { units: 1 });
    await ask('b', slow, { units: 1 });
    expect((await ask('b', slow, { units: 99, further: true })).admitted).toBe(false);
  });

  it('that was used while the clock was ahead is not refused for as long once that is set right', async () => {
    const ask = charge();
    for (let i = 0; i < 5; i++) await ask('a', slow, { units: 1 });
    const [since, used] = ((await store.redis.get(store.keys.rate('a'))) ?? '').split(' ').map(Number);
    const twoDays = 2 * 86_400_000_000;
    await store.redis.set(store.keys.rate('a'), `${(since ?? 0) + twoDays} ${used}`);
    const { admitted, retryMilliseconds } = await ask('a', slow, { units: 1 });
    expect(admitted).toBe(false);
    expect(retryMilliseconds).toBeLessThanOrEqual(60_001);
  });

  it('grows back with time, and leaves nothing behind', async () => {
    const ask = charge();
    const fast = { perMinute: 60_000, burst: 2 };
    for (let i = 0; i < 50; i++) await ask('a', fast, { units: 1 });
    await eventually(async () => (await ask('a', fast, { units: 1 })).admitted);
    await eventually(async () => (await store.redis.exists(store.keys.rate('a'))) === 0);
  });
});
