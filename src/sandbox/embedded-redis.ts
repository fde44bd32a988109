import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../startup-error.ts';
import { claimFolder, type FolderClaim, makePrivateFolder } from './folder-claim.ts';
import { retireLeftover } from './redis-probe.ts';
import {
  assertSupported,
  findRedisServer,
  installCommand,
  type RedisPlace,
  type RedisRun,
  runRedisServer,
} from './redis-server.ts';

export { findRedisServer } from './redis-server.ts';

export type EmbeddedRedisOptions = {
  /** Postroom's data folder; the server keeps its files in `redis` below it. */
  dataDir: string;
  /** The server program; found on this machine when not given. */
  server?: string | undefined;
  /** How long to wait for a former process to let go of the folder. Default 5000. */
  claimWithinMs?: number;
  /** Told why the server ended, each time before it is started again. */
  onRestart?: (reason: string) => void;
};

export type EmbeddedRedis = {
  /** What `REDIS_URL` would be: the path of a unix socket. It stays the same over restarts. */
  readonly url: string;
  /** Of the server that runs now; a restart changes it. */
  readonly pid: number;
  /** Settles when there is no server any more: with the reason when it was given up, with nothing after disposal. */
  readonly exited: Promise<StartupError | undefined>;
  [Symbol.asyncDispose](): Promise<void>;
};

// A killed server is back at once; one that dies again and again is given up after these pauses.
const restartPausesMs = [0, 200, 1000, 3000];
const steadyAfterMs = 10_000;

/**
 * Starts a real Redis (or Valkey) server of our own on the data folder: every answered write on disk, reachable
 * only by a private unix socket, gone when this process goes. It never touches a Redis that already runs. When
 * the server dies, it is started again on the same data and socket.
 * @throws StartupError with one sentence: no server program, too old, folder not writable or in use, no start.
 */
export async function startEmbeddedRedis(options: EmbeddedRedisOptions): Promise<EmbeddedRedis> {
  const server = options.server ?? findRedisServer() ?? noServer();
  assertSupported(server);
  const folder = resolve(options.dataDir, 'redis');
  makePrivateFolder(folder);
  const claim = await claimFolder(folder, options.claimWithinMs ?? 5000);
  const place = { folder, socketPath: join(claim.socketFolder, 'redis.sock') };
  try {
    const run = await startIn(place, server);
    return new Supervised(server, place, claim, run, options.onRestart ?? (() => {}));
  } catch (error) {
    await claim.release();
    throw error;
  }
}

function noServer(): never {
  throw new StartupError(
    `Postroom needs a Redis server and finds none on this machine: install one with "${installCommand()}", ` +
      'or set REDIS_URL to a Redis of your own.',
  );
}

async function startIn(place: RedisPlace, server: string): Promise<RedisRun> {
  // The process that left it is dead, or we would not have the folder; two servers would ruin each other's files.
  if (await retireLeftover(place.socketPath, 10_000)) return runRedisServer(server, place);
  throw new StartupError(`A former Redis in ${place.folder} does not stop; end it, and start Postroom again.`);
}

class Supervised implements EmbeddedRedis {
  readonly url: string;
  readonly exited: Promise<StartupError | undefined>;
  readonly #server: string;
  readonly #place: RedisPlace;
  readonly #claim: FolderClaim;
  readonly #onRestart: (reason: string) => void;
  readonly #stopping = new AbortController();
  #run: RedisRun;
  #failures = 0;

  constructor(
    server: string,
    place: RedisPlace,
    claim: FolderClaim,
    run: RedisRun,
    onRestart: (reason: string) => void,
  ) {
    this.url = place.socketPath;
    this.#server = server;
    this.#place = place;
    this.#claim = claim;
    this.#run = run;
    this.#onRestart = onRestart;
    this.exited = this.#supervise();
  }

  get pid(): number {
    return this.#run.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#run.stop();
    await this.exited;
    await this.#claim.release();
  }

  async #supervise(): Promise<StartupError | undefined> {
    for (;;) {
      const startedAt = performance.now();
      let reason = await this.#run.ended;
      if (performance.now() - startedAt > steadyAfterMs) this.#failures = 0;
      let next: RedisRun | string = reason;
      while (typeof next === 'string') {
        if (this.#stopping.signal.aborted) return undefined;
        const pauseMs = restartPausesMs[this.#failures++];
        if (pauseMs === undefined) return this.#givenUp(reason);
        this.#onRestart(reason);
        next = await this.#startAgain(pauseMs);
        if (typeof next === 'string') reason = next;
      }
      this.#run = next;
      if (this.#stopping.signal.aborted) await next.stop();
    }
  }

  async #startAgain(pauseMs: number): Promise<RedisRun | string> {
    try {
      await sleep(pauseMs, undefined, { signal: this.#stopping.signal });
      return await startIn(this.#place, this.#server);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #givenUp(reason: string): StartupError {
    return new StartupError(
      `The embedded Redis in ${this.#place.folder} ended ${this.#failures} times in a row and is given up: ${reason}`,
    );
  }
}
