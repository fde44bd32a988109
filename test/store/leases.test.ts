import { expect, it } from 'vitest';
import { aMessage, LEASE, leasedStore } from '../support/store.ts';

const store = leasedStore();
const look = (leaseMilliseconds: number) => store.mailboxes.look(leaseMilliseconds);

it('whoever looks for work sees which mailboxes are driven', async () => {
  await store.messages.accept(aMessage());
  await store.messages.accept(aMessage({ mailbox: 'other' }));
  const found = await look(60_000);
  expect(found.sort((one, two) => one.mailbox.localeCompare(two.mailbox))).toEqual([
    { mailbox: 'main', isDriven: true },
    { mailbox: 'other', isDriven: false },
  ]);
});

it('a dead owner’s lease ends in time, although the clock was set back an hour after it was taken', async () => {
  await store.messages.accept(aMessage());
  await store.redis.pexpire(store.keys.lease('main'), 3_600_000);
  await expect.poll(() => look(100)).toEqual([{ mailbox: 'main', isDriven: false }]);
  expect(await store.mailboxes.takeLease('main', 'owner-2', 60_000)).toBe('taken');
});

it('an owner that renews its lease keeps it, whoever looks', async () => {
  await store.messages.accept(aMessage());
  await store.mailboxes.takeLease('main', LEASE, 3_000);
  await look(3_000);
  expect(await store.redis.pttl(store.keys.lease('main'))).toBeGreaterThan(2_000);
});

it.each(['lease', 'owner'] as const)(
  'a key of a %s that somebody has overwritten keeps no process from renewing its other leases, and is put right',
  async (which) => {
    const { mailboxes, redis, keys } = store;
    await mailboxes.takeLease('broken', 'owner-2', 60_000);
    await redis.del(keys[which]('broken'));
    await redis.hset(keys[which]('broken'), 'not a', 'string');
    const mine = ['broken', 'main'].map((mailbox) => ({ mailbox, id: mailbox === 'main' ? LEASE : 'owner-2' }));
    expect(await mailboxes.takeLeases(mine, 60_000)).toEqual([which === 'owner' ? 'taken' : 'renewed', 'renewed']);
    expect(await redis.get(keys.lease('broken'))).toBe('owner-2');
    expect(await mailboxes.takeLease('broken', 'owner-3', 60_000)).toBeUndefined();
  },
);

it('a lease that somebody has overwritten keeps no other mailbox of its tenant from being opened under another credential', async () => {
  const { mailboxes, redis, keys } = store;
  const hold = { failure: {} as never, since: 0, nextProbeAt: 0, probes: 0, settings: '' };
  await mailboxes.describe('main', ['tenant:old']);
  await mailboxes.setHold('tenant:old', { ...hold, by: { mailbox: 'broken', lease: 'owner-2' } });
  await redis.hset(keys.lease('broken'), 'not a', 'string');
  expect(await mailboxes.describe('main', ['tenant:new'])).toEqual(['tenant:old']);
});
