import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SetupError } from './setup-error.mjs';

const chromiumNames = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/**
 * How each package manager is asked, the packages to try one after the other (valkey has taken redis' place in
 * some distributions), and what a person would type.
 */
const managers = {
  'apt-get': {
    refresh: ['update', '-q'],
    install: ['install', '-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120'],
    redis: ['redis-server', 'valkey-server'],
    chromium: ['chromium'],
    byHand: 'apt-get install redis-server',
  },
  apk: {
    install: ['add', '--no-cache'],
    redis: ['redis', 'valkey'],
    chromium: ['chromium'],
    byHand: 'apk add redis',
  },
  dnf: {
    install: ['install', '-y', '-q'],
    redis: ['valkey', 'redis'],
    chromium: ['chromium'],
    byHand: 'dnf install valkey',
  },
  pacman: {
    install: ['-Sy', '--noconfirm', '--needed'],
    redis: ['valkey', 'redis'],
    chromium: ['chromium'],
    byHand: 'pacman -S valkey',
  },
  zypper: {
    install: ['--non-interactive', 'install'],
    redis: ['redis', 'valkey'],
    chromium: ['chromium'],
    byHand: 'zypper install redis',
  },
  brew: { install: ['install'], redis: ['redis'], chromium: [], byHand: 'brew install redis' },
};

export function redisIsFound() {
  return onPath(['redis-server', 'valkey-server']) !== undefined;
}

export function installRedis() {
  const manager = packageManager();
  if (!manager) throw new SetupError('needs redis-server or valkey-server on the PATH; install one, or set REDIS_URL.');
  console.log(`Postroom: installing a Redis server (${manager}) …`);
  const why = keepServiceQuiet(() => install(manager, managers[manager].redis));
  if (!why && redisIsFound()) return;
  throw new SetupError(
    `needs a Redis server and could not install one (${why ?? 'it is not on the PATH'}); ` +
      `run "${manager === 'brew' || isRoot() ? '' : 'sudo '}${managers[manager].byHand}", or set REDIS_URL to a Redis of your own.`,
  );
}

/** We want the program, not a system service: with systemd, Debian's package would start one and enable it. */
function keepServiceQuiet(work) {
  if (!existsSync('/run/systemd/system') || !onPath(['apt-get'])) return work();
  const units = ['redis-server.service', 'valkey-server.service'];
  asRoot(['systemctl', 'mask', '--runtime', ...units]);
  try {
    return work();
  } finally {
    asRoot(['systemctl', 'unmask', '--runtime', ...units]);
    for (const unit of units) asRoot(['systemctl', 'disable', unit]);
  }
}

export function chromiumIsFound() {
  const named = process.env.POSTROOM_CHROMIUM;
  return named ? existsSync(named) : onPath(chromiumNames) !== undefined;
}

/** Why no browser can be installed here, in words; `undefined` when it can be tried. */
export function whyNoChromium() {
  const manager = packageManager();
  if (process.env.POSTROOM_CHROMIUM) return 'POSTROOM_CHROMIUM names no file';
  if (!manager || managers[manager].chromium.length === 0)
    return 'there is no Chromium and no package manager that has it';
  // Ubuntu's package is only a door to the snap store, which containers do not have.
  if (existsSync('/etc/os-release') && /^ID=ubuntu$/m.test(readFileSync('/etc/os-release', 'utf8'))) {
    return 'there is no Chromium, and Ubuntu has it as a snap only';
  }
  return mayInstall(manager) ? undefined : 'there is no Chromium, and installing it needs root';
}

export function installChromium() {
  const manager = packageManager();
  console.log(`Postroom: installing Chromium for the browser test (${manager}) …`);
  const why = install(manager, managers[manager].chromium);
  if (why) console.log(`Postroom: Chromium could not be installed (${why}).`);
}

function packageManager() {
  return Object.keys(managers).find((name) => onPath([name]));
}

/** Tries the packages in order; the reason in words when none could be installed. */
function install(manager, packages) {
  if (!mayInstall(manager)) return 'that needs root, and sudo would ask for a password';
  const { refresh, install: verb } = managers[manager];
  const run = manager === 'brew' ? plainly : asRoot;
  if (refresh) run([manager, ...refresh]);
  let why;
  for (const name of packages) {
    const result = run([manager, ...verb, name]);
    if (result.status === 0) return undefined;
    // The first package is the one that should exist: its refusal is the telling one.
    why ??= lastLine(result.stderr) || lastLine(result.stdout) || `${manager} failed`;
  }
  return why;
}

function mayInstall(manager) {
  if (isRoot()) return manager !== 'brew';
  return manager === 'brew' || asRoot(['true']).status === 0;
}

function isRoot() {
  return process.getuid?.() === 0;
}

function asRoot(command) {
  const quiet = ['env', 'DEBIAN_FRONTEND=noninteractive', ...command];
  return plainly(isRoot() ? quiet : ['sudo', '-n', ...quiet]);
}

function plainly([command, ...args]) {
  return spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 });
}

function lastLine(text) {
  return text?.trim().split('\n').at(-1)?.trim();
}

function onPath(names) {
  const folders = (process.env.PATH ?? '/usr/bin:/bin').split(delimiter).filter(Boolean);
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
