import { describe, expect, it } from 'vitest';
import type { Failure } from '../../src/failure/failure.ts';
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

describe.each([
  ['a tenant under a credential', 'tenant:contoso:app:old', 'tenant:contoso:app:new'],
  ['a server', 'host:smtp.contoso.example:587', 'host:smtp.office365.com:587'],
])('a hold of %s that a mailbox has no more', (_what, OLD, NEW) => {
  const MAILBOX = 'mailbox:main';
  const metBy = (lease: string) => ({
    failure: { code: 'token_credentials_invalid' } as Failure,
    since: 1,
    nextProbeAt: Date.now() + 60_000,
    probes: 0,
    settings: '',
    by: { mailbox: 'main', lease },
  });

  async function heldOnceBy(lease: string): Promise<string[]> {
    const { mailboxes } = store;
    await mailboxes.describe('other', [OLD, MAILBOX]);
    for (const key of [OLD, MAILBOX]) await mailboxes.setHold(key, metBy(lease));
    const ended = await mailboxes.describe('other', [NEW, 'mailbox:other']);
    const left = [...(await mailboxes.holds([OLD, MAILBOX])).keys()];
    expect(ended).toEqual(left.includes(OLD) ? [] : [OLD]);
    return left;
  }

  it('ends where nobody drives the lane any more whose message met it', async () => {
    expect(await heldOnceBy('an owner that is gone')).toEqual([MAILBOX]);
  });

  it('lasts where that lane has the same owner, who would show the credential again', async () => {
    expect(await heldOnceBy(LEASE)).toEqual([OLD, MAILBOX]);
  });

  it('lasts for those who still have it', async () => {
    const { mailboxes } = store;
    await mailboxes.describe('other', [OLD]);
    await mailboxes.setHold(OLD, metBy('an owner that is gone'));
    await mailboxes.describe('other', [OLD]);
    expect((await mailboxes.holds([OLD])).size).toBe(1);
  });

  it('does not matter where it is damaged, or which concern the mailbox is', async () => {
    const { mailboxes, redis, keys } = store;
    await redis.hset(keys.mailbox('other'), 'holdKeys', '{"a":[1]}');
    await mailboxes.describe('other', [OLD]);
    await redis.hset(keys.holds, OLD, '{');
    await mailboxes.describe('other', [NEW]);
    expect([...(await mailboxes.holdsOf('other')).keys()]).toEqual([]);
    expect(await redis.hlen(keys.holds)).toBe(0);
  });
});
