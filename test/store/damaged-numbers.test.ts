import { describe, expect, it } from 'vitest';
import { newMessageId } from '../../src/gateway/identifiers.ts';
import { readMailbox } from '../../src/gateway/operate.ts';
import { readMessage, readTimeline } from '../../src/gateway/read.ts';
import { releaseDue } from '../../src/gateway/schedule.ts';
import { sweep } from '../../src/gateway/sweep.ts';
import { asAccepted, viewOf } from '../../src/gateway/view.ts';
import { sweepAway } from '../../src/queue/recovery.ts';
import { admissionStore } from '../../src/store/admission.ts';
import { readLoads } from '../../src/store/headroom.ts';
import { scheduleStore } from '../../src/store/schedule.ts';
import { laneTools, SILENT_LOG } from '../support/lane.ts';
import { acceptAndBegin, aMessage, beginning, leasedStore } from '../support/store.ts';

const store = leasedStore();
const HOUR = 3_600_000;
const CALLER = { id: 'test', permissions: ['read'] } as never;
const PACE = { perWindow: 30, windowMilliseconds: 60_000 };

const SENDER = {
  id: 'main',
  from: ['sender@contoso.com'],
  recipientsPerMessage: 500,
  recipientsPerDay: 1_000,
  messageBytes: 1_000_000,
  connections: 3,
  pace: PACE,
};

/** Every number that a record may have. */
const NUMBERS = [
  'revision',
  'ticket',
  'pending',
  'acceptedAt',
  'updatedAt',
  'expiresAt',
  'place',
  'aheadAtFirst',
  'attempts',
  'interruptions',
  'nextAttemptAt',
  'sendAt',
  'firstSendAt',
  'lifetime',
  'firstTicket',
  'tries',
  'slice',
  'dateAt',
];
/** Without which nobody can tell which job may send it, what it costs of the day, or until when it may be sent. */
const NEEDED = ['ticket', 'pending', 'expiresAt'];

const damage = (id: string, field: string, value: string) =>
  value === 'absent'
    ? store.redis.hdel(store.keys.message(id), field)
    : store.redis.hset(store.keys.message(id), field, value);

async function scheduled(more: Parameters<typeof aMessage>[0] = {}): Promise<string> {
  const message = aMessage(more);
  const schedule = scheduleStore(store.redis, store.keys, { lifetimeMilliseconds: HOUR } as never, store.messages);
  await schedule.accept({ ...message, sendAt: Date.now() + HOUR });
  return message.id;
}

function sweptBy() {
  const tools = laneTools(store);
  return {
    messages: store.messages,
    enqueue: async () => undefined,
    promote: async () => undefined,
    giveUp: (id: string) => sweepAway(id, tools),
    recover: async () => undefined,
    now: store.mailboxes.now,
    jumped: () => false,
    hasWaited: () => false,
  };
}

async function sweepNow(): Promise<void> {
  for (const id of await store.redis.zrange(store.keys.due, '0', '-1')) await store.redis.zadd(store.keys.due, '0', id);
  expect((await sweep(sweptBy())).troubles).toEqual([]);
}

describe.each(['x', '-7', '1e400'])('a number of a record that is “%s”', (value) => {
  it.each(NUMBERS)('%s: keeps nobody from reading the message, its timeline, or the first answer', async (field) => {
    const { messages } = store;
    const id = await scheduled({ id: newMessageId(new Date(1_800_000_000_000)) });
    await damage(id, field, value);
    const senders = [SENDER];
    const reading = await readMessage(messages, senders, CALLER, id);
    expect(reading?.message).toMatchObject({ id, status: 'scheduled' });
    if (field === 'acceptedAt') expect(reading?.message.createdAt).toBe(new Date(1_800_000_000_000).toISOString());
    expect(await readTimeline(messages, CALLER, id)).toHaveLength(1);
    const record = await messages.find(id);
    expect(record && viewOf(asAccepted(record), { attempts: [] }).id).toBe(id);
  });

  it.each(NUMBERS)(
    '%s: a message that waits begins, or is given up as damaged; it is not asked for ever',
    async (field) => {
      const message = aMessage();
      await store.messages.accept(message);
      await damage(message.id, field, value);
      const begun = await store.messages.begin(beginning(message.id));
      expect(begun.kind).toBe(NEEDED.includes(field) ? 'damaged' : 'go');
      await sweepNow();
      const record = await store.messages.find(message.id);
      if (NEEDED.includes(field))
        expect(record).toMatchObject({ status: 'failed', failure: { code: 'record_damaged' } });
      else expect(record).toMatchObject({ status: 'sending', revision: 2 });
    },
  );

  it.each(NUMBERS)('%s: what an attempt came to is written down all the same', async (field) => {
    const { id, token } = await acceptAndBegin(store);
    await damage(id, field, value);
    const sent = { id, mailbox: 'main', to: 'sent' as const, token };
    expect(await store.messages.move(sent)).toMatchObject({ moved: true });
    expect(await store.messages.find(id)).toMatchObject({ status: 'sent', revision: 3 });
    expect(await store.mailboxes.counts('main')).toEqual({ sent: 1 });
  });

  it.each(NUMBERS)('%s: what a dead owner had in hand gets another job, and its lane is opened', async (field) => {
    const message = aMessage();
    await store.messages.accept(message);
    await damage(message.id, field, value);
    const ticket = await store.messages.reticket(message.id, 1);
    expect(ticket).toBe(field === 'ticket' ? undefined : 2);
  });

  it.each(NUMBERS)('%s: other scheduled messages are queued at their time', async (field) => {
    const { redis, keys } = store;
    const ids = [await scheduled(), await scheduled({ mailbox: 'other' }), await scheduled()];
    await damage(ids[0] as string, field, value);
    const schedule = scheduleStore(redis, keys, { lifetimeMilliseconds: HOUR } as never, store.messages);
    const nothing = async () => undefined;
    const tools = { schedule, postpone: store.messages.postpone, addJob: nothing, wake: nothing, log: SILENT_LOG };
    await releaseDue(tools, Date.now() + 2 * HOUR);
    for (const id of ids) expect((await store.messages.find(id))?.status).toBe('queued');
    expect(await redis.zcard(keys.scheduled)).toBe(0);
    await sweepNow();
    const status = NEEDED.includes(field) && field !== 'ticket' ? 'failed' : 'queued';
    if (field !== 'ticket') expect((await store.messages.find(ids[0] as string))?.status).toBe(status);
  });
});

it('a ticket that somebody has written in another way is the same ticket', async () => {
  const { messages, redis, keys } = store;
  const message = aMessage();
  await messages.accept(message);
  await redis.hset(keys.message(message.id), 'ticket', '01');
  expect(await messages.reticket(message.id, 1)).toBe(2);
  await redis.hset(keys.message(message.id), 'ticket', '02');
  expect(await messages.move({ id: message.id, mailbox: 'main', to: 'queued', ticket: 1 })).toMatchObject({
    moved: false,
  });
  expect((await messages.begin(beginning(message.id, { ticket: 1 }))).kind).toBe('void');
  expect((await messages.begin(beginning(message.id, { ticket: 2 }))).kind).toBe('go');
  const waiting = aMessage();
  await messages.accept(waiting);
  await redis.hset(keys.message(waiting.id), 'ticket', '01');
  const move = { id: waiting.id, mailbox: 'main', to: 'canceled' as const, ticket: 1 };
  expect(await messages.move(move)).toMatchObject({ moved: true });
});

describe('a counter of a mailbox that is damaged', () => {
  const about = () => store.keys.mailbox('main');

  it.each(['accepted', 'left'])(
    '(%s) refuses none of its mail, and is put right by what it has to do',
    async (field) => {
      const { messages, redis, keys } = store;
      for (let number = 0; number < 3; number += 1) await messages.accept(aMessage());
      const { id, token } = await acceptAndBegin(store);
      await messages.move({ id, mailbox: 'main', to: 'sent', token });
      await redis.hset(about(), field, 'x');
      const answer = await messages.accept(aMessage());
      expect(answer).toMatchObject({ kind: 'accepted', record: { aheadAtFirst: 3 } });
      expect(await redis.hmget(about(), 'accepted', 'left')).toEqual(['5', '1']);
      expect((await readLoads(redis, keys, ['main'])).get('main')?.waiting).toBe(4);
    },
  );

  it.each(['accepted', 'left'])('(%s) is put right by what is sent, too', async (field) => {
    const { messages, redis } = store;
    const { id, token } = await acceptAndBegin(store);
    await messages.accept(aMessage());
    await redis.hset(about(), field, 'x');
    await messages.move({ id, mailbox: 'main', to: 'sent', token });
    expect(await redis.hmget(about(), 'accepted', 'left')).toEqual(['2', '1']);
  });

  it.each(['accepted', 'left'])('(%s) keeps none of its scheduled messages back', async (field) => {
    const id = await scheduled();
    await store.redis.hset(about(), field, 'x');
    const schedule = scheduleStore(store.redis, store.keys, {} as never, store.messages);
    expect((await schedule.releaseDue(Date.now() + 2 * HOUR)).queued).toHaveLength(1);
    expect((await store.messages.find(id))?.status).toBe('queued');
    expect((await store.mailboxes.look(1))[0]?.mailbox).toBe('main');
  });

  it('(of messages by status) counts anew, and is told as a number', async () => {
    const { messages, mailboxes, redis, keys } = store;
    for (const value of ['x', '1e400']) {
      await redis.hset(keys.counts, 'queued|main', value);
      expect((await mailboxes.metrics()).messages).toEqual([{ mailbox: 'main', status: 'queued', count: 0 }]);
      const tools = { senders: [SENDER], mailboxes, now: () => new Date() };
      expect((await readMailbox(tools, 'main'))?.waiting.count).toBe(0);
    }
    expect(await messages.accept(aMessage())).toMatchObject({ kind: 'accepted' });
    expect(await mailboxes.counts('main')).toEqual({ queued: 1 });
  });

  it.each(['1e400', '99999999999999999999', '-1'])(
    '(of its day, that says %s) does not use the day up',
    async (value) => {
      const { redis, keys } = store;
      await acceptAndBegin(store);
      await redis.hset(keys.day('main'), 'sum', value);
      expect((await acceptAndBegin(store)).permit.kind).toBe('go');
      for (const slice of await redis.hkeys(keys.day('main'))) await redis.hset(keys.day('main'), slice, value);
      expect((await acceptAndBegin(store)).permit.kind).toBe('go');
    },
  );

  it.each(['sum', 'the slice'])('(%s of its day) stops neither its mail nor whoever looks at it', async (which) => {
    const { mailboxes, redis, keys } = store;
    await acceptAndBegin(store);
    const day = await redis.hgetall(keys.day('main'));
    const slice = Object.keys(day).find((field) => Number(field) > 0) as string;
    await redis.hset(keys.day('main'), which === 'sum' ? 'sum' : slice, 'x');
    if (which !== 'sum') await redis.hdel(keys.day('main'), 'sum');
    const tools = { senders: [SENDER], mailboxes, now: () => new Date() };
    expect((await readMailbox(tools, 'main'))?.day.left).toBe(which === 'sum' ? 999 : 1_000);
    expect((await readLoads(redis, keys, ['main'])).get('main')?.recipientsToday).toBe(which === 'sum' ? 1 : 0);
    expect((await acceptAndBegin(store)).permit.kind).toBe('go');
    expect((await readMailbox(tools, 'main'))?.day.left).toBe(which === 'sum' ? 998 : 999);
    await redis.hset(keys.day('main'), slice, 'x', 'sum', 'x');
    const pace = { ...PACE, recipientsPerDay: 1_000 };
    expect(await admissionStore(redis, keys).permitVisitor('main', 'visit', pace, 1)).toBe('go');
  });
});

it('a key of one mailbox that is no set stops no step of another’s in the same turn', async () => {
  const { messages, mailboxes, redis, keys } = store;
  await mailboxes.takeLease('broken', 'owner-2', 60_000);
  const [broken, whole] = [aMessage({ mailbox: 'broken' }), aMessage()];
  for (const message of [broken, whole]) await messages.accept(message);
  await redis.set(keys.permits('broken'), 'not a set');
  const answers = await Promise.allSettled([
    messages.begin(beginning(broken.id, { mailbox: 'broken', lease: 'owner-2' })),
    messages.begin(beginning(whole.id)),
  ]);
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  // What Redis said of the key, and not what came of it in our script.
  expect((answers[0] as PromiseRejectedResult).reason.message).toContain('WRONGTYPE');
});

describe('what cannot be a message', () => {
  it.each([
    ['fixed', '{}'],
    ['fixed', '[]'],
    ['fixed', '{"from":"a@b.c","bytes":1}'],
    ['fixed', '{"from":"a@b.c","to":["d@e.f"],"bytes":1,"priority":"x"}'],
    ['recipients', '[null]'],
    ['recipients', '[{}]'],
    ['recipients', '[{"address":"a@b.c"}]'],
  ])('since its %s are %s, is never sent', async (field, value) => {
    const message = aMessage();
    await store.messages.accept(message);
    await damage(message.id, field, value);
    expect((await store.messages.begin(beginning(message.id))).kind).toBe('damaged');
    expect((await store.messages.find(message.id))?.isDamaged).toBe(true);
  });

  it('since its key is no record, or that of its content no content, keeps no connection', async () => {
    const [one, other] = [aMessage(), aMessage()];
    for (const message of [one, other]) await store.messages.accept(message);
    await store.redis.set(store.keys.message(one.id), 'not a record');
    await store.redis.del(store.keys.mime(other.id));
    await store.redis.hset(store.keys.mime(other.id), 'no', 'content');
    expect((await store.messages.begin(beginning(one.id))).kind).toBe('void');
    expect((await store.messages.begin(beginning(other.id))).kind).toBe('gone');
  });
});
