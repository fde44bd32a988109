import { describe, expect, it } from 'vitest';
import { MOVES, STATUSES, type Status } from '../../src/mail/status.ts';
import { acceptAndBegin, aMessage, beginning, LEASE, leasedStore } from '../support/store.ts';

const store = leasedStore();

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

  it('that gives an attempt back is made though Redis is full', async () => {
    const { id, token } = await acceptAndBegin(store);
    await store.redis.config('SET', 'maxmemory', '1');
    try {
      const flight = { counted: false, windowMilliseconds: 60_000, unusedRecipients: 1 };
      const moved = await store.messages.move({ id, mailbox: 'main', to: 'queued', token, flight });
      expect(moved).toMatchObject({ moved: true });
    } finally {
      await store.redis.config('SET', 'maxmemory', '0');
    }
    expect(await store.mailboxes.usage('main')).toMatchObject({ inWindow: 0, recipientsToday: 0 });
  });

  it('in a mailbox whose sums are broken costs another mailbox in the same turn nothing', async () => {
    await store.mailboxes.takeLease('broken', 'owner-2', 60_000);
    const broken = await acceptAndBegin(store, { mailbox: 'broken', lease: 'owner-2' }, { mailbox: 'broken' });
    const whole = await acceptAndBegin(store);
    await store.redis.set(store.keys.mailbox('broken'), 'not a hash');
    const ends = [
      { ...broken, mailbox: 'broken' },
      { ...whole, mailbox: 'main' },
    ].map(({ id, token, mailbox }) => store.messages.move({ id, token, mailbox, to: 'sent' }));
    expect((await Promise.allSettled(ends)).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    expect(await store.mailboxes.counts('main')).toEqual({ sent: 1 });
    expect(await store.redis.hget(store.keys.mailbox('main'), 'left')).toBe('1');
    expect(await store.mailboxes.isBusy('main')).toBe(false);
  });

  it('by which the dot may leave is on the record, where a new owner finds it', async () => {
    const { id, token } = await acceptAndBegin(store);
    expect((await store.messages.find(id))?.dotMayHaveLeft).toBeUndefined();
    expect(await store.messages.markDot(id, token)).toBe(true);
    expect((await store.messages.find(id))?.dotMayHaveLeft).toBe(true);
  });

  it('by which the dot may leave tells what had become of those that were refused, until the next attempt', async () => {
    const { id, token } = await acceptAndBegin(store);
    const refused = [{ address: 'bob@fabrikam.com', status: 'failed' as const }];
    expect(await store.messages.markDot(id, token, refused)).toBe(true);
    expect(await store.messages.find(id)).toMatchObject({ dotMayHaveLeft: true, refusedBeforeDot: refused });
    await store.redis.hset(store.keys.message(id), 'dotMayHaveLeft', '[{"address":');
    const damaged = await store.messages.find(id);
    expect(damaged?.dotMayHaveLeft).toBe(true);
    expect(damaged?.refusedBeforeDot).toBeUndefined();
    await store.messages.move({ id, mailbox: 'main', to: 'queued', token });
    expect((await store.messages.find(id))?.dotMayHaveLeft).toBeUndefined();
  });

  it('keeps the counts, the busy mailboxes and those that are being sent', async () => {
    const message = aMessage();
    await store.messages.accept(message);
    expect(await store.mailboxes.counts('main')).toEqual({ queued: 1 });
    expect(await store.mailboxes.look(60_000)).toEqual([{ mailbox: 'main', isDriven: true }]);
    await store.messages.begin(beginning(message.id, { token: 'a' }));
    expect((await store.messages.sending('main', LEASE))?.map(({ id }) => id)).toEqual([message.id]);
    await store.messages.move({ id: message.id, mailbox: 'main', to: 'sent', token: 'a' });
    expect(await store.mailboxes.counts('main')).toEqual({ sent: 1 });
    expect(await store.mailboxes.look(60_000)).toEqual([]);
    expect(await store.messages.sending('main', LEASE)).toEqual([]);
    expect(await store.messages.sending('main', 'another owner')).toBeUndefined();
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
    await store.messages.postpone(message.id, 1, Date.now() + 3_000_000);
    expect(await store.messages.reticket(message.id, 1)).toBe(2);
    expect(await store.messages.reticket(message.id, 1)).toBeUndefined();
    expect(await store.messages.begin(beginning(message.id, { ticket: 1 }))).toEqual({ kind: 'void' });
    const lookedAt = Number(await store.redis.zscore(store.keys.due, message.id));
    expect(lookedAt).toBeLessThan(Date.now() + 120_000);
  });
});

describe('the sweeper’s messages', () => {
  it('are given to one process each, and again later in case that it died', async () => {
    const ids = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const message = aMessage();
        await store.messages.accept(message);
        await store.messages.postpone(message.id, 1, 0);
        return message.id;
      }),
    );
    const claims = await Promise.all([store.messages.claimDue(6, 60_000), store.messages.claimDue(6, 60_000)]);
    expect(claims.flat().sort()).toEqual([...ids].sort());
    expect(await store.messages.claimDue(6, 60_000)).toEqual([]);
    const again = Number(await store.redis.zscore(store.keys.due, ids[0] as string));
    expect(again).toBeGreaterThan(Date.now() + 50_000);
  });
});

describe('the timeline and the attempts', () => {
  it('tell every move with its number, time and code, and every attempt, and outlive nothing but the record', async () => {
    const message = aMessage();
    await store.messages.accept(message);
    await store.messages.begin(beginning(message.id, { token: 'a' }));
    const attempt = { number: 1, startedAt: '2026-01-01T00:00:00.000Z', outcome: 'deferred' } as const;
    const failure = { code: 'greylisted' } as never;
    const { id } = message;
    await store.messages.move({
      id,
      mailbox: 'main',
      to: 'deferred',
      token: 'a',
      attempt,
      failure,
      delayMilliseconds: 0,
    });
    await store.messages.begin(beginning(id, { token: 'b', ticket: 2 }));
    await store.messages.move({
      id,
      mailbox: 'main',
      to: 'sent',
      token: 'b',
      attempt: { ...attempt, outcome: 'sent' },
    });
    const told = await store.messages.timeline(id);
    expect(told?.events.map(({ number, status, code }) => [number, status, code])).toEqual([
      [1, 'queued', undefined],
      [2, 'sending', undefined],
      [3, 'deferred', 'greylisted'],
      [4, 'sending', undefined],
      [5, 'sent', undefined],
    ]);
    const found = await store.messages.findWithSurroundings(id);
    expect(found?.attempts.map(({ number, outcome }) => [number, outcome])).toEqual([
      [1, 'deferred'],
      [2, 'sent'],
    ]);
    expect((await store.redis.keys(`*${id}*`)).length).toBe(1);
    expect(await store.redis.pttl(store.keys.message(id))).toBeGreaterThan(0);
  });

  it('of a very long story keep its end', async () => {
    const message = aMessage();
    await store.messages.accept(message);
    await store.redis.hset(store.keys.message(message.id), {
      revision: 600,
      e101: '1 sending',
      e102: '1 deferred',
      e103: '1 sending',
      tries: 150,
      a51: '{}',
    });
    await store.messages.begin(beginning(message.id, { token: 'a' }));
    const attempt = { number: 1, startedAt: '2026-01-01T00:00:00.000Z', outcome: 'sent' } as const;
    await store.messages.move({ id: message.id, mailbox: 'main', to: 'sent', token: 'a', attempt });
    const told = await store.messages.timeline(message.id);
    expect(told?.events.map(({ number }) => number)).toEqual([103, 601, 602]);
    expect(await store.redis.hexists(store.keys.message(message.id), 'a51')).toBe(0);
  });
});
