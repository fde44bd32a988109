import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Caller } from '../../src/gateway/api.ts';
import { type NotifyTools, notify } from '../../src/gateway/notify.ts';
import { MOST_WAITING, type RelayTools, relay } from '../../src/gateway/relay.ts';
import { type CallResult, type DeliveryJob, USUAL_EVENTS } from '../../src/gateway/webhook.ts';
import type { WebhookApi } from '../../src/gateway/webhook-api.ts';
import { type WebhookTools, webhookApi } from '../../src/gateway/webhook-operations.ts';
import { scheduleStore } from '../../src/store/schedule.ts';
import { webhookOutbox } from '../../src/store/webhook-outbox.ts';
import { MOST_IN_OUTBOX } from '../../src/store/webhook-scripts.ts';
import { webhookStore } from '../../src/store/webhooks.ts';
import { USUAL_WEBHOOKS } from '../../src/webhook-settings.ts';
import { newWebhookSecret } from '../../src/webhooks/signature.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { acceptAndBegin, aMessage, LEASE, openStore, type TestStore } from '../support/store.ts';

const DAY = 86_400_000;
const RETENTION = {
  recordMilliseconds: DAY,
  failedContentMilliseconds: DAY,
  idempotencyMilliseconds: DAY,
  lifetimeMilliseconds: DAY,
};
const ADA: Caller = { id: 'ada', permissions: ['read'] };
const BOB: Caller = { id: 'bob', permissions: ['read', 'send'] };
const OPS: Caller = { id: 'ops', permissions: ['read', 'operate'] };

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

function apiOf(more: Partial<WebhookTools> = {}): WebhookApi {
  return webhookApi({
    webhooks: webhooks(),
    call: async () => ({ httpStatus: 204, durationMilliseconds: 1 }),
    objection: async () => undefined,
    endOf: async () => undefined,
    enqueue: async () => undefined,
    waiting: async () => 0,
    drop: async () => undefined,
    newId: () => `wh_${randomUUID()}`,
    newSecret: newWebhookSecret,
    revisionOf: async () => undefined,
    ...more,
  });
}

async function aWebhook(caller = ADA): Promise<string> {
  const wish = { url: 'https://example.com/', events: USUAL_EVENTS, description: '' };
  const made = await apiOf().create(caller, wish);
  if (made.kind !== 'created') throw new Error(made.kind);
  return made.webhook.id;
}

describe('another caller’s webhook', () => {
  it('reads as none, whatever is asked of it', async () => {
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

  it('is seen by an operator, who can stop it, and neither send it elsewhere nor learn its secret', async () => {
    const id = await aWebhook();
    const api = apiOf();
    expect(await api.read(OPS, id)).toMatchObject({ id, callerId: 'ada', state: 'active' });
    expect(await api.list(OPS)).toEqual([]);
    expect((await api.list(OPS, 'ada')).map((each) => each.id)).toContain(id);
    expect((await api.list(OPS, 'all')).map((each) => each.id)).toContain(id);
    expect(await api.change(OPS, id, { url: 'https://evil.example/', disabled: true })).toMatchObject({
      kind: 'refused',
      errors: [{ pointer: '/url' }],
    });
    expect(await api.rotate(OPS, id, 0)).toBeUndefined();
    expect(await api.test(OPS, id)).toBeUndefined();
    expect(await api.replay(OPS, id, { since: 0 })).toBeUndefined();
    expect(await api.deliveries(OPS, id, 1)).toEqual([]);
    expect(await api.remove(OPS, id)).toBe(true);
    expect(await api.list(ADA)).not.toContainEqual(expect.objectContaining({ id }));
  });

  it('that an operator has disabled, its caller can neither enable nor call its own doing', async () => {
    const id = await aWebhook();
    const api = apiOf();
    await api.change(OPS, id, { disabled: true });
    for (const disabled of [false, true]) expect(await api.change(ADA, id, { disabled })).toEqual({ kind: 'barred' });
    expect(await api.change(ADA, id, { description: 'mine' })).toMatchObject({ kind: 'changed' });
    expect(await api.read(ADA, id)).toMatchObject({ state: 'disabled', disabledBecause: 'byOperator' });
    await api.change(OPS, id, { disabled: false });
    expect(await api.read(ADA, id)).toMatchObject({ state: 'active' });
  });
});

describe('at the same time', () => {
  const FAY: Caller = { id: 'fay', permissions: ['read'] };

  it('two rotations both count: whichever secret a caller was told last time is still good', async () => {
    const id = await aWebhook(BOB);
    const [one, other] = await Promise.all([apiOf().rotate(BOB, id, 60), apiOf().rotate(BOB, id, 60)]);
    const kept = await webhooks().find(id);
    expect(kept?.secrets).toHaveLength(3);
    const told = [one?.secret, other?.secret];
    expect(told).toContain(kept?.secrets[0]?.secret);
    expect(told).toContain(kept?.secrets[1]?.secret);
    expect(kept?.secrets[0]?.validUntil).toBeUndefined();
    expect(kept?.secrets[1]?.validUntil).toBeGreaterThan(Date.now());
  });

  it('a caller registers no more than twenty, however many it asks for at once', async () => {
    const wish = { url: 'https://example.com/', events: USUAL_EVENTS, description: '' };
    const made = await Promise.all(Array.from({ length: 30 }, () => apiOf().create(FAY, wish)));
    expect(made.filter(({ kind }) => kind === 'created')).toHaveLength(20);
    expect(made.filter(({ kind }) => kind === 'tooMany')).toHaveLength(10);
    expect(await apiOf().list(FAY)).toHaveLength(20);
    const [first] = await apiOf().list(FAY);
    await apiOf().remove(FAY, first?.id ?? '');
    expect(await apiOf().create(FAY, wish)).toMatchObject({ kind: 'created' });
  });
});

describe('a move', () => {
  it('is written down in the step that makes it, where somebody may want to know, and nowhere else', async () => {
    await store.mailboxes.takeLease('main', LEASE, 60_000);
    const unhooked = await acceptAndBegin(store);
    await store.messages.move({ id: unhooked.id, mailbox: 'main', to: 'sent', token: unhooked.token });
    expect(await store.redis.xlen(store.keys.webhooks.outbox)).toBe(0);

    const hook = await aWebhook();
    const message = aMessage({ callerId: 'ada' });
    await store.messages.accept(message);
    await store.messages.accept(message);
    await store.messages.move({ id: message.id, mailbox: 'main', to: 'canceled' });
    await store.messages.move({ id: message.id, mailbox: 'main', to: 'canceled' });
    const moves = await outbox().oldest(10, 10);
    expect(moves.map(({ record }) => [record.id, record.status, record.revision])).toEqual([
      [message.id, 'queued', 1],
      [message.id, 'canceled', 2],
    ]);
    const jobs: [string, DeliveryJob][] = [];
    const tools = relaying(jobs);
    await relay(tools, moves);
    await relay(tools, moves);
    const mine = jobs.filter(([id]) => id === hook).map(([, { eventId }]) => eventId);
    expect(mine).toHaveLength(4);
    expect(new Set(mine).size).toBe(2);
    expect(await outbox().oldest(10, 10)).toEqual([]);
  });
});

describe('what a caller sends', () => {
  const GIL: Caller = { id: 'gil', permissions: ['read', 'send'] };
  const watched = async ({ id }: { id: string }) => (await store.redis.hexists(store.keys.message(id), 'hooks')) === 1;
  /** Together, as messages come that one process accepts in the same moment; and one that is to go later. */
  async function acceptAll(): Promise<Record<string, boolean>> {
    const { fixed } = aMessage();
    const now = {
      plain: aMessage({ callerId: GIL.id }),
      another: aMessage({ callerId: GIL.id }),
      untold: aMessage({ callerId: GIL.id, fixed: { ...fixed, webhooks: [] } }),
      others: aMessage({ callerId: 'has-none' }),
    };
    const later = {
      scheduled: { ...aMessage({ callerId: GIL.id }), sendAt: Date.now() + DAY },
      untoldLater: { ...aMessage({ callerId: GIL.id, fixed: { ...fixed, webhooks: [] } }), sendAt: Date.now() + DAY },
    };
    const schedule = scheduleStore(store.redis, store.keys, RETENTION, store.messages);
    await Promise.all([
      ...Object.values(now).map((each) => store.messages.accept(each)),
      ...Object.values(later).map((each) => schedule.accept(each)),
    ]);
    const all = Object.entries({ ...now, ...later });
    return Object.fromEntries(await Promise.all(all.map(async ([name, each]) => [name, await watched(each)])));
  }
  const NOBODY = { plain: false, another: false, untold: false, others: false, scheduled: false, untoldLater: false };

  it('is told of from its first webhook on until its last is deleted, whichever process accepts it', async () => {
    expect(await acceptAll()).toEqual(NOBODY);
    const id = await aWebhook(GIL);
    expect(await acceptAll()).toEqual({ ...NOBODY, plain: true, another: true, scheduled: true });
    await apiOf().remove(GIL, id);
    expect(await acceptAll()).toEqual(NOBODY);
  });
});

const relaying = (jobs: [string, DeliveryJob][], more: Partial<RelayTools> = {}): RelayTools => ({
  webhooks: webhooks(),
  outbox: outbox(),
  endOf: async () => undefined,
  enqueue: async (...job: [string, DeliveryJob]) => void jobs.push(job),
  waiting: async () => 0,
  keepMilliseconds: 3 * DAY,
  log: { warn: () => undefined },
  ...more,
});

describe('events that nobody comes for', () => {
  const caller = (id: string): Caller => ({ id, permissions: ['read'] });
  const accepted = async (callerId: string, more: Parameters<typeof aMessage>[0] = {}) => {
    const message = aMessage({ callerId, ...more });
    await store.messages.accept(message);
    return message;
  };
  const droppedOf = async (id: string) => (await webhooks().find(id))?.dropped?.events ?? 0;

  it('fill the outbox no further than its bound; each endpoint that wanted one counts it', async () => {
    await store.redis.del(store.keys.webhooks.outbox);
    const fill = `for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'id', 'x') end`;
    await store.redis.eval(fill, 1, store.keys.webhooks.outbox, MOST_IN_OUTBOX - 1);
    const [wants, other] = [await aWebhook(caller('carla')), await aWebhook(caller('carla'))];
    await apiOf().change(caller('carla'), other, { events: ['message.failed'] });
    const before = await webhooks().metrics();
    await accepted('carla');
    expect(await droppedOf(wants)).toBe(0);
    const { id } = await accepted('carla');
    const { fixed } = aMessage();
    for (const named of [[], [other]]) await accepted('carla', { fixed: { ...fixed, webhooks: named } });
    expect((await store.messages.find(id))?.status).toBe('queued');
    expect(await store.redis.xlen(store.keys.webhooks.outbox)).toBe(MOST_IN_OUTBOX);
    expect([await droppedOf(wants), await droppedOf(other)]).toEqual([1, 0]);
    const { dropped, outbox: length } = await webhooks().metrics();
    expect([dropped.outboxFull - before.dropped.outboxFull, length]).toEqual([1, MOST_IN_OUTBOX]);
    const view = await apiOf().read(caller('carla'), wants);
    expect(view?.dropped).toEqual({ events: 1, lastAt: expect.stringMatching(/^20/) });
    await store.redis.del(store.keys.webhooks.outbox);
  });

  it('are dropped when they are found too late to be told, and counted', async () => {
    const hook = await aWebhook(caller('dora'));
    await accepted('dora');
    const moves = await outbox().oldest(10, 10);
    const jobs: [string, DeliveryJob][] = [];
    await relay(relaying(jobs, { keepMilliseconds: -1_000 }), moves);
    expect(jobs).toEqual([]);
    expect(await droppedOf(hook)).toBe(1);
    expect(await webhooks().eventsBetween('dora', 0, Number.MAX_SAFE_INTEGER, 10)).toEqual([]);
    expect(await outbox().oldest(10, 10)).toEqual([]);
  });

  it('wait for one endpoint up to a bound; those beyond it are kept, and replayed when there is room', async () => {
    const hook = await aWebhook(caller('eve'));
    const { id } = await accepted('eve');
    await store.messages.move({ id, mailbox: 'main', to: 'canceled' });
    const jobs: [string, DeliveryJob][] = [];
    await relay(relaying(jobs, { waiting: async () => MOST_WAITING - 1 }), await outbox().oldest(10, 10));
    expect(jobs).toHaveLength(1);
    expect(await droppedOf(hook)).toBe(1);
    const full = apiOf({ waiting: async () => MOST_WAITING - 1 });
    expect(await full.replay(caller('eve'), hook, { since: 0 })).toMatchObject({ events: 1, more: true });
    expect(await apiOf().replay(caller('eve'), hook, { since: 0 })).toMatchObject({ events: 2, more: false });
  });
});

describe('an endpoint whose caller’s key has ended', () => {
  const carl: Caller = { id: 'carl-ended', permissions: ['read'] };
  const at = Date.now() - 60_000;

  it.each([
    ['keyRevoked', 0],
    ['keyExpired', 1],
  ] as const)('%s: is told nothing, and says why', async (because, kept) => {
    const hook = await aWebhook(carl);
    const endOf = async () => ({ because, at });
    await store.redis.del(store.keys.webhooks.outbox, store.keys.webhooks.events(carl.id));
    await store.messages.accept(aMessage({ callerId: carl.id }));
    const jobs: [string, DeliveryJob][] = [];
    await relay(relaying(jobs, { endOf }), await outbox().oldest(10, 10));
    expect(jobs).toEqual([]);
    // An expired key may be given more time, and then asks for what it missed.
    expect(await webhooks().eventsBetween(carl.id, 0, Number.MAX_SAFE_INTEGER, 10)).toHaveLength(kept);
    expect(await apiOf({ endOf }).read(OPS, hook)).toMatchObject({
      ...{ state: 'disabled', disabledBecause: because, disabledAt: new Date(at).toISOString() },
    });
    await apiOf().remove(carl, hook);
  });
});

describe('an endpoint that fails', () => {
  const answers = (result: Omit<CallResult, 'durationMilliseconds'>, at: () => Date): NotifyTools => ({
    webhooks: webhooks(),
    call: async () => ({ ...result, durationMilliseconds: 3 }),
    endOf: async () => undefined,
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

  it('is not called when its caller’s key has ended, also for what waited already', async () => {
    const hook = await aWebhook();
    const eventId = await anEvent();
    let calls = 0;
    const call = async () => {
      calls += 1;
      return { httpStatus: 200, durationMilliseconds: 1 };
    };
    const tools = { ...answers({ httpStatus: 200 }, now), call };
    const job = { eventId, attempt: 2, run: '' };
    expect(await notify({ ...tools, endOf: async () => ({ because: 'keyRevoked' }) }, hook, job)).toBeUndefined();
    expect(calls).toBe(0);
    await notify(tools, hook, job);
    expect(calls).toBe(1);
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
