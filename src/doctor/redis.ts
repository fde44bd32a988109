import { type Check, fail, ok, skipped, type Verdict, type Visit, warn } from './check.ts';
import type { RedisFacts } from './tools.ts';

/** Whether accepted messages are safe in Redis. */
export function checkRedis(): Check[] {
  let facts: RedisFacts | undefined;
  const with_ = (judge: (facts: RedisFacts) => Verdict) => () =>
    facts ? judge(facts) : skipped('There is no Redis to look at.');
  return [
    {
      id: 'redis',
      title: 'Redis',
      after: [],
      run: async (visit) => {
        const seen = await lookAt(visit);
        if ('version' in seen) facts = seen;
        return 'version' in seen ? server(seen) : seen;
      },
    },
    { id: 'redisEviction', title: 'Redis never evicts', after: ['redis'], run: with_(eviction) },
    { id: 'redisDurability', title: 'Redis on disk', after: ['redis'], run: with_(durability) },
    { id: 'redisMemory', title: 'Redis memory', after: ['redis'], run: with_(memory) },
  ];
}

async function lookAt({ tools }: Visit): Promise<RedisFacts | Verdict> {
  if (!tools.redis) return skipped('REDIS_URL is not set: Postroom brings its own Redis, with the right settings.');
  try {
    return await tools.redis();
  } catch (error) {
    return unanswered((error as Error).message);
  }
}

/** Redis's own first words (redis.io/docs, "ACL" and "Redis serialization protocol", read 2026-11). */
function unanswered(said: string): Verdict {
  if (/^(WRONGPASS|NOAUTH|ERR AUTH|ERR Client sent AUTH)/.test(said))
    return fail(
      `Redis does not let us in: ${said}`,
      'Correct user and password in REDIS_URL (redis://user:password@host:port).',
    );
  if (said.startsWith('NOPERM'))
    return fail(
      `Redis forbids its user too much: ${said}`,
      'Allow the user of REDIS_URL what Postroom needs: +@all on the keys and channels of its prefix.',
    );
  return fail(
    `Redis does not answer: ${said}`,
    'Check REDIS_URL, and that this host may reach it. Until then the API answers 503 and nothing is sent.',
  );
}

/** The oldest with all that the scripts and BullMQ use. */
const OLDEST = [6, 2] as const;

function server({ version, isReplica, isLoading, refusal }: RedisFacts): Verdict {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    return fail(`Redis ${version} is too old.`, `Use Redis ${OLDEST.join('.')} or newer, or Valkey.`);
  if (isReplica)
    return fail(`Redis ${version} is a read-only replica.`, 'Point REDIS_URL at the primary, or at Sentinel.');
  if (isLoading) return fail(`Redis ${version} is loading its data.`, 'Wait until it has; it then goes on by itself.');
  if (refusal !== undefined) return fail(`Redis ${version} takes no writes: ${refusal}`, whatItNeeds(refusal));
  return ok(`Version ${version} answers and takes writes.`);
}

/** By Redis's own first word (redis.io/docs, "Redis serialization protocol", read 2026-11). */
function whatItNeeds(refusal: string): string {
  const until = 'Until then the API answers 503 and nothing is sent; nothing that was accepted is lost.';
  if (refusal.startsWith('OOM')) return `Raise maxmemory, or lower POSTROOM_RETENTION_DAYS. ${until}`;
  if (refusal.startsWith('MISCONF'))
    return `Look at the log and the disk of the Redis server: it may be full, or not writable. ${until}`;
  if (refusal.startsWith('NOREPLICAS')) return `Bring its replicas back, or lower min-replicas-to-write. ${until}`;
  return `Look at the log of the Redis server. ${until}`;
}

function eviction({ evictionPolicy }: RedisFacts): Verdict {
  if (evictionPolicy === 'noeviction') return ok('maxmemory-policy is noeviction.');
  return fail(
    `maxmemory-policy is ${evictionPolicy}: with full memory Redis would throw accepted messages away.`,
    'Set maxmemory-policy to noeviction.',
  );
}

function durability({ isAppendOnly, canWriteAppendOnly, appendFsync }: RedisFacts): Verdict {
  if (!canWriteAppendOnly)
    return fail('Redis cannot write its append-only file.', 'Look at the disk of the Redis server; it may be full.');
  if (!isAppendOnly)
    return warn('appendonly is off: accepted messages are lost when Redis stops.', 'Set appendonly to yes.');
  if (appendFsync === 'always') return ok('appendonly yes, appendfsync always: a 202 is on disk.');
  if (appendFsync === undefined)
    return warn(
      'appendonly is on; appendfsync cannot be read, because CONFIG is not allowed.',
      'See the settings of your Redis service; a 202 is on disk only with appendfsync always.',
    );
  return warn(
    `appendfsync is ${appendFsync}: about a second of accepted messages may be lost at a power failure.`,
    'Set appendfsync to always.',
  );
}

const FULL = 0.8;
const mebibytes = (bytes: number) => `${Math.round(bytes / 1024 ** 2)} MiB`;

function memory({ usedBytes, maxBytes }: RedisFacts): Verdict {
  if (maxBytes === 0) return ok(`${mebibytes(usedBytes)} used; maxmemory sets no limit.`);
  const used = `${mebibytes(usedBytes)} of ${mebibytes(maxBytes)} used`;
  if (usedBytes < maxBytes * FULL) return ok(`${used}.`);
  return warn(
    `${used}: when it is full, nothing more is accepted.`,
    'Raise maxmemory, or lower POSTROOM_RETENTION_DAYS.',
  );
}
