import type { Permission, Rate } from './api.ts';
import { type ApiKey, endOf, isKeyId, type KeyEnd, type KeyMode, type KeyView, newSecret, viewKey } from './api-key.ts';
import { newKeyId } from './identifiers.ts';

/** Keys, their digests and their last use. Rejects with what the store throws when it cannot be asked. */
export interface KeyStore {
  add(key: ApiKey): Promise<void>;
  find(id: string): Promise<ApiKey | undefined>;
  findByDigest(digest: string): Promise<ApiKey | undefined>;
  list(): Promise<ApiKey[]>;
  /** Replaces what was read; false if it has changed since. Every process hears of it. */
  replace(before: ApiKey, after: ApiKey): Promise<boolean>;
  /** And the webhooks that it owned. */
  forget(key: ApiKey): Promise<unknown>;
  noteUse(id: string, at: number): Promise<unknown>;
  /** When each was used last, by id; about: it is written once a minute. */
  lastUses(): Promise<ReadonlyMap<string, number>>;
}

export interface KeyTools {
  keys: KeyStore;
  now(): Date;
  log: { info(fields: object, sentence: string): void };
}

/** What a person decides about a new key. */
export interface NewKey {
  name: string;
  mode: KeyMode;
  scopes: Permission[];
  from?: string[] | undefined;
  to?: string[] | undefined;
  rate?: Rate | undefined;
  /** Milliseconds since the epoch. */
  expiresAt?: number | undefined;
}

/** What can be decided anew; null takes it away. */
export interface KeyChange {
  name?: string | undefined;
  from?: string[] | null | undefined;
  to?: string[] | null | undefined;
  rate?: Rate | null | undefined;
  expiresAt?: number | null | undefined;
}

/** The secret is shown this once, and is nowhere afterwards. */
export type ShownKey = KeyView & { secret: string };

export type KeyOutcome<View> =
  | { kind: 'done'; key: View }
  | { kind: 'unknown' }
  /** A revoked key stays revoked. */
  | { kind: 'revoked' };

/** Of those revoked or expired so long ago nothing of interest is left: longer than messages are usually kept. */
const KEPT_MILLISECONDS = 90 * 86_400_000;

/** Makes a key. @param by who asks, for the log */
export async function createKey(tools: KeyTools, wish: NewKey, by: string): Promise<ShownKey> {
  const now = tools.now();
  const { secret, kept } = newSecret(wish.mode);
  const { name, mode, scopes, from, to, rate, expiresAt } = wish;
  const key: ApiKey = {
    ...{ id: newKeyId(now), name, mode, permissions: scopes, createdAt: now.getTime(), secrets: [kept] },
    ...(from && { from }),
    ...(to && { to }),
    ...(rate && { rate }),
    ...(expiresAt !== undefined && { expiresAt }),
  };
  await tools.keys.add(key);
  tools.log.info({ keyId: key.id, by }, 'API key created');
  await forgetOldOnes(tools, now.getTime());
  return { ...viewKey(key, undefined, now.getTime()), secret };
}

async function forgetOldOnes({ keys }: KeyTools, now: number): Promise<void> {
  for (const key of await keys.list()) {
    const ended = key.revokedAt ?? key.expiresAt;
    if (ended !== undefined && ended < now - KEPT_MILLISECONDS) await keys.forget(key);
  }
}

/** Newest first; those revoked or expired too. */
export async function listKeys({ keys, now }: KeyTools): Promise<KeyView[]> {
  const [all, uses] = await Promise.all([keys.list(), keys.lastUses()]);
  const at = now().getTime();
  return all.sort((a, b) => b.createdAt - a.createdAt).map((key) => viewKey(key, uses.get(key.id), at));
}

export async function readKey({ keys, now }: KeyTools, id: string): Promise<KeyView | undefined> {
  const [key, uses] = await Promise.all([keys.find(id), keys.lastUses()]);
  return key && viewKey(key, uses.get(id), now().getTime());
}

export async function changeKey(
  tools: KeyTools,
  id: string,
  change: KeyChange,
  by: string,
): Promise<KeyOutcome<KeyView>> {
  const outcome = await update(tools, id, (key) => ({ ...without(key, change), ...given(change) }));
  if (outcome.kind === 'done') tools.log.info({ keyId: id, by }, 'API key changed');
  return outcome;
}

/** A new secret for the same caller. The one before it is valid for the grace; none that is older is. */
export async function rotateKey(
  tools: KeyTools,
  id: string,
  graceMilliseconds: number,
  by: string,
): Promise<KeyOutcome<ShownKey>> {
  const now = tools.now().getTime();
  let shown = '';
  const outcome = await update(tools, id, (key) => {
    const { secret, kept } = newSecret(key.mode);
    shown = secret;
    const former = key.secrets.slice(0, 1).map((each) => ({ ...each, until: now + graceMilliseconds }));
    return { ...key, rotatedAt: now, secrets: [kept, ...(graceMilliseconds > 0 ? former : [])] };
  });
  if (outcome.kind !== 'done') return outcome;
  tools.log.info({ keyId: id, by }, 'API key rotated');
  return { kind: 'done', key: { ...outcome.key, secret: shown } };
}

/** For good. A key that is revoked already reads the same as one that has just been. */
export async function revokeKey(tools: KeyTools, id: string, by: string): Promise<KeyOutcome<KeyView>> {
  const revokedAt = tools.now().getTime();
  const outcome = await update(tools, id, (key) => ({ ...key, revokedAt }));
  if (outcome.kind === 'done') tools.log.info({ keyId: id, by }, 'API key revoked');
  if (outcome.kind !== 'revoked') return outcome;
  const key = await readKey(tools, id);
  return key ? { kind: 'done', key } : { kind: 'unknown' };
}

/** Tells whether a caller's key has ended. Of the first keys and of tokens no end can be known here. */
export function keyEnds({ keys, now }: Pick<KeyTools, 'now'> & { keys: Pick<KeyStore, 'find'> }) {
  return async (callerId: string): Promise<KeyEnd | undefined> =>
    isKeyId(callerId) ? endOf(await keys.find(callerId), now().getTime()) : undefined;
}

/** Two operators at the same instant: the second one's change is made to what the first one's left. */
const TRIES = 10;

async function update(tools: KeyTools, id: string, change: (key: ApiKey) => ApiKey): Promise<KeyOutcome<KeyView>> {
  const { keys, now } = tools;
  for (let tries = 0; tries < TRIES; tries++) {
    const before = await keys.find(id);
    if (!before) return { kind: 'unknown' };
    if (before.revokedAt !== undefined) return { kind: 'revoked' };
    const after = change(before);
    if (!(await keys.replace(before, after))) continue;
    return { kind: 'done', key: viewKey(after, (await keys.lastUses()).get(id), now().getTime()) };
  }
  throw new Error(`The key ${id} changed faster than it could be changed`);
}

function without(key: ApiKey, change: KeyChange): ApiKey {
  const left = { ...key };
  if (change.from === null) delete left.from;
  if (change.to === null) delete left.to;
  if (change.rate === null) delete left.rate;
  if (change.expiresAt === null) delete left.expiresAt;
  return left;
}

function given({ name, from, to, rate, expiresAt }: KeyChange): Partial<ApiKey> {
  return {
    ...(name !== undefined && { name }),
    ...(from && { from }),
    ...(to && { to }),
    ...(rate && { rate }),
    ...(typeof expiresAt === 'number' && { expiresAt }),
  };
}
