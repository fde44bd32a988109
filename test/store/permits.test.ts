import { describe, expect, it } from 'vitest';
import { eventually } from '../support/postroom.ts';
import { acceptAndBegin, aMessage, beginning, leasedStore } from '../support/store.ts';

const store = leasedStore();

const pace = { perWindow: 2, windowMilliseconds: 60_000, recipientsPerDay: 1_000 };

function settle(id: string, token: string, unusedRecipients = 0) {
  const flight = { counted: true, windowMilliseconds: pace.windowMilliseconds, unusedRecipients };
  return store.messages.move({ id, mailbox: 'main', to: 'sent', token, flight });
}

/** What a new owner does with an attempt of a dead one. */
function recover(id: string, token: string, windowMilliseconds: number) {
  const flight = { counted: true, windowMilliseconds, unusedRecipients: 0 };
  return store.messages.move({ id, mailbox: 'main', to: 'queued', token, flight });
}

describe('a place in the window', () => {
  it('is taken while an attempt runs, and for one window after its reply', async () => {
    const first = await acceptAndBegin(store, { pace });
    const second = await acceptAndBegin(store, { pace });
    expect((await acceptAndBegin(store, { pace })).permit).toEqual({ kind: 'wait', milliseconds: 1_000 });
    await settle(first.id, first.token);
    const { permit } = await acceptAndBegin(store, { pace });
    expect(permit.kind).toBe('wait');
    expect(permit.kind === 'wait' && permit.milliseconds).toBeGreaterThan(59_000);
    await settle(second.id, second.token);
    expect(await store.mailboxes.usage('main')).toMatchObject({ inWindow: 2 });
  });

  it('is known to whoever is accepted or read while it is taken, and told again with the same answer', async () => {
    const first = await acceptAndBegin(store, { pace });
    await settle(first.id, first.token);
    const { nextFreeAt } = await store.mailboxes.usage('main');
    const message = { ...aMessage(), idempotency: { key: 'once', fingerprint: 'same' } };
    const accepted = await store.messages.accept(message);
    expect(accepted).toMatchObject({ record: { aheadAtFirst: 0, windowAtFirst: { taken: 1, nextFreeAt } } });
    expect(await store.messages.findWithSurroundings(message.id)).toMatchObject({
      windowUse: { taken: 1, nextFreeAt },
    });
    await store.redis.del(store.keys.permits('main'));
    expect((await store.messages.findWithSurroundings(message.id))?.windowUse).toBeUndefined();
    expect(await store.messages.accept({ ...message, id: 'msg_again' })).toMatchObject({
      kind: 'replayed',
      record: { aheadAtFirst: 0, windowAtFirst: { taken: 1, nextFreeAt } },
    });
  });

  it('is free again when the window is over, and not before', async () => {
    const short = { ...pace, perWindow: 1, windowMilliseconds: 300 };
    const first = await acceptAndBegin(store, { pace: short });
    const flight = { counted: true, windowMilliseconds: 300, unusedRecipients: 0 };
    const before = await store.mailboxes.now();
    await store.messages.move({ id: first.id, mailbox: 'main', to: 'sent', token: first.token, flight });
    await eventually(async () => (await acceptAndBegin(store, { pace: short })).permit.kind === 'go');
    expect(await store.mailboxes.now()).toBeGreaterThanOrEqual(before + 300);
  });

  it('of a dead owner’s attempt is freed by the next one, a full window later', async () => {
    const orphans = [await acceptAndBegin(store, { pace }), await acceptAndBegin(store, { pace })];
    for (const orphan of orphans) await recover(orphan.id, orphan.token, pace.windowMilliseconds);
    const { permit } = await acceptAndBegin(store, { pace });
    expect(permit.kind === 'wait' && permit.milliseconds).toBeGreaterThan(59_000);
  });

  it('is counted from the reply also where a new owner had freed it: the sleeper’s message has just been sent', async () => {
    const sleeper = await acceptAndBegin(store, { pace: { ...pace, perWindow: 1 } });
    await recover(sleeper.id, sleeper.token, 50);
    expect(await settle(sleeper.id, sleeper.token)).toMatchObject({ moved: false });
    const { permit } = await acceptAndBegin(store, { pace: { ...pace, perWindow: 1 } });
    expect(permit.kind === 'wait' && permit.milliseconds).toBeGreaterThan(59_000);
  });

  it('survives a clock that was set back by an hour: it is taken for a window from now', async () => {
    await store.redis.zadd(store.keys.permits('main'), Date.now() + 3_600_000, 'from the future');
    const { permit } = await acceptAndBegin(store, { pace: { ...pace, perWindow: 1 } });
    expect(permit.kind === 'wait' && permit.milliseconds).toBeLessThanOrEqual(60_000);
    expect(permit.kind === 'wait' && permit.milliseconds).toBeGreaterThan(58_000);
  });

  it('is not to be had without the lease, during a hold, after the expiry, or with an old ticket', async () => {
    const hold = { failure: { code: 'x' } as never, since: 0, nextProbeAt: 0, probes: 0, settings: '' };
    await store.mailboxes.setHold('mailbox:main', hold);
    const holdKeys = ['mailbox:main'];
    expect((await acceptAndBegin(store, { holdKeys })).permit.kind).toBe('held');
    expect((await acceptAndBegin(store, { holdKeys, trial: true })).permit.kind).toBe('go');
    expect((await acceptAndBegin(store, { lease: 'sleeper' })).permit.kind).toBe('lost');
    expect((await acceptAndBegin(store, { ticket: 0 })).permit.kind).toBe('void');
    const late = aMessage({ expiresAt: Date.now() - 1 });
    await store.messages.accept(late);
    expect((await store.messages.begin(beginning(late.id))).kind).toBe('expired');
    expect((await store.messages.begin(beginning(late.id, { ignoreExpiry: true }))).kind).toBe('go');
  });

  it('is not given where the clock is not what it was expected to be, and nothing is begun', async () => {
    const now = await store.mailboxes.now();
    for (const expectedNow of [now - 3_600_000, now + 172_800_000]) {
      const { id, permit } = await acceptAndBegin(store, { expectedNow });
      expect(permit).toMatchObject({ kind: 'jumped' });
      expect(permit.kind === 'jumped' && Math.abs(permit.now - now)).toBeLessThan(3_000);
      expect((await store.messages.find(id))?.status).toBe('queued');
    }
    expect((await acceptAndBegin(store, { expectedNow: now })).permit.kind).toBe('go');
  });

  it('is given once, though the answer was lost and the question is asked again', async () => {
    const message = aMessage();
    await store.messages.accept(message);
    const request = beginning(message.id, { pace });
    const first = await store.messages.begin(request);
    expect(await store.messages.begin(request)).toEqual(first);
    expect(await store.mailboxes.usage('main')).toMatchObject({ inWindow: 1, recipientsToday: 1 });
  });

  it('is given back once, though the answer was lost and the result is written again', async () => {
    const { id, token } = await acceptAndBegin(store, { pace });
    const first = await settle(id, token);
    expect(await settle(id, token)).toEqual(first);
    expect(await store.mailboxes.counts('main')).toEqual({ sent: 1 });
  });
});

describe('the day’s recipients', () => {
  const daily = { ...pace, perWindow: 100, recipientsPerDay: 10 };
  const fourRecipients = ['a@b.cd', 'b@b.cd', 'c@b.cd', 'd@b.cd'];

  async function beginFour(ignoreExpiry = false) {
    const message = aMessage({ to: fourRecipients });
    await store.messages.accept(message);
    const request = beginning(message.id, { pace: daily, ignoreExpiry });
    return { id: message.id, token: request.token, permit: await store.messages.begin(request) };
  }

  it('are counted, and a message that would exceed them waits until some are free', async () => {
    expect((await beginFour()).permit.kind).toBe('go');
    expect((await beginFour()).permit.kind).toBe('go');
    const { permit } = await beginFour();
    expect(permit.kind).toBe('quota');
    expect(permit.kind === 'quota' && permit.milliseconds).toBeGreaterThan(23 * 3_600_000);
    expect(permit.kind === 'quota' && permit.milliseconds).toBeLessThanOrEqual(24.5 * 3_600_000);
    expect((await store.mailboxes.usage('main')).recipientsToday).toBe(8);
  });

  it('that an attempt did not use are free again', async () => {
    const { id, token } = await beginFour();
    await settle(id, token, 4);
    expect((await store.mailboxes.usage('main')).recipientsToday).toBe(0);
  });

  it('are not forgotten by a clock that was set back by an hour', async () => {
    const slice = Math.floor(Date.now() / 600_000);
    await store.redis.hset(store.keys.day('main'), String(slice + 6), '8');
    expect((await beginFour()).permit.kind).toBe('quota');
    expect((await store.mailboxes.usage('main')).recipientsToday).toBe(8);
  });

  it('are not forgotten by a clock that was set ahead by two days, while it is not known which time is right', async () => {
    const { redis, keys } = store;
    const slice = Math.floor(Date.now() / 600_000);
    await redis.hset(keys.day('main'), { [slice - 288]: '8', sum: '8', summedIn: String(slice - 288) });
    expect((await beginFour(true)).permit.kind).toBe('quota');
    expect(await redis.hget(keys.day('main'), String(slice - 288))).toBe('8');
    // It stayed there for an hour: then that is the time.
    expect((await beginFour()).permit.kind).toBe('go');
  });

  it('are free when they are older than a day', async () => {
    const slice = Math.floor(Date.now() / 600_000);
    await store.redis.hset(store.keys.day('main'), String(slice - 145), '10');
    expect((await beginFour()).permit.kind).toBe('go');
  });
});

it('a message whose content Redis has lost gets no permit, and takes no place', async () => {
  const message = aMessage();
  await store.messages.accept(message);
  await store.redis.del(store.keys.mime(message.id));
  expect(await store.messages.begin(beginning(message.id))).toEqual({ kind: 'gone' });
  expect(await store.mailboxes.usage('main')).toMatchObject({ inWindow: 0, recipientsToday: 0 });
});
