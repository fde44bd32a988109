import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Caller } from '../../src/gateway/api.ts';
import { type NotifyTools, notify } from '../../src/gateway/notify.ts';
import { relay } from '../../src/gateway/relay.ts';
import { type CallResult, type DeliveryJob, USUAL_EVENTS } from '../../src/gateway/webhook.ts';
import type { WebhookApi } from '../../src/gateway/webhook-api.ts';
import { webhookApi } from '../../src/gateway/webhook-operations.ts';
import { watchWebhookCallers } from '../../src/store/webhook-callers.ts';
import { webhookOutbox } from '../../src/store/webhook-outbox.ts';
import { webhookStore } from '../../src/store/webhooks.ts';
import { USUAL_WEBHOOKS } from '../../src/webhook-settings.ts';
import { newWebhookSecret } from '../../src/webhooks/signature.ts';
import { eventually } from '../support/postroom.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { acceptAndBegin, aMessage, LEASE, openStore, type TestStore } from '../support/store.ts';

const DAY = 86_400_000;
const ADA: Caller = { id: 'ada', permissions: ['read'] };
const BOB: Caller = { id: 'bob', permissions: ['read', 'operate'] };

let redis: TestRedis;
let store: TestStore;
let waiting: TestStore;
beforeAll(async () => {
  redis = await startTestRedis();
  store = openStore(redis.url);
  waiting = openStore(redis.url);
});
afterAll(async () => {
  store.close();
  waiting.close();
  await redis[Symbol.asyncDispose]();
});

const webhooks = () => webhookStore(store.redis, store.keys, 3 * DAY);
const outbox = () => webhookOutbox(store.redis, waiting.redis, store.keys);

function apiOf(): WebhookApi {
  return webhookApi({
    webhooks: webhooks(),
    call: async () => ({ httpStatus: 204, durationMilliseconds: 1 }),
    objection: async () => undefined,
    enqueue: async () => undefined,
    drop: async () => undefined,
    newId: () => `wh_${randomUUID()}`,
    newSecret: newWebhookSecret,
    revisionOf: async () => undefined,
  });
}

async function aWebhook(caller = ADA): Promise<string> {
  const wish = { url: 'https://example.com/', events: USUAL_EVENTS, description: '' };
  const made = await apiOf().create(caller, wish);
  if (made.kind !== 'created') throw new Error(made.kind);
  return made.webhook.id;
}

describe('another caller’s webhook', () => {
  it('reads as none, whatever is asked of it, and also to an operator', async () => {
    const id = await aWebhook();
    const api = apiOf();
    expect(await api.read(BOB, id)).toBeUndefined();
    expect(await api.change(BOB, id, { disabled: true })).toBeUndefined();
    expect(await api.rotate(BOB, id, 0)).toBeUndefined();
    expect(await api.test(BOB, id)).toBeUndefined();
    expect(await api.replay(BOB, id, { since: 0 })).toBeUndefined();
    expect(await api.deliveries(BOB, id, 10)).toBeUndefined();
    expect(await api.remove(BOB, id)).toBe(false);
    expect(await api.list(BOB)).toEqual([]);
    expect(await api.read(ADA, id)).toMatchObject({ id, state: 'active' });
  });
});

describe('a move', () => {
  it('is written down in the step that makes it, where somebody may want to know, and nowhere else', async () => {
    await store.mailboxes.takeLease('main', LEASE, 60_000);
    const unhooked = await acceptAndBegin(store);
    await store.messages.move({ id: unhooked.id, mailbox: 'main', to: 'sent', token: unhooked.token });
    expect(await store.redis.xlen(store.keys.webhooks.outbox)).toBe(0);

    const message = aMessage({ callerId: 'ada', hooked: true });
    await store.messages.accept(message);
    await store.messages.accept(message);
    await store.messages.move({ id: message.id, mailbox: 'main', to: 'canceled' });
    await store.messages.move({ id: message.id, mailbox: 'main', to: 'canceled' });
    const moves = await outbox().oldest(10, 10);
    expect(moves.map(({ record }) => [record.id, record.status, record.revision])).toEqual([
      [message.id, 'queued', 1],
      [message.id, 'canceled', 2],
    ]);
    const hook = await aWebhook();
    const jobs: [string, DeliveryJob][] = [];
    const tools = {
      webhooks: webhooks(),
      outbox: outbox(),
      enqueue: async (...job: [string, DeliveryJob]) => void jobs.push(job),
    };
    await relay(tools, moves);
    await relay(tools, moves);
    const mine = jobs.filter(([id]) => id === hook).map(([, { eventId }]) => eventId);
    expect(mine).toHaveLength(4);
    expect(new Set(mine).size).toBe(2);
    expect(await outbox().oldest(10, 10)).toEqual([]);
  });
});

describe('an endpoint that fails', () => {
  const answers = (result: Omit<CallResult, 'durationMilliseconds'>, at: () => Date): NotifyTools => ({
    webhooks: webhooks(),
    call: async () => ({ ...result, durationMilliseconds: 3 }),
    retryMilliseconds: USUAL_WEBHOOKS.retrySeconds.map((seconds) => seconds * 1_000),
    disableAfterMilliseconds: 5 * DAY,
    now: at,
    random: () => 0,
    log: { info: () => undefined, warn: () => undefined },
  });
  async function anEvent(): Promise<string> {
    const id = `evt_${randomUUID()}`;
    const about = { callerId: 'ada', messageId: 'msg_1', type: 'message.sent' } as const;
    await webhooks().keepEvent({ id, at: Date.now(), ...about, body: '{}' });
    return id;
  }
  const now = () => new Date();

  it('is tried nine times over two days', async () => {
    const hook = await aWebhook();
    const eventId = await anEvent();
    const tools = answers({ httpStatus: 500, reason: 'It answered 500.' }, now);
    const waits: (number | undefined)[] = [];
    for (let attempt = 1; attempt <= 9; attempt += 1)
      waits.push(await notify(tools, hook, { eventId, attempt, run: '' }));
    const hours = waits.map((wait) => wait && wait / 3_600_000);
    expect(hours).toEqual([5 / 3_600, 1 / 12, 0.5, 2, 5, 10, 14, 17, undefined]);
    expect(await webhooks().find(hook)).toMatchObject({ failures: 9 });
    expect(await webhooks().deliveries(hook, 100)).toHaveLength(9);
  });

  it('is waited for as long as it asks, at most a day', async () => {
    const hook = await aWebhook();
    const eventId = await anEvent();
    const busy = (retryAfterMilliseconds: number) =>
      answers({ httpStatus: 429, reason: 'It answered 429.', retryAfterMilliseconds }, now);
    const wait = (milliseconds: number) => notify(busy(milliseconds), hook, { eventId, attempt: 1, run: '' });
    expect(await wait(60_000)).toBe(60_000);
    expect(await wait(1_000)).toBe(5_000);
    expect(await wait(30 * DAY)).toBe(DAY);
  });

  it('is disabled when it has failed for five days, and not before; a success begins anew', async () => {
    const hook = await aWebhook();
    const eventId = await anEvent();
    let at = Date.now();
    const clock = () => new Date(at);
    const failing = answers({ reason: 'Nothing listens.' }, clock);
    const job = { eventId, attempt: 1, run: '' };
    await notify(failing, hook, job);
    at += 4.9 * DAY;
    await notify(failing, hook, job);
    await notify(answers({ httpStatus: 200 }, clock), hook, job);
    at += 4.9 * DAY;
    await notify(failing, hook, job);
    at += 4.9 * DAY;
    expect(await notify(failing, hook, job)).toBe(5_000);
    expect((await webhooks().find(hook))?.disabled).toBeUndefined();
    at += 0.2 * DAY;
    expect(await notify(failing, hook, job)).toBeUndefined();
    expect((await webhooks().find(hook))?.disabled).toEqual({ because: 'failing', at });
    expect(await notify(failing, hook, job)).toBeUndefined();
    expect((await webhooks().find(hook))?.failures).toBe(3);
  });

  it('is not brought back by a try that ends after it was deleted', async () => {
    const hook = await aWebhook();
    const eventId = await anEvent();
    const tools = answers({ reason: 'Nothing listens.' }, now);
    const call = async () => {
      await apiOf().remove(ADA, hook);
      return { reason: 'Nothing listens.', durationMilliseconds: 1 };
    };
    await notify({ ...tools, call }, hook, { eventId, attempt: 1, run: '' });
    expect(await store.redis.exists(store.keys.webhooks.webhook(hook), store.keys.webhooks.deliveries(hook))).toBe(0);
  });
});

describe('who has webhooks', () => {
  it('is known in every process without asking, and taken for everybody where it is not known', async () => {
    const subscriber = openStore(redis.url).redis;
    const has = watchWebhookCallers(store.redis, subscriber, store.keys);
    expect(has('nobody')).toBe(true);
    await eventually(() => !has('nobody'));
    const carl: Caller = { id: 'carl', permissions: ['read'] };
    const id = await aWebhook(carl);
    await eventually(() => has('carl'));
    await apiOf().remove(carl, id);
    await eventually(() => !has('carl'));
    subscriber.disconnect(true);
    await eventually(() => has('carl'));
    await eventually(() => !has('carl'));
    subscriber.disconnect();
    await eventually(() => has('carl'));
  });
});
