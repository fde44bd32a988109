import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { dateField, type NewScheduled, releaseDue, type ScheduleStore } from '../../src/gateway/schedule.ts';
import type { RecipientState } from '../../src/mail/message.ts';
import { readLoads } from '../../src/store/headroom.ts';
import { scheduleStore } from '../../src/store/schedule.ts';
import { SILENT_LOG } from '../support/lane.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { acceptAndBegin, aMessage, beginning, LEASE, openStore, RETENTION, type TestStore } from '../support/store.ts';

const HOUR = 3_600_000;
/** When all that a test schedules is due; far from Redis's own time, which must not matter. */
const DUE = Date.now() + 20 * 24 * HOUR;

let redis: TestRedis;
let store: TestStore;
let schedule: ScheduleStore;
beforeAll(async () => {
  redis = await startTestRedis();
  store = openStore(redis.url);
  schedule = scheduleStore(store.redis, store.keys, RETENTION, store.messages);
});
afterAll(async () => {
  store.close();
  await redis[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await redis.flush();
  await store.mailboxes.takeLease('main', LEASE, 60_000);
});

function later(more: Partial<NewScheduled> = {}): NewScheduled {
  const sendAt = more.sendAt ?? DUE;
  return { ...aMessage(more), sendAt, date: dateField(sendAt) };
}

async function scheduled(more: Partial<NewScheduled> = {}): Promise<string> {
  const message = later(more);
  await schedule.accept(message);
  return message.id;
}

const queuedBy = async (asOf: number) => (await schedule.releaseDue(asOf)).queued;

const wish = (from: Parameters<ScheduleStore['expedite']>[1]['from']) => ({ from, first: true, date: dateField(0) });

async function whileFull(act: () => Promise<unknown>): Promise<void> {
  await store.redis.config('SET', 'maxmemory', '1');
  try {
    await act();
  } finally {
    await store.redis.config('SET', 'maxmemory', '0');
  }
}

describe('a Redis that is full', () => {
  it('keeps a scheduled message until there is room, and lets it go then', async () => {
    const id = await scheduled();
    await whileFull(() => expect(queuedBy(DUE)).rejects.toThrow('OOM'));
    expect(await store.messages.find(id)).toMatchObject({ status: 'scheduled' });
    expect(await store.mailboxes.counts('main')).toEqual({ scheduled: 1 });
    expect(await queuedBy(DUE)).toMatchObject([{ ticket: { messageId: id } }]);
    expect(await store.mailboxes.counts('main')).toEqual({ queued: 1 });
  });

  it('changes nothing of a message that shall go at once, nor of the counts', async () => {
    const { id, token } = await acceptAndBegin(store);
    await store.messages.move({ id, mailbox: 'main', to: 'deferred', token, delayMilliseconds: HOUR });
    await whileFull(() => expect(schedule.expedite(id, wish(['deferred']))).rejects.toThrow('OOM'));
    expect(await store.messages.find(id)).toMatchObject({ status: 'deferred' });
    expect(await store.mailboxes.counts('main')).toEqual({ deferred: 1 });
  });
});

it('a scheduled message that has been tried already when all have their jobs is looked after for its next try', async () => {
  const { messages, redis, keys } = store;
  const id = await scheduled();
  async function addJob() {
    const begin = beginning(id, { ticket: 2 });
    expect(await messages.begin(begin)).toMatchObject({ kind: 'go' });
    await messages.move({ id, mailbox: 'main', to: 'deferred', token: begin.token, delayMilliseconds: 1_000 });
  }
  const { postpone } = messages;
  await releaseDue({ schedule, postpone, addJob, wake: async () => undefined, log: SILENT_LOG }, DUE);
  const record = await messages.find(id);
  // Did its worker die before the next job was added, nobody else would see that before it expires.
  expect(Number(await redis.zscore(keys.due, id))).toBe((record?.nextAttemptAt ?? 0) + 30_000);
});

it('a deferred message that goes first is still known to have arrived perhaps', async () => {
  const { id, token } = await acceptAndBegin(store);
  const recipients = [{ address: 'ada@fabrikam.com', status: 'deferred' as const, mayHaveArrived: true as const }];
  await store.messages.move({ id, mailbox: 'main', to: 'deferred', token, delayMilliseconds: HOUR, recipients });
  expect(await schedule.expedite(id, wish(['deferred']))).toMatchObject({ moved: true });
  expect((await store.messages.find(id))?.recipients).toEqual([{ ...recipients[0], status: 'queued' }]);
});

it('a list of its caller that is damaged costs a scheduled message nothing', async () => {
  const id = await scheduled();
  await store.redis.set(store.keys.list({ kind: 'scheduled', callerId: 'test' }), 'not a sorted set');
  expect(await queuedBy(DUE)).toMatchObject([{ ticket: { messageId: id } }]);
  expect(await store.mailboxes.counts('main')).toEqual({ queued: 1 });
  expect(await store.messages.begin(beginning(id, { ticket: 2 }))).toMatchObject({ kind: 'go' });
});

it('a scheduled message that cannot be queued goes once that is mended', async () => {
  const id = await scheduled();
  const { redis, keys } = store;
  await redis.set(keys.busy, 'not a sorted set');
  expect(await queuedBy(DUE)).toEqual([]);
  await redis.del(keys.busy);
  expect(await queuedBy(DUE + 60_000)).toMatchObject([{ ticket: { messageId: id } }]);
  expect(await store.messages.find(id)).toMatchObject({ status: 'queued' });
});

describe('a scheduled message', () => {
  it('is in no lane: it has no place, keeps no mailbox busy, and no job of it would begin', async () => {
    const id = await scheduled();
    expect(await store.mailboxes.counts('main')).toEqual({ scheduled: 1 });
    expect(await store.mailboxes.look(60_000)).toEqual([]);
    expect(await store.messages.begin(beginning(id))).toEqual({ kind: 'void' });
    const waiting = aMessage();
    expect(await store.messages.accept(waiting)).toMatchObject({ record: { aheadAtFirst: 0 } });
    expect((await store.messages.findWithSurroundings(waiting.id))?.ahead).toBe(0);
    expect((await readLoads(store.redis, store.keys, ['main'])).get('main')?.waiting).toBe(1);
  });

  it('is queued at its time and not before, and takes its place then', async () => {
    const id = await scheduled();
    await store.messages.accept(aMessage());
    expect(await queuedBy(DUE - 1)).toEqual([]);
    expect(await schedule.releaseDue(-1)).toMatchObject({ next: expect.closeTo(DUE, 0), queued: [] });
    const [released] = await queuedBy(DUE);
    expect(released).toMatchObject({ mailbox: 'main', ticket: { messageId: id, number: 2, priority: 'normal' } });
    expect(await schedule.releaseDue(DUE)).toMatchObject({ next: undefined, queued: [] });
    expect(await store.mailboxes.counts('main')).toEqual({ queued: 2 });
    expect((await store.messages.findWithSurroundings(id))?.ahead).toBe(1);
    expect(await store.messages.begin(beginning(id, { ticket: 1 }))).toEqual({ kind: 'void' });
    expect(await store.messages.begin(beginning(id, { ticket: 2, token: 'a' }))).toMatchObject({ kind: 'go' });
    await store.messages.move({ id, mailbox: 'main', to: 'sent', token: 'a' });
    expect((await readLoads(store.redis, store.keys, ['main'])).get('main')?.waiting).toBe(1);
  });

  it('that was canceled leaves in silence', async () => {
    const id = await scheduled();
    await store.messages.move({ id, mailbox: 'main', to: 'canceled' });
    expect(await store.mailboxes.counts('main')).toEqual({ canceled: 1 });
    expect(await queuedBy(DUE)).toEqual([]);
    expect((await store.messages.find(id))?.status).toBe('canceled');
    expect(await store.redis.exists(store.keys.scheduled, store.keys.scheduledOf('main'))).toBe(0);
  });

  it('whose job was never added is looked after within seconds', async () => {
    const id = await scheduled();
    await queuedBy(DUE);
    expect(Number(await store.redis.zscore(store.keys.due, id))).toBeLessThan(Date.now() + 10_000);
  });

  it('moves with its date, and only there, if that is ours', async () => {
    const text = (date: string) => Buffer.from(`From: a@b.example\r\nDate: ${date}\r\n\r\nDate: ${date}\r\n`);
    const ours = await scheduled({ mime: text(dateField(DUE)) });
    const theirs = await scheduled({ mime: text(dateField(DUE - HOUR)) });
    const sendAt = DUE + 24 * HOUR;
    const to = { sendAt, expiresAt: sendAt + HOUR, date: dateField(sendAt) };
    for (const id of [ours, theirs]) expect(await schedule.reschedule(id, to)).toMatchObject({ moved: true });
    const expected = `From: a@b.example\r\nDate: ${dateField(sendAt)}\r\n\r\nDate: ${dateField(DUE)}\r\n`;
    expect(await store.redis.get(store.keys.mime(ours))).toBe(expected);
    expect(await store.redis.get(store.keys.mime(theirs))).toBe(String(text(dateField(DUE - HOUR))));
    expect(await queuedBy(DUE)).toEqual([]);
    expect(await queuedBy(sendAt)).toHaveLength(2);
  });

  it('whose Date the caller gave keeps it, also where it is the very time at which it goes', async () => {
    const mime = Buffer.from(`Date: x\r\nDate: ${dateField(DUE)}\r\n\r\n`);
    const { date: _, ...message } = later({ mime });
    await schedule.accept(message);
    const sendAt = DUE + HOUR;
    await schedule.reschedule(message.id, { sendAt, expiresAt: sendAt + HOUR, date: dateField(sendAt) });
    expect(await store.redis.get(store.keys.mime(message.id))).toBe(String(mime));
  });

  it('that is large is written in pieces, and kept', async () => {
    const mime = Buffer.concat([
      Buffer.from(`Date: x\r\nDate: ${dateField(DUE)}\r\n\r\n`),
      Buffer.alloc(5_000_000, 'x'),
    ]);
    const message = later({ mime });
    message.fixed = { ...message.fixed, bytes: mime.length };
    await schedule.accept(message);
    expect(await store.redis.strlen(store.keys.mime(message.id))).toBe(mime.length);
    expect(await store.redis.ttl(store.keys.mime(message.id))).toBe(-1);
    const to = { sendAt: DUE + HOUR, expiresAt: DUE + 2 * HOUR, date: dateField(DUE + HOUR) };
    await schedule.reschedule(message.id, to);
    expect(await store.redis.getrange(store.keys.mime(message.id), 9, 45)).toBe(`Date: ${to.date}`);
  });

  it.each([499, 500, 501, 502])('keeps the end of its timeline, %i times given another time', async (times) => {
    const id = await scheduled();
    const to = { sendAt: DUE + HOUR, expiresAt: DUE + 2 * HOUR, date: dateField(DUE + HOUR) };
    await Promise.all(Array.from({ length: times }, () => schedule.reschedule(id, to)));
    const events = (await store.messages.timeline(id))?.events ?? [];
    expect(events).toHaveLength(Math.min(500, times + 1));
    expect(events.every(({ status }) => status === 'scheduled')).toBe(true);
    expect(events.at(-1)?.number).toBe(times + 1);
  });

  it('accepted many times at once with one key is one', async () => {
    const idempotency = { key: 'order-1', fingerprint: 'a' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        i % 2 ? schedule.accept(later({ idempotency })) : store.messages.accept(aMessage({ idempotency })),
      ),
    );
    expect(answers.filter(({ kind }) => kind === 'accepted')).toHaveLength(1);
    expect(answers.filter(({ kind }) => kind === 'replayed')).toHaveLength(19);
    const other = later({ idempotency: { key: 'order-1', fingerprint: 'b' } });
    expect(await schedule.accept(other)).toMatchObject({ kind: 'conflict' });
    expect(await store.messages.hasContent(other.id)).toBe(false);
  });

  it('is written once where the answer was lost and the step is repeated', async () => {
    const message = later();
    const [first, again] = [await schedule.accept(message), await schedule.accept(message)];
    expect(again).toEqual(first);
    expect((first as { record: object }).record).toEqual(await store.messages.find(message.id));
    expect(await store.mailboxes.counts('main')).toEqual({ scheduled: 1 });
  });
});

describe('many for the same moment', () => {
  it('are queued a few at a time, and do not delay those of another mailbox', async () => {
    for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 100 }, () => scheduled()));
    const others = await Promise.all(Array.from({ length: 30 }, (_, i) => scheduled({ mailbox: `m${i}` })));
    const queued: string[] = [];
    for (let rounds = 0; rounds < 3; rounds++) {
      const some = await queuedBy(DUE + 1);
      expect(some.length).toBeLessThanOrEqual(220);
      queued.push(...some.map(({ ticket }) => ticket.messageId));
    }
    expect(queued).toEqual(expect.arrayContaining(others));
    for (let more = [0] as unknown[]; more.length > 0; ) {
      more = await queuedBy(DUE + 1);
      queued.push(...(more as { ticket: { messageId: string } }[]).map(({ ticket }) => ticket.messageId));
    }
    expect(new Set(queued).size).toBe(1_030);
    expect(await store.mailboxes.counts('main')).toEqual({ queued: 1_000 });
  });

  it('go by priority', async () => {
    const ids: string[] = [];
    for (const priority of ['low', 'normal', 'high'] as const)
      ids.unshift(await scheduled({ fixed: { ...aMessage().fixed, priority } }));
    expect((await queuedBy(DUE)).map(({ ticket }) => ticket.messageId)).toEqual(ids);
  });
});

describe('expediting', () => {
  it('voids the job that a queued message has, and puts it before the others', async () => {
    for (let i = 0; i < 3; i++) await store.messages.accept(aMessage());
    const message = aMessage();
    await store.messages.accept(message);
    expect(await schedule.expedite(message.id, wish(['queued']))).toEqual({ moved: true, ticket: 2 });
    const found = await store.messages.findWithSurroundings(message.id);
    expect(found).toMatchObject({ ahead: 0, record: { status: 'queued', ticket: 2, firstTicket: 2, revision: 2 } });
    expect(await store.messages.begin(beginning(message.id, { ticket: 1 }))).toEqual({ kind: 'void' });
    expect(await store.mailboxes.counts('main')).toEqual({ queued: 4 });
  });

  it('has whom a deferred message could not be sent to wait anew, and leaves alone what became of the others', async () => {
    const { id, token } = await acceptAndBegin(store);
    const failure = {
      code: 'greylisted',
      smtp: { code: 451, response: '451 4.7.1 “später”/\\', stage: 'rcpt' },
    } as never;
    const recipients: RecipientState[] = [
      { address: 'a@b.example', status: 'sent', reply: { code: 250, response: '250 OK', stage: 'after-dot' } },
      { address: 'c@d.example', status: 'deferred', failure },
      { address: 'e@f.example', status: 'failed', failure },
    ];
    const deferred = { to: 'deferred', token, recipients, failure, delayMilliseconds: HOUR } as const;
    await store.messages.move({ id, mailbox: 'main', ...deferred });
    expect(await schedule.expedite(id, wish(['deferred']))).toMatchObject({ moved: true });
    const record = await store.messages.find(id);
    expect(record?.recipients).toEqual([recipients[0], { address: 'c@d.example', status: 'queued' }, recipients[2]]);
    expect(record).not.toHaveProperty('failure');
    expect(record).not.toHaveProperty('nextAttemptAt');
  });

  it('changes nothing of a message that has another status', async () => {
    const id = await scheduled();
    const before = await store.redis.hgetall(store.keys.message(id));
    expect(await schedule.expedite(id, wish(['queued']))).toEqual({ moved: false, status: 'scheduled' });
    expect(await schedule.expedite('msg_none', wish(['queued']))).toEqual({ moved: false, status: undefined });
    expect(await store.redis.hgetall(store.keys.message(id))).toEqual(before);
  });
});

describe('the loads of mailboxes', () => {
  it('tell holds, what waits, what was sent in the window and today', async () => {
    const message = aMessage({ to: ['a@b.example', 'c@d.example'] });
    await store.messages.accept(message);
    await store.messages.accept(aMessage());
    await store.messages.begin(beginning(message.id, { token: 'a' }));
    const flight = { counted: true, windowMilliseconds: 60_000, unusedRecipients: 0 };
    await store.messages.move({ id: message.id, mailbox: 'main', to: 'sent', token: 'a', flight });
    await store.redis.hset(store.keys.holds, 'mailbox:other', '{}');
    const loads = await readLoads(store.redis, store.keys, ['main', 'other']);
    expect(loads.get('main')).toEqual({ held: false, waiting: 1, inWindow: 1, recipientsToday: 2 });
    expect(loads.get('other')).toEqual({ held: true, waiting: 0, inWindow: 0, recipientsToday: 0 });
  });
});
