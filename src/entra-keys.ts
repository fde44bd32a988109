import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';

export interface TenantKeysOptions {
  /** Of the tenant's JSON Web Key Set. */
  url: string;
  /** Milliseconds, by a clock that nobody sets: after a jump back, keys would be fetched no more for as long as it was. */
  now(): number;
  log: { warn(fields: object, sentence: string): void };
}

const FRESH_MILLISECONDS = 3_600_000;
/** Keys that could not be fetched anew are used for so long; Microsoft announces new ones by publishing them ahead. */
const USABLE_MILLISECONDS = 24 * 3_600_000;
/** A key that is not among them may be new: but strangers, too, can name keys that nobody has, as often as they like. */
const PAUSE_MILLISECONDS = 30_000;
/** And what did not work is not tried again at every request. */
const PAUSE_AFTER_FAILURE_MILLISECONDS = 1_000;
const TIMEOUT_MILLISECONDS = 3_000;
/** A tenant has a handful of keys, of some two kilobytes. */
const MOST_BYTES = 512 * 1024;

/** The keys are not known, and cannot be fetched at present. */
export class KeysUnavailable extends Error {
  override name = 'KeysUnavailable';
}

/**
 * A tenant's signing keys, fetched when a token first needs them. However many tokens come, of whatever keys, no two
 * fetches are under way at a time, and none follows another at once.
 *
 * @returns rejects with `KeysUnavailable`, or with what jose says of a key that there is not
 */
export function tenantKeys({ url, now, log }: TenantKeysOptions): JWTVerifyGetKey {
  let known: { find: JWTVerifyGetKey; at: number } | undefined;
  let lastTry = { at: Number.NEGATIVE_INFINITY, failed: false };
  let fetching: Promise<void> | undefined;

  async function refresh(): Promise<void> {
    const pause = lastTry.failed ? PAUSE_AFTER_FAILURE_MILLISECONDS : PAUSE_MILLISECONDS;
    if (!fetching && now() - lastTry.at < pause) return;
    fetching ??= fetchNow().finally(() => {
      fetching = undefined;
    });
    await fetching;
  }

  async function fetchNow(): Promise<void> {
    try {
      const find = createLocalJWKSet(await fetchKeySet(url));
      known = { find, at: now() };
      lastTry = { at: now(), failed: false };
    } catch (error) {
      lastTry = { at: now(), failed: true };
      log.warn({ reason: reasonOf(error) }, 'Could not fetch the keys of the Entra ID tenant');
    }
  }

  function usable(): JWTVerifyGetKey {
    if (known && now() - known.at < USABLE_MILLISECONDS) return known.find;
    throw new KeysUnavailable('The keys of the tenant cannot be fetched');
  }

  return async (header, token) => {
    if (!known || now() - known.at >= FRESH_MILLISECONDS) await refresh();
    try {
      return await usable()(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await refresh();
      // It may be a new one: nobody can say so while they cannot be fetched.
      if (lastTry.failed) throw new KeysUnavailable('The keys of the tenant cannot be fetched', { cause: error });
      return usable()(header, token);
    }
  };
}

async function fetchKeySet(url: string): Promise<JSONWebKeySet> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS) });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`It answered ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error(`It answered more than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as JSONWebKeySet;
}

/** What is wrong with the connection, fetch has in the cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}
