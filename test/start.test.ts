import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFolder } from '../src/make-folder.ts';
import { client, eventually } from './support/postroom.ts';
import { freePort } from './support/process.ts';

const environment = (more: Record<string, string>) => ({ PATH: process.env.PATH ?? '', ...more });
const answers = (port: number, path: string) => fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined);

describe('a start by npm', () => {
  it('ends with npm, also if npm is killed', { timeout: 60_000 }, async () => {
    const port = await freePort();
    const dataDir = mkdtempSync(join(tmpdir(), 'postroom-start-'));
    // As npm does it: a shell between, which the kill of its parent does not reach.
    const env = environment({ PORT: String(port), POSTROOM_DATA_DIR: dataDir, npm_lifecycle_event: 'start' });
    const command = `sh -c 'exec "${process.execPath}" --import tsx src/cli.ts start' & wait`;
    const parent = spawn('sh', ['-c', command], { env, stdio: 'ignore' });
    await eventually(async () => (await answers(port, '/health/ready'))?.ok === true, undefined, 40_000);
    parent.kill('SIGKILL');
    await eventually(
      async () => (await answers(port, '/health/live')) === undefined,
      () => 'It lives on',
      20_000,
    );
  });
});

describe('without Redis at its start', () => {
  it('the process is alive, says that it is not ready, and promises nothing', { timeout: 60_000 }, async () => {
    const port = await freePort();
    const key = 'k'.repeat(32);
    const env = environment({
      PORT: String(port),
      REDIS_URL: 'redis://127.0.0.1:1',
      POSTROOM_API_KEY: key,
      M365_MAILBOX: 'app@contoso.com',
      M365_PASSWORD: 'p',
    });
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli.ts', 'start'], { env, stdio: 'ignore' });
    try {
      await eventually(async () => (await answers(port, '/health/live'))?.ok === true, undefined, 30_000);
      expect((await answers(port, '/health/ready'))?.status).toBe(503);
      const url = () => `http://127.0.0.1:${port}`;
      const { send } = client(url, 'app@contoso.com');
      const refused = await send({ to: 'ada@fabrikam.com' }, { authorization: `Bearer ${key}` });
      expect(refused.status).toBe(503);
      expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('told to stop while it starts', () => {
  const ended = async (child: ChildProcess) => {
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return child.exitCode ?? child.signalCode;
  };

  it.each(['start', 'sandbox'])('%s ends with 0, also before its code is loaded', { timeout: 60_000 }, async (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'postroom-stop-'));
    // A .env that is a pipe says when it is read, which is before anything slow, and holds the process there.
    execFileSync('mkfifo', [join(folder, '.env')]);
    const words = ['--import', import.meta.resolve('tsx'), resolve('src/cli.ts'), name];
    const child = spawn(process.execPath, words, { env: environment({ PORT: '0' }), cwd: folder, stdio: 'ignore' });
    try {
      const pipe = await open(join(folder, '.env'), 'w');
      child.kill('SIGTERM');
      await pipe.close();
      expect(await ended(child)).toBe(0);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('what it has begun is ended in order, and nothing is left behind', { timeout: 60_000 }, async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'postroom-stop-'));
    const redis = join(dataDir, 'redis');
    const sockets = () => (existsSync(redis) ? readdirSync(redis).filter((name) => /^owner-|\.sock$/.test(name)) : []);
    const env = environment({ PORT: '0', POSTROOM_DATA_DIR: dataDir, POSTROOM_SANDBOX_PORT: '0' });
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli.ts', 'start'], { env, stdio: 'ignore' });
    try {
      await eventually(() => sockets().length > 0, undefined, 40_000);
      child.kill('SIGTERM');
      expect(await ended(child)).toBe(0);
      expect(sockets()).toEqual([]);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('a process that waits for its Redis ends with 0', { timeout: 60_000 }, async () => {
    const port = await freePort();
    const env = environment({
      PORT: String(port),
      REDIS_URL: 'redis://127.0.0.1:1',
      POSTROOM_API_KEY: 'k'.repeat(32),
      M365_MAILBOX: 'app@contoso.com',
      M365_PASSWORD: 'p',
    });
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli.ts', 'start'], { env, stdio: 'ignore' });
    try {
      await eventually(async () => (await answers(port, '/health/live'))?.ok === true, undefined, 30_000);
      child.kill('SIGTERM');
      expect(await ended(child)).toBe(0);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('a data folder', () => {
  it('in a place that takes none is refused, and not tried for ever', () => {
    expect(() => makeFolder('/proc/postroom/data')).toThrow();
  });
});
