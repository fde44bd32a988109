import { parseArgs } from 'node:util';
import { parseAddressRule } from './gateway/address-rule.ts';
import type { Permission } from './gateway/api.ts';
import type { NewKey } from './gateway/keys.ts';
import { usualBurst } from './gateway/rate.ts';
import { StartupError } from './startup-error.ts';

export const KEYS_USAGE = `Usage: postroom keys <command>

  create --name <name>    make a key; its secret is shown this once
    --scope send,read       what it may do: send, read, operate
    --from <list>           what it may send as: addresses or *@domain, with commas
    --to <list>             whom it may send to, written alike; everybody if absent
    --expires <when>        not valid from then on: 90d, 12h, or 2027-01-31T00:00:00Z
    --rate <number>         requests a minute; a batch counts its messages
    --burst <number>        so many at once after a pause; a sixth of the rate if absent
    --test                  its messages never reach Microsoft
  list                    those that expired or were revoked too, for 90 days
  rotate <id>             a new secret for the same key
    --grace <minutes>       for so long the old one stays valid too; else it ends at once
  revoke <id>             for good, at once, in every process

  --json                  one line of JSON, and nothing else

The keys are in Redis: REDIS_URL, or the embedded one of a Postroom that runs here.

Exit code: 0 done, 1 there is no such key or it is revoked, 2 it could not be tried.`;

export type KeyWords =
  | { command: 'help' }
  | { command: 'create'; wish: NewKey; json: boolean }
  | { command: 'list'; json: boolean }
  | { command: 'rotate'; id: string; graceMilliseconds: number; json: boolean }
  | { command: 'revoke'; id: string; json: boolean };

const OPTIONS = {
  name: { type: 'string' },
  scope: { type: 'string', multiple: true },
  from: { type: 'string', multiple: true },
  to: { type: 'string', multiple: true },
  expires: { type: 'string' },
  rate: { type: 'string' },
  burst: { type: 'string' },
  grace: { type: 'string' },
  test: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

const FITTING: Record<string, readonly string[]> = {
  create: ['name', 'scope', 'from', 'to', 'expires', 'rate', 'burst', 'test', 'json'],
  list: ['json'],
  rotate: ['grace', 'json'],
  revoke: ['json'],
};

/** @throws StartupError that says what is wrong with the words, and how they go */
export function readKeyWords(words: string[], now: number): KeyWords {
  try {
    return read(words, now);
  } catch (error) {
    throw new StartupError(`${(error as Error).message}\n\n${KEYS_USAGE}`);
  }
}

type Values = ReturnType<typeof parsed>['values'];

function parsed(words: string[]) {
  return parseArgs({ args: words, options: OPTIONS, allowPositionals: true });
}

function read(words: string[], now: number): KeyWords {
  const { values, positionals } = parsed(words);
  const [command = '', id, ...more] = positionals;
  if (values.help) return { command: 'help' };
  const fitting = Object.hasOwn(FITTING, command) ? FITTING[command] : undefined;
  if (!fitting) throw new Error(command ? `There is no command "keys ${command}".` : 'Say what to do with the keys.');
  const stray = Object.keys(values).find((name) => !fitting.includes(name));
  if (stray) throw new Error(`--${stray} does not go with "keys ${command}".`);
  const json = values.json ?? false;
  const takesId = command === 'rotate' || command === 'revoke';
  if (more.length > 0 || (id !== undefined) !== takesId)
    throw new Error(takesId ? `Name one key: postroom keys ${command} <id>.` : `"keys ${command}" names no key.`);
  if (command === 'create') return { command, wish: wishOf(values, now), json };
  if (command === 'rotate') return { command, id: id as string, graceMilliseconds: graceOf(values.grace), json };
  return command === 'revoke' ? { command, id: id as string, json } : { command: 'list', json };
}

function wishOf(values: Values, now: number): NewKey {
  const name = values.name?.trim() ?? '';
  if (!/^[^\p{Cc}]{1,100}$/u.test(name))
    throw new Error('--name is needed: 1 to 100 characters that say whose key it is.');
  const scopes = scopesOf(listed(values.scope));
  if (values.test && scopes.includes('operate')) throw new Error('A --test key cannot have the scope operate.');
  if (values.burst !== undefined && values.rate === undefined) throw new Error('--burst goes with --rate.');
  const perMinute = numberOf('rate', values.rate, 1_000_000);
  const burst = numberOf('burst', values.burst, 1_000_000);
  return {
    name,
    mode: values.test ? 'test' : 'live',
    scopes,
    ...(values.from && { from: rulesOf('from', values.from) }),
    ...(values.to && { to: rulesOf('to', values.to) }),
    ...(perMinute !== undefined && { rate: { perMinute, burst: burst ?? usualBurst(perMinute) } }),
    ...(values.expires !== undefined && { expiresAt: endOf(values.expires, now) }),
  };
}

function listed(given: string[] = []): string[] {
  return given.flatMap((each) => each.split(',')).map((each) => each.trim());
}

const SCOPES: readonly Permission[] = ['send', 'read', 'operate'];

function scopesOf(given: string[]): Permission[] {
  const unknown = given.find((each) => !SCOPES.includes(each as Permission));
  if (unknown !== undefined)
    throw new Error(`There is no scope "${unknown}": send, read and operate are those there are.`);
  if (given.length === 0) throw new Error('--scope is needed: send, read or operate, or several with commas.');
  return SCOPES.filter((each) => given.includes(each));
}

function rulesOf(name: string, given: string[]): string[] {
  return listed(given).map((text) => {
    const parsedRule = parseAddressRule(text);
    if (!parsedRule.ok) throw new Error(`--${name}: ${parsedRule.problem}`);
    return parsedRule.rule;
  });
}

function numberOf(name: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text) && Number(text) >= 1 && Number(text) <= most) return Number(text);
  throw new Error(`--${name} must be a whole number from 1 to ${most}, not "${text}".`);
}

const UNITS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

function endOf(text: string, now: number): number {
  const [, count, unit = ''] = /^(\d{1,5})([mhd])$/.exec(text) ?? [];
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const end = count === undefined ? (isTime ? Date.parse(text) : Number.NaN) : now + Number(count) * (UNITS[unit] ?? 0);
  if (end > now) return end;
  throw new Error(`--expires must be in the future, as in 90d, 12h or 2027-01-31T00:00:00Z, not "${text}".`);
}

const WEEK_MINUTES = 7 * 24 * 60;

function graceOf(text: string | undefined): number {
  return (numberOf('grace', text === '0' ? undefined : text, WEEK_MINUTES) ?? 0) * 60_000;
}
