import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { type EmbeddedRedis, startEmbeddedRedis } from '../../src/sandbox/embedded-redis.ts';

export type TestRedis = EmbeddedRedis & {
  /** Empties every database. */
  flush(): Promise<void>;
};

/** A Redis server of this test's own, in a temporary folder that goes when it is disposed. */
export async function startTestRedis(): Promise<TestRedis> {
  const dataDir = mkdtempSync(join(tmpdir(), 'postroom-test-'));
  const server = await startEmbeddedRedis({ dataDir });
  return {
    url: server.url,
    get pid() {
      return server.pid;
    },
    exited: server.exited,
    flush: () => flush(server.url),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function flush(url: string): Promise<void> {
  const client = new Redis(url);
  try {
    await client.flushall();
  } finally {
    client.disconnect();
  }
}
