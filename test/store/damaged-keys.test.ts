import { describe, expect, it } from 'vitest';
import { readMailbox } from '../../src/gateway/operate.ts';
import { FIRST_JOBS } from '../../src/queue/jobs.ts';
import { messageStore } from '../../src/store/messages.ts';
import { scheduleStore } from '../../src/store/schedule.ts';
import { MOST_IN_OUTBOX } from '../../src/store/webhook-scripts.ts';
import { acceptAndBegin, aMessage, beginning, leasedStore, RETENTION } from '../support/store.ts';

const store = leasedStore();
const HOUR = 3_600_000;
const DUE = Date.now() + 20 * 24 * HOUR;

const schedule = () => scheduleStore(store.redis, store.keys, RETENTION, store.messages);
const overwrite = (key: string) => store.redis.set(key, 'something else');
const listOf = (kind: Parameters<typeof store.keys.list>[0]['kind']) => store.keys.list({ kind, callerId: 'test' });

/** What only tells of messages, and to whom. */
const ASIDE: [string, () => string][] = [
  ['the list of its caller’s messages', () => listOf('all')],
  ['the list of its caller’s scheduled messages', () => listOf('scheduled')],
  ['the list of its caller’s deferred messages', () => listOf('deferred')],
  ['the list of its caller’s messages that were sent in part', () => listOf('partiallySent')],
  ['the callers', () => store.keys.callers],
  ['the counts of its caller', () => store.keys.countsOf('test')],
  ['the counts of the mailboxes', () => store.keys.counts],
  ['what webhooks are told of', () => store.keys.webhooks.outbox],
];

it('an endpoint of a webhook that somebody has written over costs no message anything while the outbox is full', async () => {
  const { redis, keys, messages } = store;
  const fill = `for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'id', i) end`;
  await redis.eval(fill, 1, keys.webhooks.outbox, MOST_IN_OUTBOX);
  await redis.zadd(keys.webhooks.ofCaller('test'), 1, 'whk_1');
  await overwrite(keys.webhooks.webhook('whk_1'));
  const { id, token } = await acceptAndBegin(store);
  expect(await messages.move({ id, mailbox: 'main', to: 'sent', token })).toMatchObject({ moved: true });
});

describe.each(ASIDE)('where somebody has written over %s', (_, key) => {
  const hasWebhook = () => store.redis.zadd(store.keys.webhooks.ofCaller('test'), 1, 'whk_1');

  it('a message is accepted with its job, and so are those that came with it', async () => {
    await hasWebhook();
    await overwrite(key());
    const messages = messageStore(store.redis, store.keys, RETENTION, FIRST_JOBS);
    const some = [aMessage(), aMessage({ callerId: 'another' })];
    const answers = await Promise.all(some.map((each) => messages.accept(each)));
    expect(answers.map(({ kind }) => kind)).toEqual(['accepted', 'accepted']);
    expect(await store.redis.zcard(`${store.keys.bull}:main:prioritized`)).toBe(2);
    expect((await messages.begin(beginning(some[0]?.id ?? ''))).kind).toBe('go');
  });

  it('a scheduled message is accepted, and queued at its time', async () => {
    await hasWebhook();
    await overwrite(key());
    const message = { ...aMessage(), sendAt: DUE };
    expect(await schedule().accept(message)).toMatchObject({ kind: 'accepted' });
    expect((await schedule().releaseDue(DUE)).queued).toMatchObject([{ ticket: { messageId: message.id } }]);
    expect((await store.messages.begin(beginning(message.id, { ticket: 2 }))).kind).toBe('go');
  });

  it('what becomes of a message is written down, and its place of the window is free again', async () => {
    await hasWebhook();
    const { id, token } = await acceptAndBegin(store);
    await overwrite(key());
    const { redis, keys, messages } = store;
    const flight = { counted: false, windowMilliseconds: 1_000, unusedRecipients: 0 };
    const move = { id, mailbox: 'main', flight };
    expect(await messages.move({ ...move, token, to: 'deferred', delayMilliseconds: 0 })).toMatchObject({
      moved: true,
    });
    expect(await redis.scard(keys.sending('main'))).toBe(0);
    const again = beginning(id, { ticket: 2 });
    expect((await messages.begin(again)).kind).toBe('go');
    expect(await messages.move({ ...move, token: again.token, to: 'partiallySent' })).toMatchObject({ moved: true });
    expect(await redis.scard(keys.sending('main'))).toBe(0);
    expect(await store.mailboxes.isBusy('main')).toBe(false);
  });

  it('a message that waits for its next attempt may go at once', async () => {
    await hasWebhook();
    const { id, token } = await acceptAndBegin(store);
    await store.messages.move({ id, mailbox: 'main', to: 'deferred', token, delayMilliseconds: HOUR });
    await overwrite(key());
    const wish = { from: ['deferred' as const], first: true, date: '' };
    expect(await schedule().expedite(id, wish)).toMatchObject({ moved: true, ticket: 3 });
  });
});

it('a scheduled message that cannot be put in its place is not taken for accepted when it is sent once more', async () => {
  const { redis, keys } = store;
  const idempotency = { key: 'once', fingerprint: 'the same' };
  const one = { ...aMessage({ idempotency }), sendAt: DUE };
  await overwrite(keys.scheduledOf('main'));
  await expect(schedule().accept(one)).rejects.toThrow('WRONGTYPE');
  await redis.del(keys.scheduledOf('main'));
  const again = { ...one, id: aMessage().id };
  expect(await schedule().accept(again)).toMatchObject({ kind: 'accepted', record: { id: again.id } });
  expect((await schedule().releaseDue(DUE)).queued).toMatchObject([{ ticket: { messageId: again.id } }]);
});

it('what is scheduled in a mailbox whose key is damaged keeps back nothing of the others', async () => {
  const { redis, keys } = store;
  const messages = ['broken', 'main'].map((mailbox) => ({ ...aMessage({ mailbox }), sendAt: DUE }));
  for (const message of messages) await schedule().accept(message);
  await overwrite(keys.scheduledOf('broken'));
  const { queued, next } = await schedule().releaseDue(DUE);
  expect(queued).toMatchObject([{ mailbox: 'main' }]);
  // It is not asked for over and over.
  expect(next).toBeGreaterThan(DUE);
  await redis.del(keys.scheduledOf('broken'));
  expect(await schedule().releaseDue(DUE + HOUR)).toMatchObject({ queued: [], next: undefined });
});

it.each(['lease', 'owner'] as const)(
  'a damaged %s of one mailbox costs its owner no other lane, and is made good',
  async (key) => {
    const { redis, keys, mailboxes } = store;
    const wanted = ['damaged', 'whole'].map((mailbox) => ({ mailbox, id: 'owner-2' }));
    await mailboxes.takeLeases(wanted, 60_000);
    await redis.del(keys[key]('damaged'));
    await redis.rpush(keys[key]('damaged'), 'something else');
    expect((await mailboxes.takeLeases(wanted, 60_000))[1]).toBe('renewed');
    expect(await mailboxes.takeLeases(wanted, 60_000)).toEqual(['renewed', 'renewed']);
  },
);

it('a damaged trial keeps nobody from trying a hold out', async () => {
  const { redis, keys, mailboxes } = store;
  await redis.rpush(keys.trial('mailbox:main'), 'something else');
  expect(await mailboxes.claimTrial('mailbox:main', { mailbox: 'main', lease: 'owner-1' }, 60_000)).toBe(true);
});

it('keys of a mailbox that are written over keep nobody from looking at all mailboxes', async () => {
  const { keys, mailboxes } = store;
  await acceptAndBegin(store);
  const sender = { id: 'main', from: [], recipientsPerDay: 9, pace: { perWindow: 5, windowMilliseconds: 1_000 } };
  for (const key of [keys.mailbox, keys.day, keys.permits, keys.sending]) {
    await overwrite(key('main'));
    const view = await readMailbox({ senders: [sender as never], mailboxes, now: () => new Date() }, 'main');
    expect(view).toMatchObject({ state: 'held', hold: { failure: { code: 'mailbox_damaged' } } });
    expect(view?.hold?.failure.summary).toContain(`${key('main')} (`);
  }
});

it('what is known of a mailbox, written over, keeps nobody from reading its messages', async () => {
  const message = aMessage();
  await store.messages.accept(message);
  await overwrite(store.keys.mailbox('main'));
  expect((await store.messages.findWithSurroundings(message.id))?.record.status).toBe('queued');
});

it('a record that somebody has written over keeps no lane from being opened, nor a caller from its other messages', async () => {
  const { redis, keys, messages } = store;
  const [lost, begun] = [await acceptAndBegin(store), await acceptAndBegin(store)];
  await overwrite(keys.message(lost.id));
  expect(await messages.sending('main', 'owner-1')).toEqual([{ id: begun.id, token: begun.token }]);
  expect(await redis.smembers(keys.sending('main'))).toEqual([begun.id]);
  expect(await messages.findMany([lost.id, begun.id])).toMatchObject([undefined, { id: begun.id }]);
});
