import { describe, expect, it } from 'vitest';
import { LEASE, leasedStore } from '../support/store.ts';

const store = leasedStore();
const main = { mailbox: 'main', lease: LEASE };
const claim = (by = main, milliseconds = 60_000) => store.mailboxes.claimTrial('tenant:contoso', by, milliseconds);

describe('the right to try out whether a hold is over', () => {
  it('is one lane’s at a time, which may ask for it again, since an answer may be lost', async () => {
    const other = { mailbox: 'other', lease: 'owner-2' };
    await store.mailboxes.takeLease('other', other.lease, 60_000);
    expect([await claim(), await claim(), await claim(other)]).toEqual([true, true, false]);
    await store.mailboxes.endTrial('tenant:contoso', other);
    expect(await claim(other)).toBe(false);
    await store.mailboxes.endTrial('tenant:contoso', main);
    expect(await claim(other)).toBe(true);
  });

  it('ends with its lane: the next owner, and every other lane, may try at once', async () => {
    expect(await claim()).toBe(true);
    await store.mailboxes.releaseLease('main', LEASE);
    const next = { mailbox: 'main', lease: 'owner-2' };
    await store.mailboxes.takeLease('main', next.lease, 60_000);
    expect(await claim(next)).toBe(true);
    await store.mailboxes.endTrial('tenant:contoso', main);
    expect(await claim({ mailbox: 'other', lease: 'owner-3' })).toBe(false);
    await store.mailboxes.releaseLease('main', next.lease);
    expect(await claim({ mailbox: 'other', lease: 'owner-3' })).toBe(true);
  });

  it('does not last for ever, though its lane lives', async () => {
    expect(await claim(main, 50)).toBe(true);
    await expect.poll(() => claim({ mailbox: 'other', lease: 'owner-2' })).toBe(true);
  });
});
