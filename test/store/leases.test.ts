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
