import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { USUAL_EVENTS } from '../../src/gateway/webhook.ts';
import { startService } from '../../src/service.ts';
import { forTryingOut, USUAL_WEBHOOKS } from '../../src/webhook-settings.ts';
import { client, eventually, mailboxOf, settled, startPostroom, type TestPostroom } from '../support/postroom.ts';
import { startRedisProxy } from '../support/redis-proxy.ts';
import { webhookClient } from '../support/webhook-client.ts';
import { startReceiver, verified } from '../support/webhook-receiver.ts';

/** Calls may come to this machine, and a failed one is repeated soon. */
const SOON = { ...forTryingOut(USUAL_WEBHOOKS), retrySeconds: [0.05, 0.05, 0.05], timeoutSeconds: 2 };

let postroom: TestPostroom;
let hooks: ReturnType<typeof webhookClient>;
beforeAll(async () => {
  postroom = await startPostroom({
    sandbox: { limits: { messagesPerWindow: 100_000 } },
    limits: { messagesPerMinute: 10_000 },
    config: { webhooks: SOON },
  });
  hooks = webhookClient(() => postroom.url);
});
afterAll(() => postroom[Symbol.asyncDispose]());
beforeEach(async () => {
  const { webhooks } = (await (await hooks.ask('GET', '')).json()) as { webhooks: { id: string }[] };
  for (const { id } of webhooks) await hooks.ask('DELETE', `/${id}`);
});

const typesOf = (events: { type: string }[]) => events.map(({ type }) => type).toSorted();

describe('a webhook', () => {
  it('is told of every change of its caller’s messages, signed', async () => {
    await using receiver = await startReceiver();
    const { id: hook, secret, ...view } = await hooks.create(receiver.url, { description: 'the ledger' });
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(view).toMatchObject({ state: 'active', consecutiveFailures: 0, events: USUAL_EVENTS });
    const id = await postroom.sendTo('ada@fabrikam.com', { metadata: { order: '7' } });
    await postroom.until(id, 'sent');
    await eventually(() => receiver.received.length === 2);
    const events = receiver.events(secret);
    expect(typesOf(events)).toEqual(['message.queued', 'message.sent']);
    for (const { type, data, timestamp } of events) {
      expect(data).toMatchObject({ id, status: type.slice('message.'.length), metadata: { order: '7' } });
      expect(Date.parse(timestamp)).toBeGreaterThan(0);
    }
    const sent = events.find(({ type }) => type === 'message.sent');
    expect(sent?.data).toEqual(await postroom.read(id));
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(2);
    await eventually(async () => (await hooks.read(hook)).lastSuccessAt !== undefined);
    expect(JSON.stringify(await hooks.read(hook))).not.toContain('whsec_');
    expect(postroom.logged()).not.toContain(secret);
    expect(postroom.logged()).not.toContain(receiver.url);
  });

  it('is told of a failure with the server’s words, and of `sending` where it asks for it', async () => {
    await using receiver = await startReceiver();
    const { secret } = await hooks.create(receiver.url, {
      events: ['message.failed', 'message.sending', 'message.canceled'],
    });
    await postroom.sendTo('unknown@fabrikam.com');
    await eventually(() => receiver.received.length === 2);
    const events = receiver.events(secret);
    expect(typesOf(events)).toEqual(['message.failed', 'message.sending']);
    expect(events.find(({ type }) => type === 'message.sending')?.data.attempts).toEqual([]);
    expect(events.find(({ type }) => type === 'message.failed')?.data).toMatchObject({
      failure: { smtp: { code: 550 } },
      attempts: [{ number: 1, outcome: 'failed' }],
    });
  });

  it('is not told of messages that name others, or none', async () => {
    await using first = await startReceiver();
    await using second = await startReceiver();
    const { id } = await hooks.create(first.url);
    await hooks.create(second.url);
    const named = await postroom.sendTo('ada@fabrikam.com', { webhooks: [id] });
    const none = await postroom.sendTo('ada@fabrikam.com', { webhooks: [] });
    await Promise.all([named, none].map((each) => postroom.until(each, 'sent')));
    const both = await postroom.sendTo('ada@fabrikam.com');
    await eventually(() => first.received.length === 4 && second.received.length === 2);
    const idsOf = (received: { body: string }[]) => new Set(received.map(({ body }) => JSON.parse(body).data.id));
    expect(idsOf(first.received)).toEqual(new Set([named, both]));
    expect(idsOf(second.received)).toEqual(new Set([both]));
    expect((await postroom.read(named)).webhooks).toEqual([id]);
    const refused = await postroom.send({ to: 'ada@fabrikam.com', webhooks: [id, 'wh_of_somebody_else'] });
    expect(refused.status).toBe(422);
    expect(await refused.json()).toMatchObject({ code: 'invalid_fields', errors: [{ pointer: '/webhooks/1' }] });
  });

  it('is told of what another process accepts right after the 201, though nothing has told that process', async () => {
    await using receiver = await startReceiver();
    await using proxy = await startRedisProxy(postroom.redis.url);
    const mailbox = mailboxOf(postroom.sandbox);
    const config = settled(proxy.url, [mailbox], { role: 'api', webhooks: SOON });
    const another = await startService(config, pino({ level: 'silent' }));
    const redis = new Redis(postroom.redis.url);
    try {
      const { sendTo } = client(() => another.url ?? '', mailbox.address);
      await eventually(async () => (await fetch(`${another.url}/health/ready`)).ok);
      // Accepted before, and so not told of.
      const isWatched = async (id: string) => (await redis.hexists(`{postroom}:message:${id}`, 'hooks')) === 1;
      await eventually(async () => !(await isWatched(await sendTo('ada@fabrikam.com'))));
      proxy.holdBackPubSub();
      const { secret } = await hooks.create(receiver.url);
      const now = await sendTo('ada@fabrikam.com');
      const later = await sendTo('ada@fabrikam.com', { sendAt: new Date(Date.now() + 3_600_000).toISOString() });
      await eventually(() => receiver.received.length === 3);
      const told = receiver.events(secret).map(({ type, data }) => [data.id, type]);
      expect(told.toSorted()).toEqual(
        [
          [now, 'message.queued'],
          [now, 'message.sent'],
          [later, 'message.scheduled'],
        ].toSorted(),
      );
    } finally {
      redis.disconnect();
      await another.close();
    }
  });

  it('is called again until it answers, with the same id and the same body', async () => {
    await using receiver = await startReceiver((call) => ({ status: call < 2 ? 500 : 200, body: 'out of order' }));
    const { id: hook, secret } = await hooks.create(receiver.url, { events: ['message.sent'] });
    const id = await postroom.sendTo('ada@fabrikam.com');
    await eventually(() => receiver.received.length === 3);
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    for (const { data } of receiver.events(secret)) expect(data.id).toBe(id);
    await eventually(async () => (await hooks.deliveries(hook)).length === 3);
    const deliveries = await hooks.deliveries(hook);
    expect(deliveries.map(({ attempt, outcome, httpStatus }) => [attempt, outcome, httpStatus])).toEqual([
      [3, 'delivered', 200],
      [2, 'failed', 500],
      [1, 'failed', 500],
    ]);
    expect(deliveries[2]).toMatchObject({ messageId: id, response: 'out of order', reason: 'It answered 500.' });
    expect(deliveries[2]?.nextAttemptAt).toBeDefined();
    expect(await hooks.read(hook)).toMatchObject({ consecutiveFailures: 0, lastFailure: { httpStatus: 500 } });
  });

  it('is given up on after the last try, and told again when it asks for it', async () => {
    await using receiver = await startReceiver(() => ({ status: 500 }));
    const { id: hook, secret } = await hooks.create(receiver.url, { events: ['message.queued', 'message.sent'] });
    const id = await postroom.sendTo('ada@fabrikam.com');
    const since = (await postroom.read(id)).createdAt;
    await eventually(() => receiver.received.length === 8);
    await eventually(async () => (await hooks.read(hook)).consecutiveFailures === 8);
    const last = (await hooks.deliveries(hook)).filter(({ attempt }) => attempt === 4);
    expect(last.map(({ nextAttemptAt }) => nextAttemptAt)).toEqual([undefined, undefined]);
    receiver.answer(() => ({ status: 200 }));
    const earlier = new Set(receiver.received.splice(0).map(({ headers }) => headers['webhook-id']));
    expect(await hooks.replay(hook, { messageId: id })).toEqual({ events: 2, more: false });
    await eventually(() => receiver.received.length === 2);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id']))).toEqual(earlier);
    expect(typesOf(receiver.events(secret))).toEqual(['message.queued', 'message.sent']);
    expect(await hooks.replay(hook, { since })).toEqual({ events: 2, more: false });
    await eventually(() => receiver.received.length === 4);
    const never = { since: '2020-01-01T00:00:00Z', until: '2020-01-02T00:00:00Z' };
    expect(await hooks.replay(hook, never)).toEqual({ events: 0, more: false });
    expect(await hooks.replay(hook, { messageId: 'msg_of_somebody_else' })).toEqual({ events: 0, more: false });
    expect((await hooks.ask('POST', `/${hook}/replay`, {})).status).toBe(422);
  });

  it('that is slow or silent delays no other', async () => {
    await using silent = await startReceiver(() => 'hang');
    await using quick = await startReceiver();
    await hooks.create(silent.url);
    await hooks.create(quick.url, { events: ['message.sent'] });
    const ids = await Promise.all(Array.from({ length: 20 }, () => postroom.sendTo('ada@fabrikam.com')));
    await eventually(() => quick.received.length === 20);
    expect(silent.received.length).toBeLessThan(20);
    expect(new Set(quick.received.map(({ body }) => JSON.parse(body).data.id))).toEqual(new Set(ids));
  });

  it('that answers 410 is disabled at once, says so, and can be enabled again', async () => {
    await using receiver = await startReceiver(() => ({ status: 410 }));
    const { id: hook } = await hooks.create(receiver.url, { events: ['message.sent'] });
    const first = await postroom.sendTo('ada@fabrikam.com');
    await eventually(async () => (await hooks.read(hook)).state === 'disabled');
    expect(await hooks.read(hook)).toMatchObject({ disabledBecause: 'gone', lastFailure: { httpStatus: 410 } });
    expect(postroom.logged()).toContain('Webhook disabled');
    expect((await hooks.ask('POST', `/${hook}/replay`, { messageId: first })).status).toBe(409);
    const missed = await postroom.sendTo('ada@fabrikam.com');
    await postroom.until(missed, 'sent');
    receiver.answer(() => ({ status: 200 }));
    expect(await hooks.change(hook, { disabled: false })).toMatchObject({ state: 'active', consecutiveFailures: 0 });
    expect(receiver.received).toHaveLength(1);
    // What happened meanwhile was kept.
    await eventually(async () => (await hooks.replay(hook, { messageId: missed })).events === 1);
    await eventually(() => receiver.received.length > 1);
  });

  it('can have a new secret; the old one signs beside it for a while', async () => {
    await using receiver = await startReceiver();
    const { id: hook, secret: old } = await hooks.create(receiver.url, { events: ['message.sent'] });
    const { secret, previousSecretValidUntil } = await hooks.rotate(hook);
    expect(Math.abs(Date.parse(previousSecretValidUntil) - Date.now() - 86_400_000)).toBeLessThan(60_000);
    expect((await hooks.read(hook)).previousSecretValidUntil).toBe(previousSecretValidUntil);
    await postroom.sendTo('ada@fabrikam.com');
    await eventually(() => receiver.received.length === 1);
    expect(receiver.events(secret)).toEqual(receiver.events(old));
    const { secret: newest } = await hooks.rotate(hook, { overlapSeconds: 0 });
    await postroom.sendTo('ada@fabrikam.com');
    await eventually(() => receiver.received.length === 2);
    const [, last] = receiver.received;
    if (!last) throw new Error('Nothing came');
    expect(verified(last, newest).type).toBe('message.sent');
    expect(() => verified(last, secret)).toThrow();
    expect(() => verified(last, old)).toThrow();
  });

  it('can be tried out: the answer says what came of it', async () => {
    await using receiver = await startReceiver((call) => ({ status: call === 0 ? 200 : 503, body: 'later' }));
    const { id: hook, secret } = await hooks.create(receiver.url);
    expect(await hooks.test(hook)).toMatchObject({ outcome: 'delivered', httpStatus: 200, response: 'later' });
    expect(receiver.events(secret)).toMatchObject([{ type: 'webhook.test', data: { webhookId: hook } }]);
    expect(await hooks.test(hook)).toMatchObject({ outcome: 'failed', reason: 'It answered 503.' });
    await receiver[Symbol.asyncDispose]();
    expect(await hooks.test(hook)).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('refused') });
  });

  it('that is deleted hears nothing any more', async () => {
    await using receiver = await startReceiver(() => ({ status: 500 }));
    const { id: hook } = await hooks.create(receiver.url);
    expect((await hooks.ask('DELETE', `/${hook}`)).status).toBe(204);
    expect((await hooks.ask('DELETE', `/${hook}`)).status).toBe(404);
    expect((await hooks.ask('GET', `/${hook}`)).status).toBe(404);
    const id = await postroom.sendTo('ada@fabrikam.com');
    await postroom.until(id, 'sent');
    expect(receiver.received).toEqual([]);
  });

  it('is refused where it may not be called, field by field', async () => {
    const wrong = await hooks.ask('POST', '', {
      url: 'https://169.254.169.254/latest',
      events: ['message.snet'],
      on: 1,
    });
    expect(wrong.status).toBe(422);
    const { errors } = (await wrong.json()) as { errors: { pointer: string }[] };
    expect(errors.map(({ pointer }) => pointer).toSorted()).toEqual(['/events/0', '/on']);
    const metadata = await hooks.ask('POST', '', { url: 'https://169.254.169.254/latest' });
    expect(await metadata.json()).toMatchObject({
      code: 'invalid_fields',
      errors: [{ pointer: '/url', message: expect.stringContaining('link-local') }],
    });
    const { id: hook } = await hooks.create('http://127.0.0.1:9999/');
    const changed = await hooks.ask('PATCH', `/${hook}`, { url: 'http://10.0.0.1/' });
    expect(changed.status).toBe(422);
    expect((await hooks.ask('PATCH', `/${hook}`, {})).status).toBe(200);
  });

  it('is one of at most twenty', async () => {
    for (let i = 0; i < 20; i += 1) await hooks.create(`http://127.0.0.1:9999/${i}`);
    const refused = await hooks.ask('POST', '', { url: 'http://127.0.0.1:9999/21' });
    expect([refused.status, await refused.json()]).toMatchObject([409, { code: 'too_many_webhooks' }]);
  });
});

it('what cost nothing: messages accepted before there was a webhook are not written down', async () => {
  const id = await postroom.sendTo('ada@fabrikam.com');
  await postroom.until(id, 'sent');
  await using receiver = await startReceiver();
  const { id: hook } = await hooks.create(receiver.url);
  expect(await hooks.replay(hook, { messageId: id })).toEqual({ events: 0, more: false });
});
