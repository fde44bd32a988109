import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Caller } from './gateway/api.ts';
import { makeFolder } from './make-folder.ts';
import { StartupError } from './startup-error.ts';

const FIRST: Caller = { id: 'first', permissions: ['send', 'read', 'operate'] };
const FIRST_TEST: Caller = { id: 'first-test', permissions: ['send', 'read'], test: true };

/** The callers of the first keys. Digests of equal length are compared, in constant time. */
export function firstCallers(firstKey: string, firstTestKey?: string): (key: string) => Caller | undefined {
  const digest = (key: string) => hash('sha256', key, 'buffer');
  const known = [
    { expected: digest(firstKey), caller: FIRST },
    ...(firstTestKey === undefined ? [] : [{ expected: digest(firstTestKey), caller: FIRST_TEST }]),
  ];
  return (key) => {
    const given = digest(key);
    return known.filter(({ expected }) => timingSafeEqual(given, expected)).map(({ caller }) => caller)[0];
  };
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
