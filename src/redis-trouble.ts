import { stoodStill } from './standstill.ts';

/** What a Redis that refuses everybody begins its errors with, and what a person does about it. */
const REMEDIES: Readonly<Record<string, string>> = {
  OOM: 'Redis is full: give it more maxmemory, or take out of it what is not Postroom’s. Leave maxmemory-policy at noeviction.',
  READONLY:
    'This Redis is a replica: make it the master, or let the address in REDIS_URL lead to the one that is, which is followed by itself. For another address correct REDIS_URL, and restart.',
  MISCONF: 'Redis cannot write to its disk: make room there, and read Redis’s own log.',
  NOAUTH: 'Redis wants a password: put the present one into REDIS_URL, and restart.',
  WRONGPASS: 'Redis refuses the user or password in REDIS_URL: correct it, and restart.',
  NOPERM: 'The ACL user in REDIS_URL lacks a right: see Redis’s ACL LOG.',
  LOADING: 'Redis is reading its data: wait.',
  MASTERDOWN: 'This Redis is a replica without its master: see to that one.',
  NOREPLICAS: 'Redis misses the replicas that min-replicas-to-write asks for: see to them.',
  CLUSTERDOWN: 'The Redis Cluster is down: see to its nodes.',
  CONNECTION:
    'See whether Redis runs, whether its disk is full (with appendfsync always it stops then), and whether this process reaches it. Whatever was accepted waits.',
};

/** The driver’s own errors, by what they say: they have no code. */
const NO_CONNECTION = [
  'Connection is closed',
  "Stream isn't writeable",
  'Command timed out',
  'Socket timeout',
  'Reached the max retries per request limit',
  'Socket closed unexpectedly',
  'connect ETIMEDOUT',
];

/** Before what Redis said of one of our steps, which `store` puts there. */
const OUR_WORDS = /^Redis did not take [^:]{1,80}: /;

/**
 * What is wrong with Redis as a whole, as the first word of its answer says; undefined for what concerns one key or one
 * command only, and for whatever is no trouble with Redis.
 */
export function redisTroubleIn(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, message, previousErrors = [] } = error as NodeJS.ErrnoException & { previousErrors?: unknown[] };
  // Why Redis took no part of a transaction.
  if (message.startsWith('EXECABORT ')) return redisTroubleIn(previousErrors[0]);
  if (code !== undefined && /^(E[A-Z]+|CERT_|ERR_TLS)/.test(code) && 'syscall' in error) return 'CONNECTION';
  const said = message.replace(OUR_WORDS, '');
  if (NO_CONNECTION.some((words) => said.startsWith(words))) return 'CONNECTION';
  const [word = ''] = said.split(' ', 1);
  // What a blocking command is answered whose server becomes a replica.
  if (word === 'UNBLOCKED') return 'READONLY';
  return word !== 'CONNECTION' && Object.hasOwn(REMEDIES, word) ? word : undefined;
}

function reasonOf(error: Error): string | undefined {
  const { code, message } = error as NodeJS.ErrnoException;
  if (message.startsWith("Stream isn't writeable")) return 'There is no connection to it';
  return message || code;
}

interface Lines {
  info(fields: object, sentence: string): void;
  error(fields: object, sentence: string): void;
}

/** Tells the log what is wrong with Redis: all of a process’s troubles as one, of which each connection has its own. */
export interface RedisTrouble {
  /** What a connection has met, whatever it is. */
  met(error: Error): void;
  /** @returns whether it was one that concerns all of Redis, and is told here */
  isTold(error: unknown): boolean;
  close(): void;
}

/** Said again this often while it lasts. */
const AGAIN_MILLISECONDS = 60_000;
/** Without any for so long it is over: longer than a silent Redis takes to be noticed again on a worker's connection. */
const QUIET_MILLISECONDS = 15_000;
const LOOK_MILLISECONDS = 1_000;

/** @param monotonic milliseconds */
export function redisTrouble(log: Lines, monotonic: () => number = () => performance.now()): RedisTrouble {
  let trouble:
    | { since: Date; codes: Set<string>; toldAt: number; lastAt: number; last: Date; times: number }
    | undefined;
  const stood = stoodStill(LOOK_MILLISECONDS, monotonic);
  const looking = setInterval(look, LOOK_MILLISECONDS);
  looking.unref();

  function tell(code: string, error: Error): void {
    const now = monotonic();
    trouble ??= { since: new Date(), codes: new Set(), toldAt: now, lastAt: now, last: new Date(), times: 0 };
    trouble.times += 1;
    trouble.lastAt = now;
    trouble.last = new Date();
    // Two of them may take turns: no connection, for whoever asks, and no password, for whoever makes one.
    if (trouble.codes.has(code) && now - trouble.toldAt < AGAIN_MILLISECONDS) return;
    trouble.codes.add(code);
    trouble.toldAt = now;
    const { since, times } = trouble;
    log.error(
      { since, times, reason: reasonOf(error), remedy: REMEDIES[code] ?? REMEDIES.CONNECTION },
      'Redis cannot be used',
    );
  }

  function look(): void {
    const late = stood();
    if (!trouble) return;
    trouble.lastAt += late;
    if (monotonic() - trouble.lastAt < QUIET_MILLISECONDS) return;
    const { since, last: until, times } = trouble;
    trouble = undefined;
    log.info({ since, until, times }, 'Redis can be used again');
  }

  return {
    met: (error) => tell(redisTroubleIn(error) ?? 'CONNECTION', error),
    isTold(error) {
      const code = redisTroubleIn(error);
      if (code) tell(code, error as Error);
      return code !== undefined;
    },
    close: () => clearInterval(looking),
  };
}
