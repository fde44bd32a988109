import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

describe('a data folder', () => {
  it('in a place that takes none is refused, and not tried for ever', () => {
    expect(() => makeFolder('/proc/postroom/data')).toThrow();
  });
});
