import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findRedisServer, startEmbeddedRedis } from '../../src/sandbox/embedded-redis.ts';
import { StartupError } from '../../src/startup-error.ts';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'postroom-redis-'));
});

afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

describe('an embedded Redis', () => {
  test('keeps every write on disk, evicts nothing, and listens on a private socket only', async () => {
    await using server = await startEmbeddedRedis({ dataDir });
    await using client = open(server.url);

    const settings = await client.redis.config('GET', 'append*', 'maxmemory-policy', 'port', 'save');

    expect(pairs(settings)).toMatchObject({
      appendonly: 'yes',
      appendfsync: 'always',
      'maxmemory-policy': 'noeviction',
      port: '0',
      save: '',
    });
    expect(statSync(server.url).mode & 0o777).toBe(0o700);
    expect(statSync(join(dataDir, 'redis')).mode & 0o777).toBe(0o700);
  });

  test('has its data again after a restart', async () => {
    await write({ key: 'kept' });

    expect(await read('key')).toBe('kept');
  });

  test('starts on a file that a power loss cut short', async () => {
    await write({ key: 'kept' });
    appendFileSync(appendOnlyFile(), '*3\r\n$3\r\nSET\r\n$5\r\nnever');

    expect(await read('key')).toBe('kept');
  });

  test('says what is wrong with a file that it cannot read', async () => {
    await write({ key: 'kept' });
    appendFileSync(appendOnlyFile(), 'this is no Redis command\r\n'.repeat(5));

    await expect(startEmbeddedRedis({ dataDir })).rejects.toThrow(/does not start.*append only file/s);
  });

  test('works in a folder whose path is too long for a socket', async () => {
    const longDir = join(dataDir, 'x'.repeat(60), 'y'.repeat(60));
    await write({ key: 'kept' }, longDir);

    expect(await read('key', longDir)).toBe('kept');
  });

  test('works in a folder with blanks, quotes and letters beyond ASCII in its name', async () => {
    const oddDir = join(dataDir, `a "b" 'c' \\n über`);
    await write({ key: 'kept' }, oddDir);

    expect(await read('key', oddDir)).toBe('kept');
  });

  test('is gone when it has been disposed', async () => {
    const server = await startEmbeddedRedis({ dataDir });
    const { pid } = server;

    await server[Symbol.asyncDispose]();

    expect(isAlive(pid)).toBe(false);
    expect(await server.exited).toBeUndefined();
    expect(readdirSync(join(dataDir, 'redis'))).toEqual(['appendonlydir']);
  });

  test('does not hand our environment to the server', async () => {
    const seen = join(dataDir, 'environment');
    const server = script(`[ "$1" = --version ] || /usr/bin/env >'${seen}'; exec ${findRedisServer()} "$@"`);
    await using _running = await startEmbeddedRedis({ dataDir, server });

    expect(Object.keys(process.env)).toContain('HOME');
    expect(readFileSync(seen, 'utf8')).not.toContain('HOME=');
  });
});

describe('a data folder', () => {
  test('is refused to a second Postroom while the first one lives', async () => {
    await using _first = await startEmbeddedRedis({ dataDir });

    const second = startEmbeddedRedis({ dataDir, claimWithinMs: 0 });

    await expect(second).rejects.toThrow(StartupError);
    await expect(second).rejects.toThrow(`(process ${process.pid}) is already using the data folder ${dataDir}`);
  });

  test('goes to exactly one of several that start at once', async () => {
    const starts = await Promise.allSettled(
      [1, 2, 3, 4].map(() => startEmbeddedRedis({ dataDir, claimWithinMs: 3000 })),
    );

    const started = starts.filter((start) => start.status === 'fulfilled');
    expect(started).toHaveLength(1);
    for (const { value } of started) await value[Symbol.asyncDispose]();
  });

  test('is waited for while the former Postroom still shuts down', async () => {
    const first = await startEmbeddedRedis({ dataDir });
    const second = startEmbeddedRedis({ dataDir, claimWithinMs: 20_000 });

    await first[Symbol.asyncDispose]();

    await using server = await second;
    expect(isAlive(server.pid)).toBe(true);
  });

  test('that cannot be made is named', async () => {
    writeFileSync(join(dataDir, 'file'), '');
    const below = join(dataDir, 'file', 'data');

    await expect(startEmbeddedRedis({ dataDir: below })).rejects.toThrow(
      `cannot write to its data folder ${join(below, 'redis')} (ENOTDIR)`,
    );
  });
});

describe('when the parent is killed with SIGKILL', () => {
  test('no server is left behind', async () => {
    const parent = await startParent();

    parent.child.kill('SIGKILL');

    await until(() => !isAlive(parent.redisPid));
  });

  test('the next start has the folder and the data', async () => {
    const parent = await startParent();
    await using client = open(parent.url);
    await client.redis.set('key', 'kept');

    parent.child.kill('SIGKILL');

    expect(await read('key')).toBe('kept');
  });

  test('a server whose watchdog was killed too is ended by the next start', async () => {
    const parent = await startParent();
    for (const pid of await watchdogsOf(parent.redisPid)) process.kill(pid, 'SIGKILL');
    parent.child.kill('SIGKILL');

    await using server = await startEmbeddedRedis({ dataDir });

    expect(server.pid).not.toBe(parent.redisPid);
    await until(() => !isAlive(parent.redisPid));
  });
});

describe('when the server itself is killed', () => {
  test('it is started again with its data, on the same socket', async () => {
    const reasons: string[] = [];
    await using server = await startEmbeddedRedis({ dataDir, onRestart: (reason) => reasons.push(reason) });
    await using client = open(server.url);
    await client.redis.set('key', 'kept');
    const killed = server.pid;

    process.kill(killed, 'SIGKILL');

    await until(() => server.pid !== killed);
    expect(await client.redis.get('key')).toBe('kept');
    expect(reasons).toEqual([expect.stringContaining('code 137')]);
  });

  test('it is given up with one sentence when it dies again and again', async () => {
    const broken = join(dataDir, 'broken');
    const program = script(
      `[ -e '${broken}' ] && { echo 'the disk is on fire'; exit 3; }; exec ${findRedisServer()} "$@"`,
    );
    await using server = await startEmbeddedRedis({ dataDir, server: program });
    writeFileSync(broken, '');

    process.kill(server.pid, 'SIGKILL');

    const reason = await server.exited;
    expect(reason).toBeInstanceOf(StartupError);
    expect(reason?.message).toMatch(/is given up: .*code 3.*the disk is on fire/);
  });
});

describe('the server program', () => {
  test('is asked for, with the command that installs it, where there is none', async () => {
    const path = process.env.PATH;
    process.env.PATH = dataDir;
    try {
      await expect(startEmbeddedRedis({ dataDir })).rejects.toThrow(/install one with ".*install.*redis/);
    } finally {
      process.env.PATH = path;
    }
  });

  test('is refused when it is too old', async () => {
    const server = script('echo "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc bits=64"');

    await expect(startEmbeddedRedis({ dataDir, server })).rejects.toThrow('version 6.0, but Postroom needs Redis 6.2');
  });

  test('is refused when it is something else', async () => {
    const server = script('echo hello');

    await expect(startEmbeddedRedis({ dataDir, server })).rejects.toThrow('does not tell its version');
  });
});

function open(url: string): { redis: Redis } & AsyncDisposable {
  const redis = new Redis(url, { retryStrategy: () => 50 });
  redis.on('error', () => {});
  return { redis, [Symbol.asyncDispose]: async () => redis.disconnect() };
}

async function write(values: Record<string, string>, folder = dataDir): Promise<void> {
  await using server = await startEmbeddedRedis({ dataDir: folder });
  await using client = open(server.url);
  await client.redis.mset(values);
}

async function read(key: string, folder = dataDir): Promise<string | null> {
  await using server = await startEmbeddedRedis({ dataDir: folder });
  await using client = open(server.url);
  return await client.redis.get(key);
}

function appendOnlyFile(): string {
  const folder = join(dataDir, 'redis', 'appendonlydir');
  const name = readdirSync(folder).find((file) => file.endsWith('.incr.aof'));
  return join(folder, name ?? 'none');
}

function script(body: string): string {
  const path = join(dataDir, 'program');
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

async function startParent(): Promise<{ child: ChildProcess; redisPid: number; url: string }> {
  const module = new URL('../../src/sandbox/embedded-redis.ts', import.meta.url);
  const program = `
    const { startEmbeddedRedis } = await import('${module}');
    const server = await startEmbeddedRedis({ dataDir: ${JSON.stringify(dataDir)} });
    console.log(JSON.stringify({ redisPid: server.pid, url: server.url }));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout, 'data');
  return { child, ...JSON.parse(String(line)) };
}

/** The shells around a server: its parent, and the one that waits for our end. They share its process group. */
async function watchdogsOf(redisPid: number): Promise<number[]> {
  const groups = existsSync('/proc/self/stat') ? groupsFromProc() : await groupsFromPs();
  const group = groups.get(redisPid);
  return [...groups].flatMap(([pid, pgid]) => (pgid === group && pid !== redisPid ? [pid] : []));
}

function groupsFromProc(): Map<number, number> {
  const groups = new Map<number, number>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      // proc(5): after the name in brackets come state, parent and process group.
      const [, , pgid] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
      groups.set(Number(pid), Number(pgid));
    } catch {
      // It ended while we looked.
    }
  }
  return groups;
}

async function groupsFromPs(): Promise<Map<number, number>> {
  const ps = spawn('ps', ['-eo', 'pid=,pgid=']);
  let listed = '';
  for await (const chunk of ps.stdout) listed += chunk;
  const rows = listed.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
  return new Map(rows.map(([pid = 0, pgid = 0]) => [pid, pgid]));
}

/** A zombie that nobody has reaped yet still has a process id, and is not alive. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !existsSync(`/proc/${pid}`) || existsSync(`/proc/${pid}/exe`);
  } catch {
    return false;
  }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${condition}`);
    await sleep(20);
  }
}

function pairs(flat: unknown): Record<string, string> {
  if (!Array.isArray(flat)) return flat as Record<string, string>;
  return Object.fromEntries(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1]]] : [])));
}
