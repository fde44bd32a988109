import { describe, expect, it } from 'vitest';
import { type ApiKey, newSecret } from '../../src/gateway/api-key.ts';
import { keyCache } from '../../src/gateway/key-cache.ts';

/** One key in a store that counts its readings and can be made to wait or to fail. */
function aCache({ heard = true } = {}) {
  const { secret, kept } = newSecret('live');
  const stored: { key: ApiKey } = {
    key: { id: 'key_1', name: 'x', mode: 'live', permissions: ['send'], createdAt: 0, secrets: [kept] },
  };
  const seen = { readings: 0, uses: [] as number[] };
  const clock = { now: 1_000_000 };
  let before: () => Promise<void> = async () => undefined;
  const cache = keyCache(
    {
      findByDigest: async (digest) => {
        seen.readings++;
        const { key } = stored;
        await before();
        return key.secrets.some((each) => each.digest === digest) ? key : undefined;
      },
      noteUse: async (_id, at) => seen.uses.push(at),
    },
    () => clock.now,
  );
  cache.trust(heard);
  const change = (more: Partial<ApiKey>) => {
    stored.key = { ...stored.key, ...more };
  };
  return { cache, secret, seen, clock, change, whileReading: (step: () => Promise<void>) => (before = step) };
}

describe('what a process knows of keys', () => {
  it('is read once, and not again until it is old', async () => {
    const { cache, secret, seen, clock } = aCache();
    for (let i = 0; i < 5; i++) expect(await cache.callerOf(secret)).toEqual({ id: 'key_1', permissions: ['send'] });
    expect(seen.readings).toBe(1);
    clock.now += 5_001;
    await cache.callerOf(secret);
    expect(seen.readings).toBe(2);
  });

  it('counts no more once the key has changed', async () => {
    const { cache, secret, change } = aCache();
    await cache.callerOf(secret);
    change({ revokedAt: 1 });
    cache.forget('key_1');
    expect(await cache.callerOf(secret)).toBeUndefined();
  });

  it('is not kept from a reading that a change overtook', async () => {
    const { cache, secret, change, seen, whileReading } = aCache();
    whileReading(async () => {
      change({ revokedAt: 1 });
      cache.forget('key_1');
    });
    await cache.callerOf(secret);
    expect(await cache.callerOf(secret)).toBeUndefined();
    expect(seen.readings).toBe(2);
  });

  it('is not kept at all while changes may go unheard', async () => {
    const { cache, secret, seen } = aCache({ heard: false });
    await cache.callerOf(secret);
    await cache.callerOf(secret);
    expect(seen.readings).toBe(2);
  });

  it('does not outlive the key’s own end, nor the grace of a former secret', async () => {
    const { cache, secret, clock, change } = aCache();
    change({ expiresAt: clock.now + 1_000 });
    expect(await cache.callerOf(secret)).toBeDefined();
    clock.now += 1_000;
    expect(await cache.callerOf(secret)).toBeUndefined();
  });

  it('does not help what does not look like a key: the store is not even asked', async () => {
    const { cache, secret, seen } = aCache();
    for (const other of ['', 'pr_live_', `${secret}x`, secret.slice(1), secret.toUpperCase()])
      expect(await cache.callerOf(other)).toBeUndefined();
    expect(seen.readings).toBe(0);
  });

  it('says once a minute that a key is used', async () => {
    const { cache, secret, seen, clock } = aCache();
    for (let i = 0; i < 7; i++) {
      await cache.callerOf(secret);
      clock.now += 10_000;
    }
    expect(seen.uses).toEqual([1_000_000, 1_060_000]);
  });
});
