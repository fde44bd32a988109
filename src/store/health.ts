import type { Redis } from 'ioredis';
import type { Readiness } from '../gateway/api.ts';
import type { DamagedKey } from '../gateway/ports.ts';
import { whyNotConnected } from './redis.ts';

/**
 * Whether Redis answers and takes writes, and what its settings promise. Evicting Redis would lose accepted messages: not ready.
 * Without an append-only file synced at every write a 202 is not on disk: ready, but said plainly.
 *
 * @param damagedKeys those that all mailboxes have in common
 * @param probeKey is written, since a Redis that is full, read-only or cannot reach its disk or replicas still answers
 */
export async function redisChecks(
  redis: Redis,
  probeKey: string,
  damagedKeys: () => Promise<DamagedKey[]>,
): Promise<Readiness['checks']> {
  try {
    const facts = parseInfo(await redis.info('memory', 'persistence', 'replication'));
    return {
      redis: roleCheck(facts) ?? (await writeCheck(redis, probeKey)),
      ...(await checksOfSettings(redis, facts)),
      ...damageCheck(await damagedKeys()),
    };
  } catch (error) {
    const why = whyNotConnected(redis);
    const detail = why ? `Redis cannot be reached: ${why}` : `Redis does not answer: ${(error as Error).message}`;
    return { redis: { status: 'fail', detail } };
  }
}

/**
 * What its settings promise.
 *
 * @throws what the client throws when Redis does not answer
 */
export async function settingsChecks(redis: Redis): Promise<Readiness['checks']> {
  return checksOfSettings(redis, parseInfo(await redis.info('memory', 'persistence')));
}

async function checksOfSettings(redis: Redis, facts: Map<string, string>): Promise<Readiness['checks']> {
  return { redisEviction: evictionCheck(facts), redisDurability: durabilityCheck(facts, await appendFsync(redis)) };
}

type Check = Readiness['checks'][string];

function roleCheck(facts: Map<string, string>): Check | undefined {
  if (facts.get('role') === 'slave') return { status: 'fail', detail: 'Redis is a read-only replica.' };
  if (facts.get('loading') === '1') return { status: 'fail', detail: 'Redis is loading its data.' };
  if (facts.get('aof_last_write_status') === 'err')
    return { status: 'fail', detail: 'Redis cannot write its append-only file; is the disk full?' };
  return undefined;
}

async function writeCheck(redis: Redis, key: string): Promise<Check> {
  const refusal = await refusalOf(redis, key);
  if (refusal === undefined) return { status: 'ok', detail: 'Redis answers and takes writes.' };
  return { status: 'fail', detail: `Redis takes no writes: ${refusal}` };
}

/** Why Redis takes no writes, in its own words; undefined where it does. */
export async function refusalOf(redis: Redis, key: string): Promise<string | undefined> {
  try {
    await redis.set(key, '1', 'PX', 60_000);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Without these nothing can be accepted. */
const NEEDED_TO_ACCEPT = /:(busy|due)$/;

/** Said only where there is something to say. */
function damageCheck(damaged: DamagedKey[]): { redisKeys?: Check } {
  if (damaged.length === 0) return {};
  const named = damaged.map(({ key, holds, should }) => `${key} (is a ${holds}, should be a ${should})`).join(', ');
  const status = damaged.some(({ key }) => NEEDED_TO_ACCEPT.test(key)) ? 'fail' : 'warn';
  return { redisKeys: { status, detail: `Somebody has overwritten keys that only Postroom may write: ${named}.` } };
}

function evictionCheck(facts: Map<string, string>): Check {
  const policy = facts.get('maxmemory_policy');
  if (policy === 'noeviction') return { status: 'ok', detail: 'maxmemory-policy is noeviction.' };
  return {
    status: 'fail',
    detail: `maxmemory-policy is ${policy}: Redis would throw accepted messages away. Set it to noeviction.`,
  };
}

function durabilityCheck(facts: Map<string, string>, fsync: string | undefined): Check {
  if (facts.get('aof_enabled') !== '1')
    return { status: 'warn', detail: 'appendonly is off: accepted messages are lost if Redis stops. Turn it on.' };
  if (fsync === 'always') return { status: 'ok', detail: 'Every accepted message is on disk before its 202.' };
  if (fsync === undefined)
    return {
      status: 'warn',
      detail: 'appendonly is on; whether appendfsync is always cannot be read (CONFIG is not allowed).',
    };
  return {
    status: 'warn',
    detail: `appendfsync is ${fsync}: about a second of accepted messages may be lost at a power failure. Set it to always.`,
  };
}

export async function appendFsync(redis: Redis): Promise<string | undefined> {
  try {
    const answer: unknown = await redis.config('GET', 'appendfsync');
    return Array.isArray(answer) ? String(answer[1]) : undefined;
  } catch {
    // Managed services forbid CONFIG.
    return undefined;
  }
}

export function parseInfo(info: string): Map<string, string> {
  return new Map(
    info.split('\r\n').flatMap((line) => {
      const at = line.indexOf(':');
      return at > 0 ? [[line.slice(0, at), line.slice(at + 1)] as const] : [];
    }),
  );
}
