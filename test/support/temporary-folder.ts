import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One folder for whatever a run of the tests leaves behind, its child processes included; removed at the end. */
export function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'postroom-'));
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}
