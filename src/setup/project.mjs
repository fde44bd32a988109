import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError } from './setup-error.mjs';

/** The folder of package.json. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Compares what npm says it has installed (its hidden lock file) with what package-lock.json asks for. */
export function dependenciesAreInstalled(withDevelopment) {
  const installed = readPackages('node_modules/.package-lock.json');
  const wanted = readPackages('package-lock.json');
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || entry.optional) return true;
    if ((entry.dev || entry.devOptional) && !withDevelopment) return true;
    return installed[path]?.version === entry.version && installed[path]?.integrity === entry.integrity;
  });
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages ?? {};
  } catch (error) {
    if (error.code === 'ENOENT' || error instanceof SyntaxError) return {};
    throw error;
  }
}

export function installDependencies() {
  console.log('Postroom: installing its dependencies (npm ci) …');
  // The build needs the compiler, also where NODE_ENV=production would leave it out.
  // npm's own pauses between retries let a machine without a network wait for more than a minute.
  const patience = ['--fetch-retries=3', '--fetch-retry-mintimeout=500', '--fetch-retry-maxtimeout=5000'];
  npm(['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error', ...patience]);
}

/** True when dist/ was built after the last change in src/: of a file, or of a folder's list of files. */
export function buildIsFresh() {
  const built = changedAt(join(root, 'dist', 'cli.js'));
  if (built === 0) return false;
  const inputs = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'].map((name) => join(root, name));
  return [...inputs, ...sources(join(root, 'src'))].every((path) => changedAt(path) <= built);
}

function sources(folder) {
  const entries = readdirSync(folder, { withFileTypes: true });
  return [
    folder,
    ...entries.flatMap((entry) => (entry.isDirectory() ? sources(join(folder, entry.name)) : join(folder, entry.name))),
  ];
}

function changedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Builds beside dist/ and swaps: no deleted source lingers, and no half build is ever taken for a whole one. */
export function build() {
  console.log('Postroom: building (npm run build) …');
  const [dist, next, previous] = ['dist', 'dist.next', 'dist.previous'].map((name) => join(root, name));
  const startedAt = new Date();
  rmSync(next, { recursive: true, force: true });
  mkdirSync(next);
  writeFileSync(join(next, '.gitignore'), '*\n');
  try {
    npm(['run', '--silent', 'build', '--', '--outDir', next]);
    // A source saved while the compiler ran must count as newer than what came out.
    utimesSync(join(next, 'cli.js'), startedAt, startedAt);
    rmSync(previous, { recursive: true, force: true });
    if (existsSync(dist)) renameSync(dist, previous);
    renameSync(next, dist);
  } finally {
    for (const folder of [next, previous]) rmSync(folder, { recursive: true, force: true });
  }
}

function npm(args) {
  // npm_execpath is the npm that runs us; by hand, it is the one on the PATH.
  const program = process.env.npm_execpath;
  const [command, first] = program?.endsWith('.js') ? [process.execPath, [program]] : ['npm', []];
  const result = spawnSync(command, [...first, ...args], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (result.status === 0) return;
  const said = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`.trim();
  if (said) console.error(said);
  const code = /npm error code (\w+)/.exec(said)?.[1];
  throw new SetupError(
    `could not be set up: "npm ${args[0] === 'ci' ? 'ci' : 'run build'}" failed${code ? ` (${code})` : ''}; ${advice(code)}`,
  );
}

function advice(code) {
  if (/^(ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENETUNREACH|ERR_SOCKET)/.test(code ?? '')) {
    return 'the package registry cannot be reached from here.';
  }
  if (/^(EROFS|EACCES|EPERM|ENOSPC)$/.test(code ?? '')) return `${root} cannot be written.`;
  return 'what it said stands above.';
}
