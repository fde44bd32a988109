import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiKey, newSecret } from '../../src/gateway/api-key.ts';
import { keyStore } from '../../src/store/api-keys.ts';
import { keysOf } from '../../src/store/keys.ts';
import { statusWith } from '../support/keys.ts';
import { eventually } from '../support/postroom.ts';
import { webhookClient } from '../support/webhook-client.ts';
import { document, type Operation, operations } from './document.ts';
import { judge } from './judge.ts';
import { startWorld, type World } from './world.ts';

/** Generated from the OpenAPI document: every operation, asked with every scope, with none, and for what is another's. */

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const secured = operations.filter(({ security }) => security?.length !== 0);
const named = secured.map((operation) => [operation.operationId, operation] as const);

/** What docs/keys.md says: any one of these scopes is enough. Written down apart from the code that enforces it. */
const WHO: Record<string, string[]> = {
  send: ['sendBatch', 'sendMessage', 'validateMessage'],
  'send operate': [
    ...['cancelMessage', 'expediteMessage', 'rescheduleMessage', 'resolveMessage', 'retryMessage', 'retryMessages'],
  ],
  read: ['createWebhook', 'replayWebhook', 'rotateWebhookSecret', 'testWebhook'],
  'read operate': [
    ...['countMessages', 'deleteWebhook', 'getMessage', 'getWebhook', 'listMessageEvents', 'listMessages'],
    ...['listWebhookDeliveries', 'listWebhooks', 'updateWebhook'],
  ],
  operate: [
    ...['changeKey', 'createKey', 'getKey', 'getMailbox', 'holdMailbox', 'listKeys', 'listMailboxes', 'releaseMailbox'],
    ...['revokeKey', 'rotateKey', 'verifyMailbox'],
  ],
  'read send operate': ['explain'],
};

const scopesOf = ({ security = [] }: Operation) =>
  new Set((security as Record<string, string[]>[]).flatMap((each) => Object.values(each).flat()));

test('each operation’s scopes are in the document, and are those that docs/keys.md tells', () => {
  const told = Object.entries(WHO).flatMap(([scopes, ids]) => ids.map((id) => [id, scopes.split(' ').toSorted()]));
  const declared = secured.map((each) => [each.operationId, [...scopesOf(each)].toSorted()]);
  expect(Object.fromEntries(declared)).toEqual(Object.fromEntries(told));
  expect(document.paths['/metrics']).toBeUndefined();
});

/** A key as no API would make it. */
async function plantKey(key: Partial<Pick<ApiKey, 'mode' | 'permissions'>> & { expiresAt?: number }): Promise<string> {
  const { secret, kept } = newSecret(key.mode ?? 'live');
  const redis = new Redis(world.postroom.redis.url);
  const whole: ApiKey = {
    ...{ id: `key_${kept.hint}`, name: 'x', mode: 'live', permissions: [], createdAt: Date.now(), secrets: [kept] },
    ...key,
  };
  await keyStore(redis, keysOf('{postroom}')).add(whole);
  redis.disconnect();
  return secret;
}

describe('a key of one scope, or of none, is let in where the document says so and nowhere else', () => {
  const secrets = new Map<string, { secret: string; has: string[] }>();
  beforeAll(async () => {
    for (const scope of ['send', 'read', 'operate']) {
      const { secret } = await world.operator.create({ name: scope, scopes: [scope] });
      secrets.set(scope, { secret, has: [scope] });
    }
    secrets.set('none', { secret: await plantKey({}), has: [] });
    // A test key operates nothing, even if it were said to.
    const test: Pick<ApiKey, 'mode' | 'permissions'> = { mode: 'test', permissions: ['send', 'operate'] };
    secrets.set('test', { secret: await plantKey(test), has: ['send'] });
  });

  test.each(named)('%s', async (_id, operation) => {
    const path = operation.path.replace(/\{\w+\}/, 'nope');
    for (const [name, { secret, has }] of secrets) {
      const headers = { authorization: `Bearer ${secret}` };
      const answered = await world.ask(operation.method, path, world.bodiesFor(operation)[0], headers);
      const isAllowed = has.some((scope) => scopesOf(operation).has(scope));
      expect([name, answered.status === 403, answered.status === 401]).toEqual([name, !isAllowed, false]);
      expect(judge(operation, answered)).toEqual([]);
      if (isAllowed) continue;
      expect(JSON.parse(answered.text)).toMatchObject({ code: 'insufficient_scope' });
      const scope = /scope="([^"]*)"/.exec(answered.headers.get('www-authenticate') ?? '')?.[1]?.split(' ');
      expect(new Set(scope)).toEqual(scopesOf(operation));
    }
  });

  test('and so are the metrics, which are not in the document', async () => {
    for (const [name, { secret }] of secrets) {
      const answered = await world.ask('GET', '/metrics', undefined, { authorization: `Bearer ${secret}` });
      expect([name, answered.status]).toEqual([name, name === 'operate' ? 200 : 403]);
    }
  });

  test.each(named)('%s: a key that is revoked, has expired, or was replaced is nobody’s', async (_id, operation) => {
    const path = operation.path.replace(/\{\w+\}/, 'nope');
    for (const secret of await endedSecrets()) {
      const headers = { authorization: `Bearer ${secret}` };
      const answered = await world.ask(operation.method, path, world.bodiesFor(operation)[0], headers);
      expect(answered.status).toBe(401);
    }
  });

  let ended: Promise<string[]> | undefined;
  const endedSecrets = () => {
    ended ??= (async () => {
      const scopes = ['send', 'read', 'operate'];
      const [revoked, rotated] = await Promise.all([1, 2].map(() => world.operator.create({ scopes })));
      if (!revoked || !rotated) throw new Error('No keys');
      await world.operator.call('DELETE', `/v1/keys/${revoked.id}`);
      await world.operator.call('POST', `/v1/keys/${rotated.id}/rotate`);
      const expired = await plantKey({ permissions: ['send', 'read', 'operate'], expiresAt: Date.now() - 1 });
      await eventually(async () => (await statusWith(world.postroom.url, rotated.secret)) === 401);
      return [revoked.secret, rotated.secret, expired];
    })();
    return ended;
  };
});

describe('another caller', () => {
  let stranger: Record<string, string>;
  let hook: string;
  beforeAll(async () => {
    const { secret } = await world.operator.create({ name: 'stranger', scopes: ['send', 'read'] });
    stranger = { authorization: `Bearer ${secret}` };
    hook = (await webhookClient(() => world.postroom.url, secret).create(world.receiver.url)).id;
  });
  const ask = (method: string, path: string, body?: unknown, headers = {}) =>
    world.ask(method, path, body, { ...stranger, ...headers });
  /** What an answer says, but for what is different in every answer. */
  const said = ({ status, text, headers }: Awaited<ReturnType<typeof ask>>) => ({
    status,
    body: text.replaceAll(headers.get('x-request-id') ?? '', ''),
    headers: [...headers.keys()].toSorted(),
  });

  const owned = secured.filter(({ path }) => /^\/v1\/(messages|webhooks)\/\{/.test(path));
  const own = ({ path }: Operation) =>
    path.startsWith('/v1/webhooks') ? [world.ids.hook] : [world.ids.sent, world.ids.failed, world.ids.lost];
  const like = (id: string) => `${id.slice(0, -4)}${id.endsWith('0000') ? '1111' : '0000'}`;

  test('is tried with every operation that names a message or a webhook', () => {
    expect(owned.length).toBeGreaterThanOrEqual(14);
  });

  test.each(owned.map((each) => [each.operationId, each] as const))(
    '%s: what is another’s reads as what is not there',
    async (_id, operation) => {
      const [body] = world.bodiesFor(operation);
      const forms: Record<string, string>[] = [
        {},
        { 'if-none-match': '*' },
        { accept: 'text/event-stream' },
        { 'idempotency-key': 'x' },
      ];
      for (const id of own(operation))
        for (const headers of forms) {
          const path = (name: string) => operation.path.replace(/\{\w+\}/, name);
          const theirs = await ask(operation.method, path(id), body, headers);
          expect(theirs.status).toBe(404);
          expect(said(theirs)).toEqual(said(await ask(operation.method, path(like(id)), body, headers)));
        }
    },
  );

  test('waits for another’s message no longer than for one that is not there', async () => {
    const answered = await ask('GET', `/v1/messages/${await world.scheduled()}?wait=30`);
    expect(answered.status).toBe(404);
  });

  test('finds in its lists and counts what is its own, whatever it asks and wherever it begins', async () => {
    const page = await world.ask('GET', '/v1/messages?limit=1');
    const { next } = JSON.parse(page.text) as { next: string };
    for (const query of ['', '?status=failed', `?after=${next}`, '?mailbox=main', '?recipient=ada@fabrikam.com']) {
      const answered = await ask('GET', `/v1/messages${query}`);
      expect([query, answered.status, JSON.parse(answered.text).messages]).toEqual([query, 200, []]);
    }
    const counts = await ask('GET', '/v1/messages/counts');
    expect(counts.text).not.toMatch(/[1-9]/);
    const hooks = JSON.parse((await ask('GET', '/v1/webhooks')).text) as { webhooks: { id: string }[] };
    expect(hooks.webhooks.map(({ id }) => id)).toEqual([hook]);
    const retried = await ask('POST', '/v1/messages/retry', { limit: 1_000, status: ['failed', 'unconfirmed'] });
    expect(JSON.parse(retried.text)).toMatchObject({ retried: 0 });
  });

  test('has nothing told of another’s message, and tells nothing to another’s webhook', async () => {
    const replay = (messageId: string) => ask('POST', `/v1/webhooks/${hook}/replay`, { messageId });
    expect(said(await replay(world.ids.sent))).toEqual(said(await replay(like(world.ids.sent))));
    const send = (id: string) =>
      ask('POST', '/v1/messages', { from: 'a@contoso.com', to: 'ada@fabrikam.com', text: 'x', webhooks: [id] });
    const [theirs, nobodys] = [await send(world.ids.hook), await send(like(world.ids.hook))];
    expect(theirs.status).toBe(422);
    expect(said(theirs)).toEqual(said(nobodys));
  });

  test('has idempotency keys of its own: another’s neither answers it nor stands in its way', async () => {
    const message = (text: string) => ({ from: 'a@contoso.com', to: 'ada@fabrikam.com', subject: 's', text });
    const key = { 'idempotency-key': 'invoice-7' };
    const first = await world.ask('POST', '/v1/messages', message('one'), key);
    const same = await ask('POST', '/v1/messages', message('one'), key);
    expect([first.status, same.status, same.headers.get('idempotent-replayed')]).toEqual([202, 202, null]);
    expect(JSON.parse(same.text).id).not.toBe(JSON.parse(first.text).id);
    const { secret } = await world.operator.create({ scopes: ['send'] });
    const third = { ...key, authorization: `Bearer ${secret}` };
    expect((await world.ask('POST', '/v1/messages', message('another'), third)).status).toBe(202);
  });

  test('learns of no key and no mailbox, whether there is one or not', async () => {
    for (const [real, path] of [
      [world.ids.key, '/v1/keys'],
      ['main', '/v1/mailboxes'],
    ] as const) {
      const [there, not] = [await ask('GET', `${path}/${real}`), await ask('GET', `${path}/nope`)];
      expect(there.status).toBe(403);
      expect(said(there)).toEqual(said(not));
    }
  });
});
