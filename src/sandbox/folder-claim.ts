import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../make-folder.ts';
import { StartupError } from '../startup-error.ts';

/** The right to use a data folder, held by at most one process at a time. */
export type FolderClaim = {
  /** Where sockets may be made: the folder itself, or a short stand-in for it under the system's temporary folder. */
  readonly socketFolder: string;
  release(): Promise<void>;
};

// sockaddr_un.sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included (unix(7), unix(4)).
const longestSocketPath = 100;
const longestName = 'owner-4194304-abcdef'.length;

/** Makes a folder that only its owner can enter, or throws a {@link StartupError} that names it. */
export function makePrivateFolder(folder: string): void {
  try {
    makeFolder(folder);
    chmodSync(folder, 0o700);
    const probe = join(folder, `.writable-${process.pid}`);
    writeFileSync(probe, '');
    rmSync(probe);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new StartupError(
      `Postroom cannot write to its data folder ${folder} (${code}); ` +
        'make it writable, or choose another one with POSTROOM_DATA_DIR.',
      { cause: error },
    );
  }
}

/**
 * Claims a folder by listening on a socket in it. The kernel closes that socket when the process dies, whatever
 * it dies of, so that a claim can be neither forgotten nor mistaken for that of a later process with the same id.
 * @throws StartupError naming process and folder when another process still holds it after `withinMs`.
 */
export async function claimFolder(folder: string, withinMs: number): Promise<FolderClaim> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const { socketFolder, ownName, server } = await listenFor(folder);
    const release = () => letGo(server, socketFolder, folder);
    // Everyone listens first and looks second: of two at the same moment at least one sees the other.
    const holder = await findHolder(socketFolder, ownName);
    if (holder === undefined) return { socketFolder, release };
    await release();
    if (performance.now() > deadline) {
      throw new StartupError(
        `Another Postroom (process ${holder}) is already using the data folder ${folder}; ` +
          'stop it first, or choose another folder with POSTROOM_DATA_DIR.',
      );
    }
    await sleep(50 + Math.random() * 200);
  }
}

async function listenFor(folder: string): Promise<{ socketFolder: string; ownName: string; server: Server }> {
  const ownName = `owner-${process.pid}-${randomBytes(3).toString('hex')}`;
  if (Buffer.byteLength(folder) + 1 + longestName <= longestSocketPath) {
    const server = await listen(join(folder, ownName));
    if (server) return { socketFolder: folder, ownName, server };
  }
  const socketFolder = standIn(folder);
  // A second time, for the one who lets go of the stand-in may have removed it in between.
  for (const again of [false, true]) {
    if (again) standIn(folder);
    const server = await listen(join(socketFolder, ownName));
    if (server) return { socketFolder, ownName, server };
  }
  throw new StartupError(`Postroom can make no socket in ${socketFolder}; set REDIS_URL to a Redis of your own.`);
}

/** `undefined` where the path is too long or the file system has no sockets (shared folders of virtual machines). */
function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer((visitor) => visitor.destroy());
    server.once('error', () => resolve(undefined));
    server.listen(path, () => resolve(server.unref()));
  });
}

/** A short private folder that every process on this machine finds for the same long one. */
function standIn(folder: string): string {
  const uid = process.getuid?.() ?? 0;
  const digest = createHash('sha256').update(folder).digest('hex').slice(0, 12);
  const path = join(tmpdir(), `postroom-${uid}-${digest}`);
  makeFolder(path);
  const found = lstatSync(path);
  // The temporary folder is everybody's: one that somebody else put there under our name is not to be trusted.
  if (found.isDirectory() && found.uid === uid && (found.mode & 0o077) === 0) return path;
  throw new StartupError(`${path} belongs to somebody else; choose a shorter data folder with POSTROOM_DATA_DIR.`);
}

/** The process id of another one that listens in this folder. Sockets of the dead are cleared away. */
async function findHolder(socketFolder: string, ownName: string): Promise<number | undefined> {
  for (const name of readdirSync(socketFolder)) {
    const [, pid] = /^owner-(\d+)-/.exec(name) ?? [];
    if (pid === undefined || name === ownName) continue;
    const path = join(socketFolder, name);
    if (await isListening(path)) return Number(pid);
    rmSync(path, { force: true });
  }
  return undefined;
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const visitor = connect(path);
    visitor.once('connect', () => resolve(true));
    // Only a refusal proves that nobody is there; a full queue (EAGAIN) is somebody who is busy.
    visitor.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
    visitor.once('connect', () => visitor.destroy());
  });
}

async function letGo(server: Server, socketFolder: string, folder: string): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
  if (socketFolder === folder) return;
  try {
    rmdirSync(socketFolder);
  } catch {
    // Somebody else has a socket in it.
  }
}
