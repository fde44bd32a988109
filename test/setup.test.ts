import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

// A clone of our own with one dependency, an npm that only notes what it is asked, and a PATH that we fill.
let clone: string;
let bin: string;

const wanted = { 'node_modules/zod': { version: '1.0.0', integrity: 'sha512-a' } };
const compiler = { 'node_modules/typescript': { version: '7.0.0', integrity: 'sha512-b', dev: true } };
const forAnotherSystem = { 'node_modules/biome-win32': { version: '2.0.0', optional: true } };

const fakeNpm = `
const { appendFileSync, mkdirSync, writeFileSync, copyFileSync } = require('node:fs');
const args = process.argv.slice(2);
appendFileSync('npm.calls', args.slice(0, 3).join(' ') + '\\n');
if (process.env.NPM_FAILS) {
  console.error('npm error code ' + process.env.NPM_FAILS);
  process.exit(1);
}
if (args[0] === 'ci') {
  mkdirSync('node_modules', { recursive: true });
  copyFileSync('package-lock.json', 'node_modules/.package-lock.json');
} else writeFileSync(args.at(-1) + '/cli.js', '');
`;

beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'postroom-setup-test-'));
  bin = join(clone, 'bin');
  mkdirSync(join(clone, 'src'));
  mkdirSync(bin);
  for (const name of ['setup.mjs', 'setup']) {
    cpSync(fileURLToPath(new URL(`../src/${name}`, import.meta.url)), join(clone, 'src', name), { recursive: true });
  }
  write('src/cli.ts', '');
  write('npm.js', fakeNpm);
  writeLock('package-lock.json', { ...wanted, ...compiler, ...forAnotherSystem });
  provide('redis-server', 'exit 0');
});

afterEach(() => {
  rmSync(clone, { recursive: true, force: true });
});

describe('before npm start', () => {
  test('a fresh clone is installed and built, in this order', () => {
    const { status, calls } = setUp();

    expect(status).toBe(0);
    expect(calls).toEqual(['ci --include=dev --no-audit', 'run --silent build']);
    expect(existsSync(join(clone, 'dist', 'cli.js'))).toBe(true);
  });

  test('nothing is done, and nothing said, when nothing is missing', () => {
    setUp();

    expect(setUp()).toMatchObject({ status: 0, calls: [], output: '' });
  });

  test('a package of another operating system is not missed', () => {
    setUp();
    writeLock('node_modules/.package-lock.json', { ...wanted, ...compiler });

    expect(setUp().calls).toEqual([]);
  });

  test('a changed lock file is installed again', () => {
    setUp();
    writeLock('node_modules/.package-lock.json', { 'node_modules/zod': { version: '0.9.0' }, ...compiler });

    expect(setUp().calls).toEqual(['ci --include=dev --no-audit']);
  });

  test('a changed source, and a deleted one, is built again without leftovers', () => {
    setUp();
    write('dist/gone.js', '');
    touchLater('src');

    expect(setUp().calls).toEqual(['run --silent build']);
    expect(existsSync(join(clone, 'dist', 'gone.js'))).toBe(false);
  });

  test('a build that fails leaves the former one in place and says so', () => {
    setUp();
    touchLater('src/cli.ts');

    const { status, output } = setUp([], { NPM_FAILS: 'E1' });

    expect(status).toBe(1);
    expect(output).toMatch(/^Postroom could not be set up: "npm run build" failed/m);
    expect(existsSync(join(clone, 'dist', 'cli.js'))).toBe(true);
    expect(existsSync(join(clone, 'dist.next'))).toBe(false);
  });

  test('a registry out of reach is one sentence', () => {
    const { status, output } = setUp([], { NPM_FAILS: 'ENOTFOUND' });

    expect(status).toBe(1);
    expect(output).toContain('"npm ci" failed (ENOTFOUND); the package registry cannot be reached from here.');
  });

  test('two at once take turns, and the second finds everything done', async () => {
    const runs = [1, 2].map(() => spawn(process.execPath, ['src/setup.mjs'], { cwd: clone, env: environment() }));

    const ends = await Promise.all(runs.map((run) => once(run, 'exit')));

    expect(ends.map(([code]) => code)).toEqual([0, 0]);
    expect(npmCalls()).toHaveLength(2);
  });
});

describe('a Redis server', () => {
  beforeEach(() => {
    setUp();
    rmSync(join(bin, 'redis-server'));
  });

  test('is asked for in one sentence where nothing can install it', () => {
    const { status, output } = setUp();

    expect(status).toBe(1);
    expect(output.trim()).toMatch(/^Postroom needs redis-server or valkey-server on the PATH;[^\n]*$/);
  });

  test('is not needed when REDIS_URL names one, nor in production', () => {
    expect(setUp([], { REDIS_URL: 'redis://127.0.0.1:1' }).status).toBe(0);
    expect(setUp([], { NODE_ENV: 'production' }).status).toBe(0);
  });

  test('is not needed when the .env file names one', () => {
    write('.env', 'REDIS_URL="redis://127.0.0.1:1"\n');

    expect(setUp().status).toBe(0);
  });

  test('is needed for the tests also when REDIS_URL names one', () => {
    expect(setUp(['--test'], { REDIS_URL: 'redis://127.0.0.1:1' }).status).toBe(1);
  });

  test('may be a Valkey', () => {
    provide('valkey-server', 'exit 0');

    expect(setUp().status).toBe(0);
  });
});

describe('with NODE_ENV=production', () => {
  test('a finished build needs no development dependencies', () => {
    setUp();
    writeLock('node_modules/.package-lock.json', wanted);

    expect(setUp([], { NODE_ENV: 'production' }).calls).toEqual([]);
  });

  test('a clone without a build gets both', () => {
    expect(setUp([], { NODE_ENV: 'production' }).calls).toHaveLength(2);
  });
});

describe('before npm test', () => {
  test('a missing browser is one line, and no failure', () => {
    const { status, output } = setUp(['--test'], { POSTROOM_CHROMIUM: join(clone, 'none') });

    expect(status).toBe(0);
    expect(output).toContain('the browser test will be skipped: POSTROOM_CHROMIUM names no file');
  });

  test('a named browser is enough', () => {
    expect(setUp(['--test'], { POSTROOM_CHROMIUM: process.execPath }).output).not.toContain('browser');
  });
});

function setUp(args: string[] = [], env: Record<string, string> = {}) {
  rmSync(join(clone, 'npm.calls'), { force: true });
  const run = spawnSync(process.execPath, ['src/setup.mjs', ...args], {
    cwd: clone,
    env: environment(env),
    encoding: 'utf8',
  });
  return { status: run.status, output: run.stdout + run.stderr, calls: npmCalls() };
}

function environment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  return { PATH: bin, TMPDIR: clone, npm_execpath: join(clone, 'npm.js'), ...extra };
}

function npmCalls(): string[] {
  const file = join(clone, 'npm.calls');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
}

function write(path: string, content: string): void {
  mkdirSync(join(clone, path, '..'), { recursive: true });
  writeFileSync(join(clone, path), content);
}

function writeLock(path: string, packages: object): void {
  write(path, JSON.stringify({ packages: { '': {}, ...packages } }));
}

function touchLater(path: string): void {
  const later = new Date(Date.now() + 5000);
  utimesSync(join(clone, path), later, later);
}

function provide(name: string, body: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`);
  chmodSync(join(bin, name), 0o755);
  if (!existsSync(join(bin, 'sh'))) symlinkSync('/bin/sh', join(bin, 'sh'));
}
