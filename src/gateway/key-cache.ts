import type { Caller } from './api.ts';
import { type ApiKey, callerOf, digestOf, isValid, looksLikeSecret } from './api-key.ts';
import type { KeyStore } from './keys.ts';

/** Should ever a notice of a change be lost, this is how long the old state can still be believed. */
const FRESH_MILLISECONDS = 5_000;
const USE_NOTED_EVERY_MILLISECONDS = 60_000;
const MOST_KEYS = 10_000;

export interface KeyCache {
  /** Whose secret this is at this moment, at once if that is known. Rejects where the store must be asked and cannot be. */
  callerOf(secret: string): Caller | undefined | Promise<Caller | undefined>;
  /** A key has changed: what is known of it counts no more, and what is being read at present neither. */
  forget(id: string): void;
  /** False while changes may go unheard: then every request asks the store. */
  trust(heard: boolean): void;
}

/**
 * The keys in use, as this process knows them, so that a request does not cost a look into the store. A change is
 * heard over Pub/Sub and holds at once.
 *
 * @param now milliseconds since the epoch
 */
export function keyCache(store: Pick<KeyStore, 'findByDigest' | 'noteUse'>, now: () => number): KeyCache {
  const known = new Map<string, { key: ApiKey; until: number }>();
  const usesNoted = new Map<string, number>();
  let heard = false;
  /** Counts what was forgotten: a reading that began before counts for its own request only. */
  let changes = 0;

  async function read(digest: string): Promise<ApiKey | undefined> {
    const before = changes;
    const key = await store.findByDigest(digest);
    if (!key || !heard || changes !== before) return key;
    if (known.size >= MOST_KEYS) known.clear();
    known.set(digest, { key, until: now() + FRESH_MILLISECONDS });
    return key;
  }

  function noteUse(id: string): void {
    const at = now();
    if (at - (usesNoted.get(id) ?? 0) < USE_NOTED_EVERY_MILLISECONDS) return;
    if (usesNoted.size >= MOST_KEYS) usesNoted.clear();
    usesNoted.set(id, at);
    // Nobody waits for it; if it is lost, the next minute's is not.
    store.noteUse(id, at).catch(() => usesNoted.delete(id));
  }

  function judged(key: ApiKey | undefined, digest: string): Caller | undefined {
    if (!key || !isValid(key, digest, now())) return undefined;
    noteUse(key.id);
    return callerOf(key);
  }

  return {
    callerOf(secret) {
      if (!looksLikeSecret(secret)) return undefined;
      const digest = digestOf(secret);
      const found = known.get(digest);
      if (found && found.until > now()) return judged(found.key, digest);
      return read(digest).then((key) => judged(key, digest));
    },
    forget(id) {
      changes++;
      for (const [digest, { key }] of known) if (key.id === id) known.delete(digest);
    },
    trust(now) {
      heard = now;
      changes++;
      known.clear();
    },
  };
}
