import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../startup-error.ts';
import { askRedis } from './redis-probe.ts';

/** One running server process. */
export type RedisRun = {
  readonly pid: number;
  /** Settles with the reason, in words, when the process has ended; never rejects. */
  readonly ended: Promise<string>;
  /** Lets it finish its writes, and ends it. */
  stop(): Promise<void>;
};

/** Where a server keeps its files and where it listens. */
export type RedisPlace = { folder: string; socketPath: string };

const oldestVersion = { major: 6, minor: 2 };
const readyWithinMs = 30_000;
const stopWithinMs = 10_000;

/** The full path of a `redis-server` or `valkey-server` on this machine, or `undefined`. */
export function findRedisServer(): string | undefined {
  const found = spawnSync('/bin/sh', ['-c', 'command -v redis-server || command -v valkey-server'], {
    encoding: 'utf8',
  }).stdout?.trim();
  return found?.startsWith('/') ? found : undefined;
}

/** What a person types to install a server, by the package managers that this machine has. */
export function installCommand(): string {
  const commands: Record<string, string> = {
    'apt-get': 'apt-get install redis-server',
    apk: 'apk add redis',
    dnf: 'dnf install valkey',
    pacman: 'pacman -S valkey',
    brew: 'brew install redis',
  };
  const listed = `for tool in ${Object.keys(commands).join(' ')}; do command -v $tool >/dev/null && echo $tool; done`;
  const [tool = 'apt-get'] = spawnSync('/bin/sh', ['-c', listed], { encoding: 'utf8' }).stdout?.split('\n') ?? [];
  const command = commands[tool] ?? 'apt-get install redis-server';
  return tool === 'brew' || process.getuid?.() === 0 ? command : `sudo ${command}`;
}

/** Throws a {@link StartupError} unless the program says that it is Redis 6.2 or newer, or Valkey. */
export function assertSupported(server: string): void {
  const said = spawnSync(server, ['--version'], { encoding: 'utf8', env: {} }).stdout ?? '';
  const [, major, minor] = /\bv=(\d+)\.(\d+)/.exec(said) ?? [];
  if (major === undefined) throw new StartupError(`${server} does not run: it does not tell its version.`);
  if (Number(major) > oldestVersion.major) return;
  if (Number(major) === oldestVersion.major && Number(minor) >= oldestVersion.minor) return;
  throw new StartupError(
    `${server} is version ${major}.${minor}, but Postroom needs Redis 6.2 or newer, or Valkey; ` +
      'install a newer one, or set REDIS_URL to a newer server.',
  );
}

/**
 * The shell that stands between us and the server, in a session of its own: a terminal's Ctrl-C does not reach
 * the server before we have drained, and when we die, however we die, the pipe on its standard input ends and it
 * asks the server to stop. It ends when the server ends, with the server's exit code.
 */
const watchdog = `umask 077
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3; kill -TERM "$server"; } >/dev/null 2>&1 &
reader=$!
exec 3<&-
wait "$server"
status=$?
kill -KILL "$reader" 2>/dev/null
exit "$status"`;

/**
 * Every write is on disk before its answer (`appendfsync always`), nothing is ever evicted, no TCP port is open,
 * and a file cut short by a power loss still loads. Given on the command line, so that no configuration file of
 * the system is read.
 */
function serverArguments({ folder, socketPath }: RedisPlace): string[] {
  const settings = {
    port: '0',
    unixsocket: relative(folder, socketPath),
    unixsocketperm: '700',
    // Where it is started, and the socket from there: Valkey 8 takes quotes in a folder's name for its own.
    dir: '.',
    daemonize: 'no',
    appendonly: 'yes',
    appendfsync: 'always',
    'no-appendfsync-on-rewrite': 'no',
    'aof-load-truncated': 'yes',
    save: '',
    'maxmemory-policy': 'noeviction',
    // Records and jobs are read whole, never searched: so they take a third of the memory. The name that 6.2 knows too.
    'hash-max-ziplist-value': '1024',
    loglevel: 'notice',
    logfile: '',
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

/**
 * Starts a server and waits until it answers, also while it loads a long file.
 * @throws StartupError when it ends before that, or does not answer within 30 seconds.
 */
export async function runRedisServer(server: string, place: RedisPlace): Promise<RedisRun> {
  // An empty environment: the secrets in ours are none of the server's business.
  const child = spawn('/bin/sh', ['-c', watchdog, 'postroom-redis', server, ...serverArguments(place)], {
    cwd: place.folder,
    detached: true,
    env: {},
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let log = '';
  const keep = (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4096);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.stdin.on('error', () => {});
  const ended = once(child, 'exit').then(
    ([code, signal]) => describeEnd(code, signal, log),
    (error: Error) => error.message,
  );
  try {
    const pid = await untilReady(place.socketPath, ended);
    if (pid === undefined) throw new StartupError(`Redis in ${place.folder} does not start: ${await ended}`);
    return { pid, ended, stop: () => stop(child, pid, ended) };
  } catch (error) {
    child.stdin.end();
    throw error;
  }
}

function describeEnd(code: number | null, signal: string | null, log: string): string {
  const lastWords =
    log
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^\d+:\w .*? [*#.-] /, '') ?? '';
  const how = signal ? `it was ended by ${signal}` : `it exited with code ${code}`;
  return lastWords ? `${how} after saying "${lastWords}".` : `${how}.`;
}

/** The server's process id once it takes commands; `undefined` when it ended first. */
async function untilReady(socketPath: string, ended: Promise<string>): Promise<number | undefined> {
  let over = false;
  void ended.then(() => {
    over = true;
  });
  let deadline = performance.now() + readyWithinMs;
  while (!over) {
    const answer = await askRedis(socketPath, 'INFO server');
    const text = answer.kind === 'reply' ? answer.text : '';
    if (text.startsWith('$') && (await takesCommands(socketPath))) return Number(/process_id:(\d+)/.exec(text)?.[1]);
    // It says that it is loading its data, which may take minutes and is no reason to give up.
    if (text !== '') deadline = performance.now() + readyWithinMs;
    if (performance.now() > deadline) throw new StartupError(`Redis does not answer at ${socketPath}.`);
    await sleep(10);
  }
  return undefined;
}

/** INFO is answered while data is still being loaded, PING is not. */
async function takesCommands(socketPath: string): Promise<boolean> {
  const answer = await askRedis(socketPath, 'PING');
  return answer.kind === 'reply' && answer.text.startsWith('+PONG');
}

async function stop(child: ReturnType<typeof spawn>, pid: number, ended: Promise<string>): Promise<void> {
  child.stdin?.end();
  // Every answered write is on disk already, so that a server that hangs loses nothing by being killed.
  const killer = setTimeout(() => kill(pid), stopWithinMs);
  await ended;
  clearTimeout(killer);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself just now.
  }
}
