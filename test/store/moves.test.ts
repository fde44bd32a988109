import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MOVES, STATUSES, type Status } from '../../src/mail/status.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { aMessage, beginning, LEASE, openStore, type TestStore } from '../support/store.ts';

let redis: TestRedis;
let store: TestStore;
beforeAll(async () => {
  redis = await startTestRedis();
  store = openStore(redis.url);
});
afterAll(async () => {
  store.close();
  await redis[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await redis.flush();
  await store.mailboxes.takeLease('main', LEASE, 60_000);
});

const ALL = Object.keys(STATUSES) as Status[];

/** A message that has come to this status; the counters do not matter here. */
async function messageIn(status: Status): Promise<string> {
  const message = aMessage();
  await store.messages.accept(message);
  await store.redis.hset(store.keys.message(message.id), 'status', status);
  return message.id;
}

describe('a move', () => {
  it.each(ALL.flatMap((from) => ALL.map((to) => [from, to, (MOVES[from] as readonly Status[]).includes(to)] as const)))(
    'from %s to %s is made: %s',
    async (from, to, isAllowed) => {
      const id = await messageIn(from);
      const before = await store.redis.hgetall(store.keys.message(id));
      const moved = await store.messages.move({ id, mailbox: 'main', to });
      expect(moved.moved).toBe(isAllowed);
      if (!isAllowed) expect(await store.redis.hgetall(store.keys.message(id))).toEqual(before);
      else expect((await store.messages.find(id))?.status).toBe(to);
    },
  );

  it('of an attempt that no longer holds the message changes nothing of it', async () => {
    const message = aMessage();
    await store.messages.accept(message);
    await store.messages.begin(beginning(message.id, { token: 'new owner' }));
    const move = { id: message.id, mailbox: 'main', to: 'sent', token: 'sleeper' } as const;
    expect(await store.messages.move(move)).toEqual({ moved: false, status: 'sending' });
    expect(await store.messages.markDot(message.id, 'sleeper')).toBe(false);
    expect(await store.messages.move({ ...move, token: 'new owner' })).toMatchObject({ moved: true });
  });

  it('keeps the counts, the busy mailboxes and those that are being sent', async () => {
    const message = aMessage();
    await store.messages.accept(message);
    expect(await store.mailboxes.counts('main')).toEqual({ queued: 1 });
    expect(await store.mailboxes.look()).toEqual([{ mailbox: 'main', isDriven: true }]);
    await store.messages.begin(beginning(message.id, { token: 'a' }));
    expect(await store.messages.sending('main')).toEqual([message.id]);
    await store.messages.move({ id: message.id, mailbox: 'main', to: 'sent', token: 'a' });
    expect(await store.mailboxes.counts('main')).toEqual({ sent: 1 });
    expect(await store.mailboxes.look()).toEqual([]);
    expect(await store.messages.sending('main')).toEqual([]);
    expect(await store.messages.hasContent(message.id)).toBe(false);
  });
});

describe('accepting', () => {
  it('the same message many times at once with one key makes one', async () => {
    const idempotency = { key: 'order-1', fingerprint: 'a' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => store.messages.accept(aMessage({ idempotency }))),
    );
    expect(answers.filter(({ kind }) => kind === 'accepted')).toHaveLength(1);
    expect(answers.filter(({ kind }) => kind === 'replayed')).toHaveLength(19);
    expect(await store.mailboxes.counts('main')).toEqual({ queued: 1 });
  });

  it('another message with a used key is refused, and nothing of it is written', async () => {
    await store.messages.accept(aMessage({ idempotency: { key: 'order-1', fingerprint: 'a' } }));
    const other = aMessage({ idempotency: { key: 'order-1', fingerprint: 'b' } });
    expect(await store.messages.accept(other)).toMatchObject({ kind: 'conflict' });
    expect(await store.messages.find(other.id)).toBeUndefined();
    expect(await store.messages.hasContent(other.id)).toBe(false);
  });
});

describe('a new ticket', () => {
  it('voids the job before it, and is looked after soon in case its own job is never added', async () => {
    const message = aMessage();
    await store.messages.accept(message);
    await store.messages.postpone(message.id, Date.now() + 3_000_000);
    expect(await store.messages.reticket(message.id, 1)).toBe(2);
    expect(await store.messages.reticket(message.id, 1)).toBeUndefined();
    expect(await store.messages.begin(beginning(message.id, { ticket: 1 }))).toEqual({ kind: 'void' });
    const lookedAt = Number(await store.redis.zscore(store.keys.due, message.id));
    expect(lookedAt).toBeLessThan(Date.now() + 120_000);
  });
});
