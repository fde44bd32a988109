import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { reader } from './environment.ts';
import type { KeyView } from './gateway/api-key.ts';
import { createKey, type KeyOutcome, type KeyTools, listKeys, revokeKey, rotateKey } from './gateway/keys.ts';
import { KEYS_USAGE, type KeyWords, readKeyWords } from './read-key-words.ts';
import { StartupError } from './startup-error.ts';
import { keyStore } from './store/api-keys.ts';
import { keysOf } from './store/keys.ts';
import { connectRedis } from './store/redis.ts';
import { printable, styled, type Terminal } from './terminal.ts';

/** Done; there is no such key, or it is revoked; it could not be tried. */
export type KeysExitCode = 0 | 1 | 2;

/** For the log of whoever does it over HTTP; here there is none. */
const BY = 'command line';

/** `postroom keys`: straight into Redis, so that it works while no process runs. @returns the exit code */
export async function runKeys(
  words: string[],
  environment: NodeJS.ProcessEnv,
  terminal: Terminal,
  complain: (sentence: string) => void,
): Promise<KeysExitCode> {
  try {
    const wish = readKeyWords(words, Date.now());
    if (wish.command === 'help') {
      terminal.write(`${KEYS_USAGE}\n`);
      return 0;
    }
    return await withKeys(environment, (tools) => carryOut(wish, tools, terminal, complain));
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    complain(error.message);
    return 2;
  }
}

async function carryOut(
  wish: Exclude<KeyWords, { command: 'help' }>,
  tools: KeyTools,
  terminal: Terminal,
  complain: (sentence: string) => void,
): Promise<KeysExitCode> {
  const { json } = wish;
  switch (wish.command) {
    case 'create':
      tellOne(await createKey(tools, wish.wish, BY), json, terminal);
      return 0;
    case 'list':
      tellAll(await listKeys(tools), json, terminal);
      return 0;
    case 'rotate':
      return tellOutcome(await rotateKey(tools, wish.id, wish.graceMilliseconds, BY), json, terminal, complain);
    case 'revoke':
      return tellOutcome(await revokeKey(tools, wish.id, BY), json, terminal, complain);
  }
}

function tellOutcome(
  outcome: KeyOutcome<KeyView & { secret?: string }>,
  json: boolean,
  terminal: Terminal,
  complain: (sentence: string) => void,
): KeysExitCode {
  if (outcome.kind === 'done') tellOne(outcome.key, json, terminal);
  else if (outcome.kind === 'unknown')
    complain('There is no key with this id; postroom keys list shows those there are.');
  else complain('This key has been revoked, and stays so. Create another one.');
  return outcome.kind === 'done' ? 0 : 1;
}

function tellOne(key: KeyView & { secret?: string }, json: boolean, terminal: Terminal): void {
  if (json) terminal.write(`${JSON.stringify(key)}\n`);
  else {
    terminal.write(asTable([key]));
    if (key.secret) terminal.write(secretShown(key.secret, key.formerSecretUntil, terminal));
  }
}

function secretShown(secret: string, formerUntil: string | undefined, terminal: Terminal): string {
  const former = formerUntil ? ` The one before it is valid until ${formerUntil}.` : '';
  return `\n${styled(secret, 'bold', terminal)}\n\nKeep it: it is not shown again.${former}\n`;
}

function tellAll(keys: KeyView[], json: boolean, { write }: Terminal): void {
  write(json ? `${JSON.stringify({ keys })}\n` : asTable(keys));
}

const COLUMNS: Record<string, (key: KeyView) => string> = {
  ID: ({ id }) => id,
  NAME: ({ name }) => name,
  MODE: ({ mode }) => mode,
  STATE: ({ state }) => state,
  SCOPES: ({ scopes }) => scopes.join(','),
  FROM: ({ from }) => from?.join(',') ?? 'any',
  TO: ({ to }) => to?.join(',') ?? 'any',
  RATE: ({ rate }) => (rate ? `${rate.perMinute}/min, ${rate.burst} at once` : '-'),
  EXPIRES: ({ expiresAt }) => expiresAt ?? 'never',
  'LAST USED': ({ lastUsedAt }) => lastUsedAt ?? 'never',
  BEGINS: ({ hint }) => `${hint}…`,
};

function asTable(keys: KeyView[]): string {
  const rows = [Object.keys(COLUMNS), ...keys.map((key) => Object.values(COLUMNS).map((cell) => printable(cell(key))))];
  const widths = Object.keys(COLUMNS).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}

/** How long a connection may take to come about. */
const REDIS_WAIT = 5_000;

async function withKeys<T>(environment: NodeJS.ProcessEnv, use: (tools: KeyTools) => Promise<T>): Promise<T> {
  const { url, prefix } = placeOf(environment);
  let last: Error | undefined;
  const redis = connectRedis(url, 'patient', (error) => {
    last = error;
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const reason = () => last?.message || 'no answer in time';
    timer = setTimeout(() => reject(new StartupError(`Redis cannot be asked: ${reason()}`)), REDIS_WAIT);
  });
  try {
    const tools = { keys: keyStore(redis, keysOf(prefix)), now: () => new Date(), log: { info: () => undefined } };
    return await Promise.race([use(tools), late]);
  } finally {
    clearTimeout(timer);
    redis.disconnect();
  }
}

/** Only where the keys are: what else is missing in the environment is no reason not to revoke one. */
function placeOf(environment: NodeJS.ProcessEnv): { url: string; prefix: string } {
  const faults: string[] = [];
  const env = reader(environment, faults);
  const embedded = resolve(env.text('POSTROOM_DATA_DIR') ?? '.postroom', 'redis', 'redis.sock');
  const url = env.text('REDIS_URL') ?? (existsSync(embedded) ? embedded : undefined);
  if (faults.length > 0) throw new StartupError(faults.join('\n'));
  if (url === undefined)
    throw new StartupError('REDIS_URL is missing, and no Postroom with an embedded Redis runs here.');
  return { url, prefix: env.text('POSTROOM_REDIS_PREFIX') ?? '{postroom}' };
}
