import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Caller, Permission, Rate } from './api.ts';
import { KEY_ID_PREFIX } from './identifiers.ts';
import { rfc3339 } from './view.ts';

/** `test` keys take the whole path, but their messages never reach Microsoft. */
export const KEY_MODES = ['live', 'test'] as const;
export type KeyMode = (typeof KEY_MODES)[number];

/** One secret of a key; what is kept of it cannot be used to send. */
export interface KeptSecret {
  /** SHA-256, hex. A slow hash is for passwords: nobody guesses 256 random bits. */
  digest: string;
  /** Its beginning, so that a person recognises it. */
  hint: string;
  /** Not valid from this time on; milliseconds since the epoch. */
  until?: number;
}

/** An API key as the store keeps it; times are milliseconds since the epoch. */
export interface ApiKey {
  id: string;
  name: string;
  mode: KeyMode;
  permissions: Permission[];
  /** Addresses in lower case, or `*@domain`; absent: whatever the mailboxes allow. */
  from?: string[];
  /** Whom it may send to, written alike; absent: everybody. */
  to?: string[];
  rate?: Rate;
  createdAt: number;
  expiresAt?: number;
  rotatedAt?: number;
  revokedAt?: number;
  /** The present one first; after a rotation perhaps the one before it. */
  secrets: KeptSecret[];
}

/** A key as operators read it. Times are RFC 3339 UTC. */
export interface KeyView {
  id: string;
  name: string;
  mode: KeyMode;
  state: 'active' | 'expired' | 'revoked';
  scopes: Permission[];
  from?: string[];
  to?: string[];
  rate?: Rate;
  /** Beginning of the secret. */
  hint: string;
  createdAt: string;
  expiresAt?: string;
  lastUsedAt?: string;
  rotatedAt?: string;
  /** Until then the secret before the last rotation is valid too. */
  formerSecretUntil?: string;
  revokedAt?: string;
}

/** Characters of random after the prefix that are kept readable: 24 of 256 bits. */
const HINT_LENGTH = 4;
const SECRET = /^pr_(?:live|test)_[\w-]{43}$/;

/** 256 random bits behind a prefix that scanners for leaked secrets can look for. */
export function newSecret(mode: KeyMode): { secret: string; kept: KeptSecret } {
  const secret = `pr_${mode}_${randomBytes(32).toString('base64url')}`;
  return { secret, kept: { digest: digestOf(secret), hint: secret.slice(0, `pr_${mode}_`.length + HINT_LENGTH) } };
}

export function digestOf(secret: string): string {
  return hash('sha256', secret, 'hex');
}

/** Could this be a secret of ours? If not, there is no need to ask the store. */
export function looksLikeSecret(text: string): boolean {
  return SECRET.test(text);
}

/** May this digest use the key at this time? Digests of equal length are compared, in constant time. */
export function isValid(key: ApiKey, digest: string, now: number): boolean {
  if (stateOf(key, now) !== 'active') return false;
  const given = Buffer.from(digest, 'hex');
  return key.secrets.some(
    (each) => (each.until ?? Number.POSITIVE_INFINITY) > now && timingSafeEqual(Buffer.from(each.digest, 'hex'), given),
  );
}

/** The key's id is the caller's, so that messages and idempotency keys survive a rotation. */
export function callerOf({ id, permissions, from, to, rate, mode }: ApiKey): Caller {
  const limits = { ...(from && { from }), ...(to && { to }), ...(rate && { rate }) };
  return { id, permissions, ...limits, ...(mode === 'test' && { test: true }) };
}

export function stateOf({ revokedAt, expiresAt }: ApiKey, now: number): KeyView['state'] {
  if (revokedAt !== undefined) return 'revoked';
  return expiresAt !== undefined && expiresAt <= now ? 'expired' : 'active';
}

/** From when on, and why, nobody can use a caller's key any more; `at` is absent where the key itself is forgotten. */
export interface KeyEnd {
  because: 'keyRevoked' | 'keyExpired';
  at?: number;
}

/** Is this a caller with a key in the store? Those that the installation was started with, and tokens, are in none. */
export function isKeyId(callerId: string): boolean {
  return callerId.startsWith(KEY_ID_PREFIX);
}

/** @param key as the store has it; undefined where it was forgotten, long after its end */
export function endOf(key: ApiKey | undefined, now: number): KeyEnd | undefined {
  if (!key) return { because: 'keyRevoked' };
  if (key.revokedAt !== undefined) return { because: 'keyRevoked', at: key.revokedAt };
  if (stateOf(key, now) !== 'expired' || key.expiresAt === undefined) return undefined;
  return { because: 'keyExpired', at: key.expiresAt };
}

export function viewKey(key: ApiKey, lastUsedAt: number | undefined, now: number): KeyView {
  const { id, name, mode, permissions, from, to, rate, secrets, createdAt, expiresAt, rotatedAt, revokedAt } = key;
  const [present, former] = secrets;
  const formerUntil = former?.until !== undefined && former.until > now ? former.until : undefined;
  return {
    ...{ id, name, mode, state: stateOf(key, now), scopes: permissions },
    ...(from && { from }),
    ...(to && { to }),
    ...(rate && { rate }),
    hint: present?.hint ?? '',
    createdAt: rfc3339(createdAt),
    ...(expiresAt !== undefined && { expiresAt: rfc3339(expiresAt) }),
    ...(lastUsedAt !== undefined && { lastUsedAt: rfc3339(lastUsedAt) }),
    ...(rotatedAt !== undefined && { rotatedAt: rfc3339(rotatedAt) }),
    ...(formerUntil !== undefined && { formerSecretUntil: rfc3339(formerUntil) }),
    ...(revokedAt !== undefined && { revokedAt: rfc3339(revokedAt) }),
  };
}
