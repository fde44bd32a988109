import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyView } from '../../src/gateway/api-key.ts';
import type { MessageView } from '../../src/gateway/view.ts';
import { startService } from '../../src/service.ts';
import { operatorAt, type Shown, statusWith } from '../support/keys.ts';
import { eventually, KEY, mailboxOf, settled, startPostroom, type TestPostroom } from '../support/postroom.ts';

/** Two processes that answer, on one Redis. */
let postroom: TestPostroom;
let other: Awaited<ReturnType<typeof startService>>;
const otherLines: string[] = [];
beforeAll(async () => {
  postroom = await startPostroom();
  const config = settled(postroom.redis.url, [mailboxOf(postroom.sandbox)], { role: 'api' });
  other = await startService(config, pino({ level: 'debug' }, { write: (line) => void otherLines.push(line) }));
});
afterAll(async () => {
  await other.close();
  await postroom[Symbol.asyncDispose]();
});

const operator = () => operatorAt(postroom.url);
const both = async (secret: string) => [
  await statusWith(postroom.url, secret),
  await statusWith(other.url ?? '', secret),
];
const sendWith = (secret: string, more: object = {}, headers: Record<string, string> = {}) =>
  postroom.send({ to: 'ada@fabrikam.com', ...more }, { authorization: `Bearer ${secret}`, ...headers });
const sender = () => postroom.sandbox.mailboxes[0]?.address ?? '';

describe('a key', () => {
  it('is let in by every process as soon as it is made, and shown once', async () => {
    const key = await operator().create({ name: 'billing' });
    expect(key.secret).toMatch(/^pr_live_[\w-]{43}$/);
    expect(key).toMatchObject({ name: 'billing', state: 'active', scopes: ['send', 'read'], mode: 'live' });
    expect(await both(key.secret)).toEqual([404, 404]);
    const { body } = await operator().call<Shown>('GET', `/v1/keys/${key.id}`);
    expect(body.secret).toBeUndefined();
    expect(key.secret.startsWith(body.hint)).toBe(true);
  });

  it('that is revoked is refused by every process at once', async () => {
    const key = await operator().create({});
    expect(await both(key.secret)).toEqual([404, 404]);
    const revoked = await operatorAt(other.url ?? '').call<KeyView>('DELETE', `/v1/keys/${key.id}`);
    expect(revoked).toMatchObject({ status: 200, body: { state: 'revoked' } });
    await eventually(async () => (await both(key.secret)).every((status) => status === 401));
    expect((await operator().call('POST', `/v1/keys/${key.id}/rotate`)).status).toBe(409);
    expect((await operator().call('PATCH', `/v1/keys/${key.id}`, { name: 'x' })).status).toBe(409);
    expect((await operator().call('DELETE', `/v1/keys/${key.id}`)).status).toBe(200);
  });

  it('that is rotated goes on with its new secret only, and reads what it sent before', async () => {
    const key = await operator().create({});
    const sent = await sendWith(key.secret, {}, { 'idempotency-key': 'once' });
    const { id } = (await sent.json()) as MessageView;
    const { body: rotated } = await operator().call<Shown>('POST', `/v1/keys/${key.id}/rotate`);
    expect(rotated.id).toBe(key.id);
    await eventually(async () => (await both(key.secret)).every((status) => status === 401));
    expect(await both(rotated.secret)).toEqual([404, 404]);
    const again = await sendWith(rotated.secret, {}, { 'idempotency-key': 'once' });
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(((await again.json()) as MessageView).id).toBe(id);
  });

  it('that is rotated with a grace keeps the old secret meanwhile, but never the one before that', async () => {
    const key = await operator().create({});
    const grace = { graceMinutes: 60 };
    const { body: second } = await operator().call<Shown>('POST', `/v1/keys/${key.id}/rotate`, grace);
    expect(second.formerSecretUntil).toBeDefined();
    expect([await both(key.secret), await both(second.secret)].flat()).toEqual([404, 404, 404, 404]);
    const { body: third } = await operator().call<Shown>('POST', `/v1/keys/${key.id}/rotate`, grace);
    await eventually(async () => (await both(key.secret)).every((status) => status === 401));
    expect([await both(second.secret), await both(third.secret)].flat()).toEqual([404, 404, 404, 404]);
  });

  it('that has expired is nobody’s', async () => {
    const key = await operator().create({ expiresAt: new Date(Date.now() + 1_500).toISOString() });
    await eventually(async () => (await both(key.secret)).every((status) => status === 401));
    const { body } = await operator().call<KeyView>('GET', `/v1/keys/${key.id}`);
    expect(body.state).toBe('expired');
  });

  it('notes when it was used last', async () => {
    const key = await operator().create({});
    expect(key.lastUsedAt).toBeUndefined();
    await statusWith(postroom.url, key.secret);
    await eventually(async () => {
      const { body } = await operator().call<{ keys: KeyView[] }>('GET', '/v1/keys');
      return body.keys.find(({ id }) => id === key.id)?.lastUsedAt !== undefined;
    });
  });
});

describe('a From allow-list', () => {
  it('refuses another From by name, and takes those it has', async () => {
    const key = await operator().create({ from: ['billing@contoso.com'] });
    const refused = await sendWith(key.secret);
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({
      code: 'from_not_allowed',
      errors: [{ pointer: '/from', message: expect.stringContaining('billing@contoso.com') }],
    });
    const domain = `*@${sender().split('@')[1]}`;
    expect((await operator().call('PATCH', `/v1/keys/${key.id}`, { from: [domain] })).status).toBe(200);
    await eventually(async () => (await sendWith(key.secret)).status === 202);
    expect((await operator().call('PATCH', `/v1/keys/${key.id}`, { scopes: ['read'] })).body).toMatchObject({
      errors: [{ pointer: '/scopes', message: expect.stringContaining('make another key, and revoke this one') }],
    });
  });

  it('holds for each message of a batch', async () => {
    const key = await operator().create({ from: ['billing@contoso.com'] });
    const messages = [{ from: sender(), to: 'ada@fabrikam.com', subject: '', text: 'x' }];
    const { body } = await operatorAt(postroom.url, key.secret).call('POST', '/v1/messages/batch', { messages });
    expect(body).toMatchObject({
      results: [{ status: 'refused', problem: { code: 'from_not_allowed', status: 403 } }],
    });
  });
});

describe('a list of recipients', () => {
  it('keeps the mail of a staging key from everybody else, until an operator widens it', async () => {
    const key = await operator().create({ to: ['*@contoso.com'] });
    expect(key.to).toEqual(['*@contoso.com']);
    expect((await sendWith(key.secret, { to: 'Ada <ada@Contoso.com>' })).status).toBe(202);
    const refused = await sendWith(key.secret, { to: 'ada@contoso.com', bcc: ['eve@fabrikam.com'] });
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({
      code: 'recipient_not_allowed',
      errors: [{ pointer: '/bcc', message: expect.stringContaining('may not send to eve@fabrikam.com') }],
    });
    await operator().call('PATCH', `/v1/keys/${key.id}`, { to: null });
    await eventually(async () => (await sendWith(key.secret, { to: 'eve@fabrikam.com' })).status === 202);
  });

  it('of the installation holds for every key, the first one too', async () => {
    const config = settled(postroom.redis.url, [mailboxOf(postroom.sandbox)], {
      role: 'api',
      allowTo: ['*@contoso.com'],
    });
    const staging = await startService(config, pino({ level: 'silent' }));
    const body = (to: string) => JSON.stringify({ from: sender(), to, subject: 'Hello', text: 'Hello.' });
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
    const sent = (to: string) => fetch(`${staging.url}/v1/messages`, { method: 'POST', headers, body: body(to) });
    try {
      expect((await sent('ada@contoso.com')).status).toBe(202);
      const refused = await sent('eve@fabrikam.com');
      expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
        403,
        'recipient_not_allowed',
      ]);
    } finally {
      await staging.close();
    }
  });
});

describe('two callers', () => {
  it('see their own messages and idempotency keys only', async () => {
    const [a, b] = [await operator().create({}), await operator().create({})];
    const first = (await (await sendWith(a.secret, {}, { 'idempotency-key': 'same' })).json()) as MessageView;
    const second = (await (await sendWith(b.secret, {}, { 'idempotency-key': 'same' })).json()) as MessageView;
    expect(second.id).not.toBe(first.id);
    for (const path of ['', '/events'])
      expect((await operatorAt(postroom.url, b.secret).call('GET', `/v1/messages/${first.id}${path}`)).status).toBe(
        404,
      );
    expect((await operatorAt(postroom.url, b.secret).call('POST', `/v1/messages/${first.id}/cancel`)).status).toBe(404);
    expect((await operator().call('GET', `/v1/messages/${first.id}`)).status).toBe(200);
  });

  it('cannot see or make keys without the scope operate', async () => {
    const key = await operator().create({});
    const caller = operatorAt(postroom.url, key.secret);
    for (const [method, path] of [
      ['GET', '/v1/keys'],
      ['POST', '/v1/keys'],
      ['GET', `/v1/keys/${key.id}`],
      ['PATCH', `/v1/keys/${key.id}`],
      ['DELETE', `/v1/keys/${key.id}`],
      ['POST', `/v1/keys/${key.id}/rotate`],
    ] as const)
      expect([method, path, (await caller.call(method, path, method === 'GET' ? undefined : {})).status]).toEqual([
        method,
        path,
        403,
      ]);
    const sendOnly = await operator().create({ scopes: ['send'] });
    expect(await statusWith(postroom.url, sendOnly.secret)).toBe(403);
  });
});

describe('a rate', () => {
  it('is one over all processes, told in every answer, and a batch counts its messages', async () => {
    const key = await operator().create({ rate: { perMinute: 1, burst: 4 } });
    const read = (url: string) =>
      fetch(`${url}/v1/messages/msg_00000000000000000000000000`, {
        headers: { authorization: `Bearer ${key.secret}` },
      });
    const first = await read(postroom.url);
    expect(first.headers.get('ratelimit-policy')).toBe('"key";q=4;w=240');
    expect(first.headers.get('ratelimit')).toMatch(/^"key";r=3;t=60$/);
    expect((await read(other.url ?? '')).headers.get('ratelimit')).toMatch(/^"key";r=2;t=1[12]\d$/);
    const message = { from: sender(), to: 'ada@fabrikam.com', subject: '', text: 'x' };
    const caller = operatorAt(postroom.url, key.secret);
    const batch = await caller.call('POST', '/v1/messages/batch', { messages: [message, message, message] });
    expect(batch).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    expect((await read(postroom.url)).headers.get('ratelimit')).toMatch(/^"key";r=0;/);
    const refused = await read(other.url ?? '');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(30);
    // Nothing is to be had sooner, and the draft wants both to say so.
    expect(refused.headers.get('ratelimit')).toBe(`"key";r=0;t=${refused.headers.get('retry-after')}`);
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(60);
  });

  it('is of its caller alone; one without a rate is told of none', async () => {
    const answer = await fetch(`${postroom.url}/v1/keys`, { headers: { authorization: `Bearer ${KEY}` } });
    expect([answer.status, answer.headers.get('ratelimit')]).toEqual([200, null]);
  });
});

describe('the secret of a key', () => {
  it('is in no log, no answer but the first, and nowhere in Redis', async () => {
    const key = await operator().create({ name: 'planted' });
    await sendWith(key.secret);
    await statusWith(postroom.url, `${key.secret}x`);
    await operator().call('DELETE', `/v1/keys/${key.id}`);
    const { body } = await operator().call('GET', '/v1/keys');
    const redis = new Redis(postroom.redis.url);
    const kept: string[] = [];
    for (const name of await redis.keys('*apiKey*')) kept.push(JSON.stringify(await redis.hgetall(name)));
    redis.disconnect();
    expect(kept.join()).toContain('planted');
    for (const text of [postroom.logged(), otherLines.join(''), JSON.stringify(body), kept.join()])
      expect(text).not.toContain(key.secret.slice('pr_live_'.length + 4));
  });
});

describe('bad wishes for a key', () => {
  it.each([
    [{ scopes: [] }, '/scopes'],
    [{ scopes: ['admin'] }, '/scopes/0'],
    [{ mode: 'test', scopes: ['operate'] }, '/scopes'],
    [{ from: ['not an address'] }, '/from/0'],
    [{ from: ['*@'] }, '/from/0'],
    [{ expiresAt: '2020-01-01T00:00:00Z' }, '/expiresAt'],
    [{ rate: { perMinute: 0 } }, '/rate/perMinute'],
    [{ name: '' }, '/name'],
    [{ secret: 'pr_live_mine' }, '/secret'],
  ])('%j is refused at %s', async (wish, pointer) => {
    const { status, body } = await operator().call<{ errors: { pointer: string }[] }>('POST', '/v1/keys', {
      name: 'x',
      scopes: ['send'],
      ...wish,
    });
    expect([status, body.errors.map((each) => each.pointer)]).toEqual([422, [pointer]]);
  });
});
