import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Two set-ups of one clone take turns. A lock whose process is gone, or older than half an hour, counts for nothing. */
export function withLock(root, work) {
  const name = `postroom-setup-${process.getuid?.() ?? 0}-${statSync(root).dev}-${statSync(root).ino}`;
  const lock = join(tmpdir(), `${name}.lock`);
  const mine = join(tmpdir(), `${name}.${process.pid}`);
  writeFileSync(mine, String(process.pid));
  try {
    for (let waited = false; !tookLock(mine, lock); waited = true) {
      if (!waited) console.log('Postroom: waiting for another set-up of this folder …');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  } finally {
    rmSync(mine, { force: true });
  }
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** A hard link appears whole or not at all, so that nobody ever reads a lock without its owner. */
function tookLock(mine, lock) {
  try {
    linkSync(mine, lock);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  if (isStale(lock)) rmSync(lock, { force: true });
  return false;
}

function isStale(lock) {
  try {
    if (Date.now() - statSync(lock).mtimeMs > 30 * 60_000) return true;
    process.kill(Number(readFileSync(lock, 'utf8')), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}
