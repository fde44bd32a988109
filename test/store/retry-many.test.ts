import { describe, expect, it } from 'vitest';
import type { Caller } from '../../src/gateway/api.ts';
import { positionOf } from '../../src/gateway/position.ts';
import { type RetryQuery, retryMessages } from '../../src/gateway/retry-many.ts';
import { messageLists } from '../../src/store/lists.ts';
import { aMessage, beginning, leasedStore } from '../support/store.ts';

const store = leasedStore();

const ADA: Caller = { id: 'ada', permissions: ['send'] };
const OPERATOR: Caller = { id: 'root', permissions: ['operate'] };

async function ended(to: 'failed' | 'unconfirmed', callerId = 'ada', tags: string[] = [], test = false) {
  const message = aMessage({ callerId });
  message.fixed.tags = tags;
  if (test) message.fixed.test = true;
  const { id } = message;
  await store.messages.accept(message);
  await store.messages.begin(beginning(id, { token: id }));
  await store.messages.move({ id, mailbox: 'main', to, token: id, failure: {} as never });
  return id;
}

function retrying() {
  const enqueued: string[] = [];
  const tools = {
    ...store,
    lists: messageLists(store.redis, store.keys),
    enqueue: async (_mailbox: string, { messageId }: { messageId: string }) => void enqueued.push(messageId),
    now: () => new Date(),
    lifetimeMilliseconds: 3_600_000,
  };
  const retry = (query: Partial<RetryQuery> = {}, caller = ADA) =>
    retryMessages(tools, caller, { status: ['failed'], limit: 100, ...query });
  return { enqueued, retry };
}
const NONE = { contentGone: 0, notAllowed: 0, tooLate: 0 };
const statusOf = async (id: string) => (await store.messages.find(id))?.status;

describe('a retry of many', () => {
  it('sends a caller’s failed messages again, and nothing twice', async () => {
    const own = [await ended('failed'), await ended('failed'), await ended('failed')];
    const others = [await ended('unconfirmed'), await ended('failed', 'bob')];
    const { enqueued, retry } = retrying();
    expect(await retry()).toEqual({ retried: 3, notRetried: NONE });
    expect(enqueued.toSorted()).toEqual(own.toSorted());
    expect(await retry()).toEqual({ retried: 0, notRetried: NONE });
    expect(enqueued).toHaveLength(3);
    expect(await Promise.all(others.map(statusOf))).toEqual(['unconfirmed', 'failed']);
  });

  it('sends unconfirmed ones again only when they are named', async () => {
    const unconfirmed = await ended('unconfirmed');
    const failed = await ended('failed');
    const { enqueued, retry } = retrying();
    expect((await retry({ status: ['unconfirmed'] })).retried).toBe(1);
    expect(enqueued).toEqual([unconfirmed]);
    expect(await statusOf(failed)).toBe('failed');
  });

  it('is of all callers for an operator, narrowed by a filter', async () => {
    const meant = [await ended('failed', 'ada', ['a']), await ended('failed', 'bob', ['a'])];
    await ended('failed', 'bob', ['b']);
    const { enqueued, retry } = retrying();
    expect((await retry({ tag: 'a' }, OPERATOR)).retried).toBe(2);
    expect(enqueued.toSorted()).toEqual(meant.toSorted());
  });

  it('leaves test mail where it is, unless it is asked for or the caller has none but that', async () => {
    const live = await ended('failed');
    const test = await ended('failed', 'ada', [], true);
    const { enqueued, retry } = retrying();
    expect(await retry({}, OPERATOR)).toEqual({ retried: 1, notRetried: NONE });
    expect(enqueued).toEqual([live]);
    expect(await statusOf(test)).toBe('failed');
    expect((await retry({}, { ...ADA, test: true })).retried).toBe(1);
    expect(enqueued).toEqual([live, test]);
  });

  it('is of test mail alone, or of all but that, where it says so', async () => {
    const live = await ended('failed');
    const test = await ended('failed', 'ada', [], true);
    const { enqueued, retry } = retrying();
    expect((await retry({ test: false }, OPERATOR)).retried).toBe(1);
    expect(enqueued).toEqual([live]);
    expect((await retry({ test: true }, OPERATOR)).retried).toBe(1);
    expect(enqueued).toEqual([live, test]);
  });

  it('says what could not be sent again and where to go on, so that those do not stand in the way', async () => {
    const gone = [await ended('failed'), await ended('failed')];
    await store.redis.del(gone.map(store.keys.mime));
    const { retry } = retrying();
    const first = await retry({ limit: 1 });
    expect(first).toMatchObject({ retried: 0, notRetried: { contentGone: 1 } });
    const after = positionOf(first.next ?? '');
    expect(after).toBeDefined();
    const second = await retry({ limit: 1, ...(after && { after }) });
    expect(second).toEqual({ retried: 0, notRetried: { contentGone: 1, notAllowed: 0, tooLate: 0 } });
  });

  it('counts what may not go to its recipient any more', async () => {
    await ended('failed');
    const { retry } = retrying();
    const answer = await retry({}, { ...ADA, to: ['nobody@contoso.com'] });
    expect(answer).toEqual({ retried: 0, notRetried: { ...NONE, notAllowed: 1 } });
  });

  it('of two at the same time sends each message once', async () => {
    for (let i = 0; i < 30; i += 1) await ended('failed');
    const { enqueued, retry } = retrying();
    const answers = await Promise.all([retry(), retry()]);
    expect(new Set(enqueued).size).toBe(30);
    expect(enqueued).toHaveLength(30);
    expect(answers.reduce((sum, { retried }) => sum + retried, 0)).toBe(30);
    expect(await store.mailboxes.counts('main')).toEqual({ queued: 30 });
  });
});
