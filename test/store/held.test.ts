import { describe, expect, it, vi } from 'vitest';
import type { Failure } from '../../src/failure/failure.ts';
import { readMailbox } from '../../src/gateway/operate.ts';
import type { Accepted, NewMessage, StoredHold } from '../../src/gateway/ports.ts';
import { readMessage } from '../../src/gateway/read.ts';
import { lastingHold } from '../../src/gateway/view.ts';
import { openGate } from '../../src/queue/gate.ts';
import { readLoads } from '../../src/store/headroom.ts';
import { scheduleStore } from '../../src/store/schedule.ts';
import { aMessage, beginning, LEASE, leasedStore } from '../support/store.ts';

const store = leasedStore();

const [NETWORK, TENANT, MAILBOX] = ['host:smtp.office365.com:587', 'tenant:contoso', 'mailbox:main'] as const;

const SOON = Date.now() + 60_000;

function holdBecause(code: string, more: Partial<StoredHold> = {}): StoredHold {
  return { failure: { code } as Failure, since: 1, nextProbeAt: SOON, probes: 0, settings: 'a', ...more };
}

const keyed = (key: string, more: Partial<NewMessage> = {}) =>
  aMessage({ idempotency: { key, fingerprint: 'the body' }, ...more });

const codeOf = (answer: Accepted | undefined) =>
  answer && answer.kind !== 'conflict' ? answer.hold?.failure.code : 'conflict';

describe('a message that is accepted', () => {
  it.each([
    ['its mailbox', [MAILBOX], MAILBOX],
    ['its tenant', [TENANT], TENANT],
    ['the network', [NETWORK], NETWORK],
    ['all of them', [MAILBOX, TENANT, NETWORK], NETWORK],
  ])('while %s is held is answered with the hold that reading it gives', async (_what, held, told) => {
    const { messages, mailboxes } = store;
    await mailboxes.describe('main', [NETWORK, TENANT, MAILBOX]);
    for (const key of held) await mailboxes.setHold(key, holdBecause(key));
    const message = aMessage();
    const answer = await messages.accept(message);
    expect(codeOf(answer)).toBe(told);
    expect((await messages.findWithSurroundings(message.id))?.hold).toEqual('hold' in answer && answer.hold);
  });

  it.each([
    ['that is tried out last', { nextProbeAt: SOON + 1 }],
    ['that only a person ends', { nextProbeAt: 0, byOperator: true as const }],
  ])('while several things are held is told of the one %s: it waits for that', async (_which, lasting) => {
    const { messages, mailboxes } = store;
    await mailboxes.describe('main', [NETWORK, TENANT, MAILBOX]);
    for (const key of [NETWORK, TENANT]) await mailboxes.setHold(key, holdBecause(key));
    await mailboxes.setHold(MAILBOX, holdBecause(MAILBOX, lasting));
    const message = aMessage();
    expect(codeOf(await messages.accept(message))).toBe(MAILBOX);
    expect((await messages.findWithSurroundings(message.id))?.hold?.failure.code).toBe(MAILBOX);
    expect(lastingHold(await mailboxes.holdsOf('main'))?.failure.code).toBe(MAILBOX);
  });

  it('together with those of mailboxes that send is the only one that is held', async () => {
    const { messages, mailboxes } = store;
    for (const mailbox of ['main', 'open']) await mailboxes.describe(mailbox, [NETWORK, `mailbox:${mailbox}`]);
    await mailboxes.setHold(MAILBOX, holdBecause('auth_failed'));
    const answers = await Promise.all(
      ['open', 'main', 'open', 'main'].map((mailbox) => messages.accept(aMessage({ mailbox }))),
    );
    expect(answers.map(codeOf)).toEqual([undefined, 'auth_failed', undefined, 'auth_failed']);
  });

  it('before any worker has opened its lane is held all the same where an operator holds its mailbox', async () => {
    const { messages, mailboxes } = store;
    await mailboxes.setHold(MAILBOX, holdBecause('held_by_operator'));
    const message = aMessage();
    expect(codeOf(await messages.accept(message))).toBe('held_by_operator');
    expect((await messages.findWithSurroundings(message.id))?.hold?.failure.code).toBe('held_by_operator');
  });

  it('though what is known of holds is damaged, is accepted', async () => {
    await store.redis.set(store.keys.holds, 'not a hash');
    expect(await store.messages.accept(aMessage())).toMatchObject({ kind: 'accepted', record: { status: 'queued' } });
  });
});

describe('a hold that is damaged', () => {
  it.each(['[not JSON', '7', 'true', '[]', '{"a":1}', '[{}]'])(
    'refuses no mail where the mailbox says %s for what concerns it',
    async (damaged) => {
      const { messages, mailboxes, redis, keys } = store;
      await mailboxes.setHold(TENANT, holdBecause('auth_failed'));
      await redis.hset(keys.mailbox('main'), 'holdKeys', damaged);
      const message = aMessage();
      expect(await messages.accept(message)).toMatchObject({ kind: 'accepted', record: { status: 'queued' } });
      expect((await messages.findWithSurroundings(message.id))?.record.id).toBe(message.id);
      expect((await readLoads(redis, keys, ['main'])).get('main')?.waiting).toBe(1);
      // Nor keeps anybody from the list of all mailboxes.
      expect((await mailboxes.holdsOf('main')).size).toBe(0);
    },
  );

  it('is told as one of which nobody knows why, and refuses no mail', async () => {
    const { messages, mailboxes, redis, keys } = store;
    await mailboxes.describe('main', [MAILBOX]);
    await redis.hset(keys.holds, MAILBOX, '{"failure":');
    const message = keyed('a key');
    expect(codeOf(await messages.accept(message))).toBe('hold_damaged');
    expect(codeOf(await messages.replay('test', 'a key', 'the body'))).toBe('hold_damaged');
    expect((await messages.findWithSurroundings(message.id))?.hold?.failure.code).toBe('hold_damaged');
    expect((await mailboxes.metrics()).holds).toEqual([{ key: MAILBOX, code: 'hold_damaged' }]);
    expect(await mailboxes.forgetHolds(0)).toBeUndefined();
  });

  it.each([
    ['is nothing', 'null', 0],
    ['does not say when, and the clock is two days ahead', '{"failure":{},"settings":"a"}', 48 * 3_600_000],
  ])('where it %s, is tried out at once, and gone when that works', async (_which, damaged, ahead) => {
    const { mailboxes, redis, keys } = store;
    const now = Date.now;
    vi.spyOn(Date, 'now').mockImplementation(() => now() + ahead);
    await redis.hset(keys.holds, MAILBOX, damaged);
    const gate = await openGate({
      keys: { mailbox: MAILBOX, network: NETWORK },
      owner: { mailbox: 'main', lease: LEASE },
      store: mailboxes,
      settingsDigest: 'a',
      windowMilliseconds: 1,
      random: () => 0,
      onHold: () => undefined,
      onRelease: () => undefined,
      onUnwritten: () => undefined,
    });
    const trial = await gate.pass();
    expect(trial.trial).toBe(true);
    await trial.works();
    expect(await redis.hlen(keys.holds)).toBe(0);
    gate.close();
    vi.restoreAllMocks();
  });

  it.each([
    ['when it is tried', { nextProbeAt: 'soon' }],
    ['since when it lasts', { since: 1e300 }],
    ['how often it was tried', { probes: null }],
    ['how long it lasts', { delayMilliseconds: 'x' }],
  ])('as to %s says all else as before, and is a hold that one can read', async (_what, damaged) => {
    const { messages, mailboxes, redis, keys } = store;
    const json = (more: object) => JSON.stringify({ ...holdBecause('held_by_operator', more), ...damaged });
    await redis.hset(keys.holds, MAILBOX, json({ byOperator: true }));
    const message = aMessage();
    expect(codeOf(await messages.accept(message))).toBe('held_by_operator');
    const senders = [{ id: 'main', pace: { perWindow: 1, windowMilliseconds: 1 }, recipientsPerDay: 1 }];
    const caller = { id: 'test', permissions: ['read'] } as never;
    expect((await readMessage(messages, senders, caller, message.id))?.message.status).toBe('held');
    const sender = { ...senders[0], from: [], recipientsPerDay: 1 } as never;
    const view = await readMailbox({ senders: [sender], mailboxes, now: () => new Date() }, 'main');
    expect(view?.hold).toMatchObject({ byOperator: true, probes: 0 });
    await redis.hset(keys.holds, MAILBOX, json({ nextProbeAt: 1 }));
    await mailboxes.forgetHolds(1_000);
  });

  it.each([null, 0, 'yes'])(
    'and says %s to whether a person holds is none of a person, whoever reads it',
    async (byOperator) => {
      const { messages, mailboxes, redis, keys } = store;
      const begun = { ...holdBecause('auth_failed', { nextProbeAt: 1 }), byOperator };
      await redis.hset(keys.holds, MAILBOX, JSON.stringify(begun));
      const message = aMessage();
      await messages.accept(message);
      expect((await mailboxes.holds([MAILBOX])).get(MAILBOX)?.byOperator).toBeUndefined();
      expect((await messages.begin(beginning(message.id, { trial: true, holdKeys: [MAILBOX] }))).kind).toBe('go');
      expect(await mailboxes.endHold(MAILBOX)).toBe(true);
    },
  );

  it('and is nothing at all is tried out at once, as it is by those who begin', async () => {
    const { mailboxes, redis, keys } = store;
    await redis.hset(keys.holds, MAILBOX, '');
    expect((await mailboxes.holds([MAILBOX])).get(MAILBOX)?.failure.code).toBe('hold_damaged');
  });

  it('does not matter where it is unknown which concern the mailbox: its own does', async () => {
    const { messages, mailboxes, redis, keys } = store;
    await redis.hset(keys.mailbox('main'), 'holdKeys', '[');
    await mailboxes.setHold(MAILBOX, holdBecause('auth_failed'));
    const message = aMessage();
    expect(codeOf(await messages.accept(message))).toBe('auth_failed');
    expect((await messages.findWithSurroundings(message.id))?.hold?.failure.code).toBe('auth_failed');
    expect([...(await mailboxes.holdsOf('main')).keys()]).toEqual([MAILBOX]);
  });
});

describe('an answer that is repeated', () => {
  it('has the hold of the first time, whatever has begun or ended since', async () => {
    const { messages, mailboxes, redis, keys } = store;
    const schedule = scheduleStore(redis, keys, {} as never, messages);
    await mailboxes.setHold(MAILBOX, holdBecause('first'));
    await messages.accept(keyed('while held'));
    await mailboxes.endHold(MAILBOX);
    await messages.accept(keyed('while open'));
    await mailboxes.setHold(MAILBOX, holdBecause('second'));
    for (const [key, told] of [
      ['while held', 'first'],
      ['while open', undefined],
    ] as const) {
      const answers = [
        await messages.accept(keyed(key)),
        await messages.replay('test', key, 'the body'),
        // Its time had passed when it was accepted, and is yet to come by another machine's clock.
        await schedule.accept({ ...keyed(key), sendAt: Date.now() + 60_000 }),
      ];
      expect(answers.map((answer) => answer?.kind)).toEqual(['replayed', 'replayed', 'replayed']);
      expect(answers.map(codeOf)).toEqual([told, told, told]);
    }
  });
});
