import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/postroom.ts';
import { operations } from './document.ts';
import { startWorld, type World } from './world.ts';

/** Secrets are shown by the answer that makes them, and then by nothing that anybody can read here. */

let world: World;
const planted: string[] = [];
let hook: string;
beforeAll(async () => {
  world = await startWorld();
  const made = await world.hooks.create(world.receiver.url);
  hook = made.id;
  const { secret: second } = await world.hooks.rotate(hook);
  const { secret: third } = await world.hooks.rotate(hook);
  const key = await world.operator.create({ name: 'planted' });
  planted.push(...[made.secret, second, third].map((each) => each.replace('whsec_', '')));
  planted.push(key.secret.replace('pr_live_', '').slice(4));
  // Signed with it, told, refused, logged, tried again.
  world.receiver.answer(() => ({ status: 500, body: 'no' }));
  await world.hooks.test(hook);
  await world.postroom.sendTo('ada@fabrikam.com');
  await world.hooks.change(hook, { description: 'seen', disabled: true });
  await world.hooks.change(hook, { disabled: false });
  await world.postroom.sendTo('ada@fabrikam.com');
  await eventually(async () => (await world.hooks.deliveries(hook)).length >= 2);
  await world.ask('POST', '/v1/keys', undefined, { authorization: `Bearer ${key.secret}` });
});
afterAll(() => world[Symbol.asyncDispose]());

const shownIn = (text: string) => planted.filter((secret) => text.includes(secret));

test('no answer to a GET shows a secret, whoever asks', async () => {
  const paths = operations
    .filter(({ method }) => method === 'GET')
    .flatMap(({ path }) => [hook, ...Object.values(world.ids), 'main'].map((id) => path.replace(/\{\w+\}/, id)));
  const { secret: operator } = await world.operator.create({ scopes: ['operate'] });
  let seen = '';
  for (const path of new Set([...paths, '/v1/webhooks?caller=all', '/metrics'])) {
    seen += (await world.ask('GET', path)).text;
    seen += (await world.ask('GET', path, undefined, { authorization: `Bearer ${operator}` })).text;
  }
  for (const known of [hook, 'planted', 'It answered 500.', 'postroom_webhook_outbox']) expect(seen).toContain(known);
  expect(shownIn(seen)).toEqual([]);
});

test('no answer to a change shows one, but those that make it', async () => {
  const changed = await world.ask('PATCH', `/v1/webhooks/${hook}`, { description: 'again' });
  const tried = await world.ask('POST', `/v1/webhooks/${hook}/test`);
  const replayed = await world.ask('POST', `/v1/webhooks/${hook}/replay`, { since: '2020-01-01T00:00:00Z' });
  const refused = await world.ask('PATCH', `/v1/webhooks/${hook}`, { secret: `whsec_${planted[0]}` });
  expect([changed, tried, replayed, refused].map(({ status }) => status)).toEqual([200, 200, 200, 422]);
  expect(shownIn([changed, tried, replayed, refused].map(({ text }) => text).join())).toEqual([]);
});

test('no line of the log shows one, at whatever level', () => {
  expect(world.postroom.logged()).toContain(hook);
  expect(shownIn(world.postroom.logged())).toEqual([]);
});

test('in Redis a webhook’s secrets are in its own record alone, and a key’s nowhere', async () => {
  const redis = new Redis(world.postroom.redis.url);
  const holders: string[] = [];
  for (const name of await redis.keys('*')) {
    const type = await redis.type(name);
    const read: Record<string, () => Promise<unknown>> = {
      hash: () => redis.hgetall(name),
      string: () => redis.get(name),
      list: () => redis.lrange(name, 0, -1),
      set: () => redis.smembers(name),
      zset: () => redis.zrange(name, '0', '-1'),
      stream: () => redis.xrange(name, '-', '+'),
    };
    if (shownIn(JSON.stringify((await read[type]?.()) ?? '')).length > 0) holders.push(name);
  }
  redis.disconnect();
  expect(holders).toEqual([`{postroom}:webhook:${hook}`]);
});
