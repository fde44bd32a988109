import { afterEach, describe, expect, it, vi } from 'vitest';
import { WRITTEN_AT_ONCE } from '../../src/gateway/accept.ts';
import type { NewMessage } from '../../src/gateway/ports.ts';
import { type SweepTools, sweep } from '../../src/gateway/sweep.ts';
import { sharedBackends } from '../../src/queue/backend.ts';
import { jobQueues } from '../../src/queue/jobs.ts';
import { sweepAway } from '../../src/queue/recovery.ts';
import { idempotencyKeyOf } from '../../src/store/messages.ts';
import { startRedisProxy } from '../support/redis-proxy.ts';
import { acceptAndBegin, aMessage, LEASE, leasedStore, openStore } from '../support/store.ts';

const store = leasedStore();

function aLargeMessage() {
  const message = aMessage();
  const mime = Buffer.alloc(WRITTEN_AT_ONCE + 1, 'a');
  return { ...message, mime, fixed: { ...message.fixed, bytes: mime.length } };
}

const isKeptFor = (key: string) => store.redis.pttl(key);
const NOT_THERE = -2;
const FOR_EVER = -1;

/** Looks at everything that waits to be looked at, whenever that is. */
async function sweepNow(tools: Partial<SweepTools> = {}): Promise<void> {
  for (const id of await store.redis.zrange(store.keys.due, '0', '-1')) await store.redis.zadd(store.keys.due, '0', id);
  const { troubles } = await sweep({
    messages: store.messages,
    enqueue: async () => undefined,
    giveUp: async () => undefined,
    promote: async () => undefined,
    recover: async () => undefined,
    now: store.mailboxes.now,
    jumped: () => false,
    hasWaited: () => false,
    ...tools,
  });
  expect(troubles).toEqual([]);
}

describe('a large content that is not accepted in the end', () => {
  it('goes by itself where the process lost Redis, or died, after the first piece', async () => {
    await using proxy = await startRedisProxy((store.redis.options.path ?? '') as string);
    const cutOff = openStore(proxy.url, 'prompt');
    await expect.poll(() => cutOff.mailboxes.now().catch(() => 0)).toBeGreaterThan(0);
    const message = aLargeMessage();
    proxy.loseAnswers();
    await expect(cutOff.messages.accept(message)).rejects.toThrow();
    cutOff.close();
    expect(await store.redis.strlen(store.keys.mime(message.id))).toBeGreaterThan(0);
    expect(await isKeptFor(store.keys.mime(message.id))).toBeGreaterThan(0);
  });

  it('leaves nothing where its beginning has ended before the rest came', async () => {
    const { redis, keys } = store;
    const message = aLargeMessage();
    const stage = redis.stagePiece;
    redis.stagePiece = async (...args) => {
      const answer = await stage.apply(redis, args);
      await redis.del(keys.mime(message.id));
      return answer;
    };
    await expect(store.messages.accept(message)).rejects.toThrow('were not kept until the rest came');
    redis.stagePiece = stage;
    expect(await isKeptFor(keys.mime(message.id))).toBe(NOT_THERE);
  });

  it('but one that was accepted stays, though a piece of it comes once more, late', async () => {
    const { redis, keys } = store;
    const message = aLargeMessage();
    await store.messages.accept(message);
    await redis.stagePiece(keys.mime(message.id), keys.message(message.id), 0, Buffer.from('again'), 1_000);
    expect(await isKeptFor(keys.mime(message.id))).toBe(FOR_EVER);
    expect((await redis.getrange(keys.mime(message.id), 0, 4)).toString()).toBe('aaaaa');
  });
});

describe('a message that is not accepted because a key is damaged', () => {
  const ofCallers = (...callers: string[]) => callers.map((callerId) => aMessage({ callerId }));

  it('leaves nothing, and those that came with it are accepted as if nothing were', async () => {
    const { messages, mailboxes, redis, keys } = store;
    const idempotency = { key: 'order-1', fingerprint: 'a' };
    await redis.set(idempotencyKeyOf(keys, 'bad', idempotency.key), 'not a hash');
    const [one, other] = ofCallers('one', 'other') as [NewMessage, NewMessage];
    const bad = aMessage({ callerId: 'bad', idempotency });
    const answers = await Promise.allSettled([one, bad, other].map((each) => messages.accept(each)));
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await redis.exists(keys.message(bad.id), keys.mime(bad.id))).toBe(0);
    await expect(messages.accept({ ...bad, mailbox: 'quiet' })).rejects.toThrow();
    expect(await mailboxes.isBusy('quiet')).toBe(false);
    expect(await mailboxes.counts('main')).toEqual({ queued: 2 });
    expect((await redis.zrange(keys.due, '0', '-1')).toSorted()).toEqual([one.id, other.id].toSorted());
    expect((await messages.findWithSurroundings(other.id))?.record.aheadAtFirst).toBe(1);
  });

  it('but what was accepted before stays, though its request comes once more', async () => {
    const { messages, redis, keys } = store;
    const message = aMessage({ idempotency: { key: 'order-1', fingerprint: 'a' } });
    await messages.accept(message);
    const [entry = ''] = await redis.keys(keys.idempotency('test', '*'));
    await redis.set(entry, 'not a hash');
    await expect(messages.accept(message)).rejects.toThrow('WRONGTYPE');
    expect(await messages.hasContent(message.id)).toBe(true);
    expect(await messages.find(message.id)).toMatchObject({ status: 'queued' });
  });

  it('nor does a full Redis take any of those that came together', async () => {
    const { messages, redis, keys } = store;
    await redis.config('SET', 'maxmemory', '1');
    try {
      const answers = await Promise.allSettled(ofCallers('one', 'two', 'three').map((each) => messages.accept(each)));
      expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    } finally {
      await redis.config('SET', 'maxmemory', '0');
    }
    expect(await redis.keys(keys.message('*'))).toEqual([]);
    expect(await redis.zcard(keys.due)).toBe(0);
  });
});

describe('the sweeper', () => {
  it.each(['sent', 'partiallySent', 'canceled', 'failed'] as const)(
    'ends what a step that failed half-way left of a message that is %s',
    async (status) => {
      const { redis, keys, mailboxes } = store;
      const { id } = await acceptAndBegin(store);
      await redis.hset(keys.message(id), 'status', status);
      await sweepNow();
      expect(await isKeptFor(keys.message(id))).toBeGreaterThan(0);
      const content = await isKeptFor(keys.mime(id));
      if (status === 'failed') expect(content).toBeGreaterThan(0);
      else expect(content).toBe(NOT_THERE);
      expect(await redis.zcard(keys.due)).toBe(0);
      expect(await mailboxes.usage('main')).toMatchObject({ inWindow: 0 });
    },
  );

  it('deletes the content of a message whose record is gone', async () => {
    const { redis, keys } = store;
    const message = aMessage();
    await store.messages.accept(message);
    await redis.del(keys.message(message.id));
    await sweepNow();
    expect(await redis.exists(keys.mime(message.id))).toBe(0);
    expect(await redis.zcard(keys.due)).toBe(0);
  });

  it('does not forget a message that somebody has sent again since it was read', async () => {
    const { messages, redis, keys } = store;
    const { id, token } = await acceptAndBegin(store);
    await messages.move({ id, mailbox: 'main', to: 'unconfirmed', token });
    await messages.move({ id, mailbox: 'main', to: 'queued' });
    await messages.leave(id);
    expect(await redis.zscore(keys.due, id)).not.toBeNull();
    expect(await messages.hasContent(id)).toBe(true);
  });

  it('does not put off one that has got a new ticket since it was read, whose job may be missing', async () => {
    const { messages, redis, keys } = store;
    const { id, token } = await acceptAndBegin(store);
    await messages.move({ id, mailbox: 'main', to: 'queued', token });
    const soon = await redis.zscore(keys.due, id);
    await messages.postpone(id, 1, Number(soon) + 40 * 3_600_000);
    expect(await redis.zscore(keys.due, id)).toBe(soon);
    await messages.postpone(id, 2, Number(soon) + 1);
    expect(await redis.zscore(keys.due, id)).toBe(String(Number(soon) + 1));
  });
});

describe('the job of a message whose time is over', () => {
  it('goes with it, although nobody drives its mailbox any more', async () => {
    const { redis, keys, messages } = store;
    const jobs = jobQueues(redis, keys.bull, sharedBackends(redis));
    const message = aMessage({ expiresAt: 1 });
    await messages.accept(message);
    await jobs.add('main', { messageId: message.id, number: 1, priority: 'normal' });
    const job = `${keys.bull}:main:${message.id}-1`;
    expect(await redis.exists(job)).toBe(1);
    const chance = { now: () => new Date(), random: Math.random, token: () => '' };
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    await sweepAway(message.id, { messages, jobs, chance, log });
    expect(await messages.find(message.id)).toMatchObject({ status: 'failed', failure: { code: 'expired' } });
    expect(await redis.exists(job)).toBe(0);
    expect(await redis.zcard(`${keys.bull}:main:prioritized`)).toBe(0);
    await jobs.close();
  });
});

describe('a retry', () => {
  afterEach(() => vi.useRealTimers());

  it('goes at its time, though its job waits by the clock of a process that was two days ahead and is gone', async () => {
    const { redis, keys, messages, mailboxes } = store;
    const jobs = jobQueues(redis, keys.bull, sharedBackends(redis));
    const { id, token } = await acceptAndBegin(store);
    const moved = await messages.move({ id, mailbox: 'main', to: 'deferred', token, delayMilliseconds: 1 });
    const ticket = { messageId: id, number: moved.moved ? moved.ticket : 0, priority: 'normal' } as const;
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 48 * 3_600_000 });
    await jobs.add('main', ticket, 1);
    vi.useRealTimers();
    const woken: string[] = [];
    await sweepNow({
      enqueue: (mailbox, each) => jobs.add(mailbox, each),
      async promote(mailbox, each) {
        await jobs.promote(mailbox, each);
        woken.push(mailbox);
      },
    });
    expect(await redis.zcard(`${keys.bull}:main:delayed`)).toBe(0);
    expect(await redis.zrange(`${keys.bull}:main:prioritized`, '0', '-1')).toEqual([`${id}-2`]);
    expect(woken).toEqual(['main']);
    expect(await mailboxes.isBusy('main')).toBe(true);
    await jobs.close();
  });
});

describe('a place of the window', () => {
  it('is not taken for ever by a message that is said to be sent and is not', async () => {
    const { messages, mailboxes, redis, keys } = store;
    await redis.sadd(keys.sending('main'), 'msg_whose_record_is_gone');
    const { id } = await acceptAndBegin(store);
    expect((await messages.sending('main', LEASE))?.map((each) => each.id)).toEqual([id]);
    expect(await mailboxes.usage('main')).toMatchObject({ inWindow: 1 });
  });
});

describe('a hold', () => {
  it('of what nobody sends by any more is forgotten in the end, unless an operator made it', async () => {
    const { mailboxes } = store;
    const week = 7 * 24 * 3_600_000;
    const now = await mailboxes.now();
    const hold = { failure: {} as never, since: 0, probes: 3, settings: '' };
    await mailboxes.setHold('host:smtp.contoso.test:25', { ...hold, nextProbeAt: now - week - 1_000 });
    await mailboxes.setHold('mailbox:main', { ...hold, nextProbeAt: now - week + 60_000 });
    await mailboxes.setHold('mailbox:old', { ...hold, nextProbeAt: 0, byOperator: true });
    await mailboxes.forgetHolds(week);
    const left = await mailboxes.holds(['host:smtp.contoso.test:25', 'mailbox:main', 'mailbox:old']);
    expect([...left.keys()]).toEqual(['mailbox:main', 'mailbox:old']);
  });
});
