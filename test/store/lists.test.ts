import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../src/gateway/api.ts';
import { type CountTools, countMessages } from '../../src/gateway/counts.ts';
import { type ListQuery, listMessages } from '../../src/gateway/list.ts';
import { LISTED_STATUSES, type ListName } from '../../src/gateway/lists.ts';
import type { Move, NewMessage } from '../../src/gateway/ports.ts';
import { positionOf } from '../../src/gateway/position.ts';
import { MOST_LOOKED_AT, type SearchTools, searchMessages } from '../../src/gateway/search.ts';
import { tidyLists } from '../../src/gateway/tidy.ts';
import { STATUSES, type Status } from '../../src/mail/status.ts';
import { parseInfo } from '../../src/store/health.ts';
import { messageLists } from '../../src/store/lists.ts';
import { scheduleStore } from '../../src/store/schedule.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { aMessage, beginning, LEASE, openStore, type TestStore } from '../support/store.ts';

let redis: TestRedis;
let store: TestStore;
let tools: SearchTools & CountTools;
beforeAll(async () => {
  redis = await startTestRedis();
  store = openStore(redis.url);
  await store.redis.config('SET', 'appendfsync', 'no');
  tools = { ...store, lists: messageLists(store.redis, store.keys) };
});
afterAll(async () => {
  store.close();
  await redis[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await redis.flush();
  await store.mailboxes.takeLease('main', LEASE, 60_000);
});

const HOUR = 3_600_000;
const RETENTION = {
  recordMilliseconds: HOUR,
  failedContentMilliseconds: HOUR,
  idempotencyMilliseconds: HOUR,
  lifetimeMilliseconds: HOUR,
};
const ADA: Caller = { id: 'ada', permissions: ['read'] };
const BOB: Caller = { id: 'bob', permissions: ['read'] };
const OPERATOR: Caller = { id: 'root', permissions: ['operate'] };
const FAILURE = { category: 'recipientRefused', code: 'unknown_recipient' } as never;

interface Particulars extends Partial<NewMessage> {
  to?: string[];
  tags?: string[];
}
async function accepted({ tags = [], ...more }: Particulars = {}): Promise<string> {
  const message = aMessage({ callerId: 'ada', ...more });
  message.fixed.tags = tags;
  await store.messages.accept(message);
  return message.id;
}
async function many(count: number, more: Particulars = {}): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, () => accepted(more)));
}
async function began(id: string): Promise<void> {
  expect((await store.messages.begin(beginning(id, { token: id }))).kind).toBe('go');
}
const ended = (id: string, to: Status, more: Partial<Move> = {}) =>
  store.messages.move({ id, mailbox: 'main', to, token: id, ...more });
async function failed(more: Particulars = {}): Promise<string> {
  const id = await accepted(more);
  await began(id);
  await ended(id, 'failed', { failure: FAILURE });
  return id;
}

type Query = Partial<Omit<ListQuery, 'after'>> & { after?: string | undefined };
const page = ({ after, ...query }: Query = {}, caller = ADA) => {
  const position = after === undefined ? undefined : positionOf(after);
  return listMessages(tools, caller, { limit: 20, ...query, ...(position && { after: position }) });
};
const ids = async (query: Query = {}, caller = ADA) => (await page(query, caller)).messages.map(({ id }) => id);
const entriesOf = (list: ListName) => store.redis.zrange(store.keys.list(list), '0', '-1');

/** All pages of a list; `meanwhile` happens after each. */
async function allPages(query: Query, caller = ADA, meanwhile: () => Promise<unknown> = async () => undefined) {
  const seen: string[] = [];
  let after: string | undefined;
  do {
    const { messages, next } = await page({ ...query, after }, caller);
    seen.push(...messages.map(({ id }) => id));
    after = next;
    await meanwhile();
  } while (after);
  return seen;
}

/** Commands that Redis has carried out, those that scripts call among them. */
async function commands(): Promise<number> {
  const stats = parseInfo(await store.redis.info('commandstats'));
  return [...stats.values()].reduce((sum, line) => sum + Number(/^calls=(\d+)/.exec(line)?.[1] ?? 0), 0);
}
async function costOf(what: () => Promise<unknown>): Promise<number> {
  const before = await commands();
  await what();
  return (await commands()) - before;
}

describe('a list', () => {
  it('has the newest first, and each page goes on where the last one ended while others come and change', async () => {
    const made = await many(30);
    await began(made[3] ?? '');
    const oldestLast = await ids({ limit: 100 });
    expect(oldestLast.toSorted()).toEqual(made.toSorted());
    let next = 0;
    const seen = await allPages({ limit: 7 }, ADA, async () => {
      await accepted();
      const id = made[next++] ?? '';
      if (next !== 4) await began(id);
      await ended(id, 'sent');
    });
    expect(seen).toEqual(oldestLast);
  });

  it('pages through messages that were accepted in the same millisecond', async () => {
    const made = Array.from({ length: 250 }, (_, i) => `msg_${String(i).padStart(3, '0')}`);
    for (const id of made) {
      await store.messages.accept(aMessage({ id, callerId: 'ada' }));
      await store.redis.hset(store.keys.message(id), 'acceptedAt', 1_000);
      await store.redis.zadd(store.keys.list({ kind: 'all', callerId: 'ada' }), 1_000, id);
    }
    expect(await allPages({ limit: 30 })).toEqual(made.toReversed());
    expect(await allPages({ limit: 30, status: ['queued'] })).toEqual(made.toReversed());
  });

  it('holds a caller’s own messages, and all of them for an operator', async () => {
    const own = [await accepted(), await failed({ tags: ['invoice'] })];
    const others = [await accepted({ callerId: 'bob' }), await failed({ callerId: 'bob', tags: ['invoice'] })];
    const queries: Query[] = [
      {},
      { tag: 'invoice' },
      { status: ['failed'] },
      { status: ['queued'] },
      { status: ['queued', 'failed'] },
      { category: 'recipientRefused' },
      { mailbox: 'main' },
    ];
    for (const query of queries) {
      const [ada, bob, all] = [await ids(query), await ids(query, BOB), await ids(query, OPERATOR)];
      expect(ada.every((id) => own.includes(id)) && ada.length > 0).toBe(true);
      expect(bob.every((id) => others.includes(id)) && bob.length > 0).toBe(true);
      expect(all.toSorted()).toEqual([...ada, ...bob].toSorted());
    }
    expect(await allPages({ limit: 1 }, OPERATOR)).toEqual(await ids({}, OPERATOR));
  });

  it('merges the lists of many callers, newest first', async () => {
    const made: string[] = [];
    for (let i = 0; i < 120; i += 1) made.push(await accepted({ callerId: `caller-${(i * i) % 37}` }));
    const all = await allPages({ limit: 11 }, OPERATOR);
    expect(all.toSorted()).toEqual(made.toSorted());
    const times = await Promise.all(all.map(async (id) => (await store.messages.find(id))?.acceptedAt ?? 0));
    expect(times).toEqual(times.toSorted((a, b) => b - a));
  });

  it('follows the status of each message', async () => {
    const id = await accepted();
    const waiting = await accepted();
    const listed = async () => {
      const found: string[] = [];
      for (const status of Object.keys(STATUSES) as Status[])
        if ((await ids({ status: [status] })).includes(id)) found.push(status);
      return found;
    };
    expect(await listed()).toEqual(['queued']);
    await began(id);
    expect(await listed()).toEqual(['sending']);
    await ended(id, 'deferred', { delayMilliseconds: 0, failure: FAILURE });
    expect(await listed()).toEqual(['deferred']);
    expect((await store.messages.begin(beginning(id, { token: id, ticket: 2 }))).kind).toBe('go');
    expect(await listed()).toEqual(['sending']);
    await ended(id, 'unconfirmed', { failure: FAILURE });
    expect(await listed()).toEqual(['unconfirmed']);
    await store.messages.move({ id, mailbox: 'main', to: 'failed' });
    expect(await listed()).toEqual(['failed']);
    await store.messages.move({ id, mailbox: 'main', to: 'queued', clearFailure: true });
    expect(await listed()).toEqual(['queued']);
    await store.messages.move({ id, mailbox: 'main', to: 'canceled' });
    expect(await listed()).toEqual(['canceled']);
    expect(await ids({ status: ['queued'] })).toEqual([waiting]);
  });

  it('reads what waits in a held mailbox as held', async () => {
    const held = await accepted();
    const free = await accepted({ mailbox: 'other' });
    expect(await page({ status: ['held'] })).toEqual({ messages: [] });
    await store.mailboxes.describe('main', ['mailbox:main']);
    const failure = { category: 'heldByOperator' } as never;
    await store.mailboxes.setHold('mailbox:main', { failure, since: 0, nextProbeAt: 0, probes: 0, settings: '' });
    expect(await ids({ status: ['held'] })).toEqual([held]);
    expect(await ids({ category: 'heldByOperator' })).toEqual([held]);
    expect(await ids({ status: ['queued'] })).toEqual([free]);
    expect((await page({ status: ['held'] })).messages[0]).toMatchObject({ status: 'held', failure });
  });

  it('is narrowed by mailbox, recipient, tag, category and time, all at once if wished', async () => {
    const plain = await accepted();
    const special = await failed({ to: ['Eve@fabrikam.com'], tags: ['a', 'b'] });
    const elsewhere = await accepted({ mailbox: 'other' });
    for (const caller of [ADA, OPERATOR]) {
      expect(await ids({ mailbox: 'other' }, caller)).toEqual([elsewhere]);
      expect((await ids({ mailbox: 'main' }, caller)).toSorted()).toEqual([plain, special].toSorted());
      expect(await ids({ recipient: 'eve@FABRIKAM.com' }, caller)).toEqual([special]);
      expect(await ids({ recipient: 'Eve <eve@fabrikam.com>' }, caller)).toEqual([special]);
      expect(await ids({ tag: 'b', status: ['failed'], mailbox: 'main' }, caller)).toEqual([special]);
      expect(await ids({ tag: 'b', status: ['queued', 'sent'] }, caller)).toEqual([]);
      expect(await ids({ category: 'recipientRefused' }, caller)).toEqual([special]);
    }
    const at = (await store.messages.find(special))?.acceptedAt ?? 0;
    expect(await ids({ createdAfter: at })).toContain(special);
    expect(await ids({ createdBefore: at })).not.toContain(special);
    expect(await ids({ createdBefore: at + 1, status: ['failed'] })).toEqual([special]);
    expect(await ids({ createdAfter: at + 60_000 })).toEqual([]);
  });

  it.each(['a@bücher.example', 'A@BÜCHER.example', 'Ada <a@xn--bcher-kva.example>'])(
    'finds the recipient that was written %s',
    async (recipient) => {
      const meant = await accepted({ to: ['a@xn--bcher-kva.example'] });
      expect(await ids({ recipient })).toEqual([meant]);
      expect(await ids({ recipient: 'b@bücher.example' })).toEqual([]);
    },
  );
});

describe('the cost of a page', () => {
  const QUERIES: [string, Query][] = [
    ['without filters', {}],
    ['of what waits', { status: ['queued'] }],
    ['of what failed', { status: ['failed'] }],
    ['of a rare recipient', { recipient: 'rare@fabrikam.com' }],
  ];
  it('does not grow with the number of messages', async () => {
    await many(MOST_LOOKED_AT + 100);
    for (let i = 0; i < 25; i += 1) await failed();
    const costs = async () => {
      const each: number[] = [];
      for (const [, query] of QUERIES) each.push(await costOf(() => page(query)));
      return each;
    };
    const before = await costs();
    await many(2_000);
    for (const [index, cost] of (await costs()).entries()) expect(cost).toBeLessThan((before[index] ?? 0) + 5);
    expect(before[0]).toBeLessThan(30);
    expect(Math.max(...before)).toBeLessThan(MOST_LOOKED_AT + 100);
  });

  it('is bounded however few match, and the caller can go on to the end', async () => {
    const rare = await accepted({ to: ['rare@fabrikam.com'] });
    await many(MOST_LOOKED_AT + 100);
    const first = await page({ recipient: 'rare@fabrikam.com' });
    expect(first.messages).toEqual([]);
    expect(first.next).toBeDefined();
    const second = await page({ recipient: 'rare@fabrikam.com', after: first.next });
    expect(second).toMatchObject({ messages: [{ id: rare }] });
    expect(second.next).toBeUndefined();
  });

  it('of the few that wait among many that were sent does not depend on those', async () => {
    const waiting = await accepted();
    const sent = await many(150);
    for (const id of sent) {
      await began(id);
      await ended(id, 'sent');
    }
    const { found, next } = await searchMessages(tools, ADA, { status: ['queued'] }, { limit: 10 });
    expect([found.map(({ record }) => record.id), next]).toEqual([[waiting], undefined]);
    expect(await costOf(() => page({ status: ['queued'] }))).toBeLessThan(20);
  });

  it('an ordinary message pays one list at its acceptance and none afterwards', async () => {
    const id = await accepted();
    const lists = async () => (await store.redis.keys(store.keys.list({ kind: '*' as never, callerId: '*' }))).sort();
    expect(await lists()).toEqual([store.keys.list({ kind: 'all', callerId: 'ada' })]);
    const calls = async () => /cmdstat_zadd:calls=(\d+)/.exec(await store.redis.info('commandstats'))?.[1];
    await began(id);
    const before = await calls();
    await ended(id, 'sent');
    // The sweeper's set, and nothing of the lists.
    expect(Number(await calls()) - Number(before)).toBeLessThanOrEqual(1);
    expect(await lists()).toEqual([store.keys.list({ kind: 'all', callerId: 'ada' })]);
  });
});

describe('a message whose record is not kept any more', () => {
  const signal = new AbortController().signal;
  const HOUR = 3_600_000;
  const tidy = () =>
    tidyLists({
      lists: tools.lists,
      now: async () => (await store.mailboxes.now()) + HOUR + 1,
      recordMilliseconds: HOUR,
      pause: async () => undefined,
      signal,
    });

  it('leaves all lists, and its caller with the last one, though nobody reads them', async () => {
    const gone = [await accepted(), await failed()];
    const other = await failed({ callerId: 'bob' });
    const kept = await accepted({ callerId: 'bob' });
    await store.redis.del([...gone, other].map((id) => store.keys.message(id)));
    expect(await tidy()).toBe(5);
    expect(await store.redis.exists(store.keys.list({ kind: 'all', callerId: 'ada' }))).toBe(0);
    expect(await entriesOf({ kind: 'all', callerId: 'bob' })).toEqual([kept]);
    expect(await entriesOf({ kind: 'failed', callerId: 'bob' })).toEqual([]);
    expect(await tools.lists.callers()).toEqual(['bob']);
  });

  it('is found behind any number of those that are kept', async () => {
    const made = await many(1_300);
    const gone = (await ids({ limit: 100 })).slice(0, 10);
    await store.redis.del(gone.map((id) => store.keys.message(id)));
    expect(await tidy()).toBe(10);
    expect(await entriesOf({ kind: 'all', callerId: 'ada' })).toHaveLength(made.length - 10);
  });

  it('is not looked for among those that are younger than records are kept', async () => {
    const id = await accepted();
    await store.redis.del(store.keys.message(id));
    const now = store.mailboxes.now;
    const options = { lists: tools.lists, now, recordMilliseconds: HOUR, pause: async () => undefined, signal };
    expect(await tidyLists(options)).toBe(0);
    expect(await entriesOf({ kind: 'all', callerId: 'ada' })).toEqual([id]);
  });

  it('leaves the lists when a page comes upon it', async () => {
    const id = await failed();
    await store.redis.del(store.keys.message(id));
    expect(await page({ status: ['failed'] })).toEqual({ messages: [] });
    for (const kind of ['all', ...LISTED_STATUSES] as const)
      expect(await entriesOf({ kind, callerId: 'ada' })).toEqual([]);
  });

  it('is tidied away by one process at a time', async () => {
    expect(await tools.lists.claimTidying(60_000)).toBe(true);
    expect(await tools.lists.claimTidying(60_000)).toBe(false);
  });
});

describe('counts', () => {
  it('are a caller’s own, and everybody’s for an operator', async () => {
    await failed();
    await accepted();
    await failed({ callerId: 'bob' });
    expect(await countMessages(tools, ADA)).toEqual({
      statuses: { failed: 1, queued: 1 },
      mailboxes: [{ mailbox: 'main', statuses: { failed: 1, queued: 1 } }],
    });
    expect((await countMessages(tools, BOB)).statuses).toEqual({ failed: 1 });
    const statuses = { failed: 2, queued: 1 };
    const all = await countMessages(tools, OPERATOR);
    expect(all).toEqual({ statuses, mailboxes: [{ mailbox: 'main', statuses }] });
    const hold = { failure: {} as never, since: 0, nextProbeAt: 0, probes: 0, settings: '' };
    await store.mailboxes.setHold('mailbox:main', hold);
    expect((await countMessages(tools, OPERATOR)).statuses).toEqual({
      failed: 2,
      held: 1,
    });
  });

  it('of a caller are right at every step, in each of its mailboxes', async () => {
    const counts = async () => (await countMessages(tools, ADA)).statuses;
    const schedule = scheduleStore(store.redis, store.keys, RETENTION, store.messages);
    const date = 'Sat, 31 Jan 2026 09:30:00 +0000';
    await accepted({ callerId: 'bob' });
    const [sent, deferred] = await many(2);
    if (!sent || !deferred) throw new Error('Two were accepted');
    const elsewhere = await accepted({ mailbox: 'other' });
    for (const id of [sent, deferred]) await began(id);
    expect(await counts()).toEqual({ queued: 1, sending: 2 });
    await ended(sent, 'sent');
    await ended(deferred, 'deferred', { delayMilliseconds: 60_000 });
    expect(await counts()).toEqual({ queued: 1, deferred: 1, sent: 1 });
    await schedule.expedite(deferred, { from: ['deferred'], first: true, date });
    expect(await counts()).toEqual({ queued: 2, sent: 1 });
    const later = aMessage({ callerId: 'ada', mailbox: 'other' });
    await schedule.accept({ ...later, sendAt: Date.now() + 60_000 });
    await schedule.accept({ ...aMessage({ callerId: 'ada' }), sendAt: Date.now() + 60_000 });
    expect(await counts()).toEqual({ queued: 2, sent: 1, scheduled: 2 });
    await schedule.expedite(later.id, { from: ['scheduled'], first: false, date });
    await store.messages.move({ id: elsewhere, mailbox: 'other', to: 'canceled' });
    expect(await countMessages(tools, ADA)).toEqual({
      statuses: { queued: 2, sent: 1, scheduled: 1, canceled: 1 },
      mailboxes: [
        { mailbox: 'main', statuses: { queued: 1, sent: 1, scheduled: 1 } },
        { mailbox: 'other', statuses: { queued: 1, canceled: 1 } },
      ],
    });
    const hold = { failure: {} as never, since: 0, nextProbeAt: 0, probes: 0, settings: '' };
    await store.mailboxes.setHold('mailbox:other', hold);
    expect(await counts()).toEqual({ queued: 1, held: 1, sent: 1, scheduled: 1, canceled: 1 });
    expect((await countMessages(tools, BOB)).statuses).toEqual({ queued: 1 });
  });

  it('of a caller are its own when it holds a test key', async () => {
    await accepted({ mailbox: 'main~test' });
    const hold = { failure: {} as never, since: 0, nextProbeAt: 0, probes: 0, settings: '' };
    await store.mailboxes.setHold('mailbox:main', hold);
    expect(await countMessages(tools, { ...ADA, test: true })).toEqual({
      statuses: { queued: 1 },
      mailboxes: [{ mailbox: 'main', statuses: { queued: 1 } }],
    });
  });
});
