import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Caller } from './gateway/api.ts';
import { makeFolder } from './make-folder.ts';
import { StartupError } from './startup-error.ts';

/** The caller of the first key. Digests of equal length are compared, in constant time. */
export function firstCaller(firstKey: string): (key: string) => Caller | undefined {
  const digest = (key: string) => createHash('sha256').update(key).digest();
  const expected = digest(firstKey);
  const caller: Caller = { id: 'first', permissions: ['send', 'read', 'operate'] };
  return (key) => (timingSafeEqual(digest(key), expected) ? caller : undefined);
}

/** The key of a start without configuration: made once and kept, so that a printed curl works tomorrow too. */
export function keptApiKey(dataDir: string): string {
  const path = join(dataDir, 'api-key');
  try {
    makeFolder(dataDir);
    return readKey(path) ?? makeKey(path);
  } catch (error) {
    throw new StartupError(`The data folder ${dataDir} cannot be used: ${(error as Error).message}`, { cause: error });
  }
}

function readKey(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function makeKey(path: string): string {
  const key = `pr_local_${randomBytes(24).toString('base64url')}`;
  writeFileSync(path, `${key}\n`, { mode: 0o600 });
  return key;
}
