import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it. Node's own `recursive` never returns below a place such as /proc, where a parent
 * exists but takes no folders.
 *
 * @throws what the file system says, for example ENOENT, EACCES or ENOTDIR
 */
export function makeFolder(path: string, mode = 0o700): void {
  if (existsSync(path)) return;
  const above = dirname(path);
  if (above !== path) makeFolder(above, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
