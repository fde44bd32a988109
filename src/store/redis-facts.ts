import type { Redis } from 'ioredis';
import { appendFsync, parseInfo, refusalOf } from './health.ts';

/** What the doctor tells of a Redis. */
export interface RedisFacts {
  version: string;
  isReplica: boolean;
  isLoading: boolean;
  /** Why it takes no writes, in its own words: it is full, cannot save, or has too few replicas. */
  refusal?: string;
  evictionPolicy: string;
  isAppendOnly: boolean;
  canWriteAppendOnly: boolean;
  /** Undefined where a managed service forbids CONFIG. */
  appendFsync?: string;
  usedBytes: number;
  /** 0: no limit. */
  maxBytes: number;
}

/**
 * @param probeKey is written
 * @throws what the client throws when Redis does not answer
 */
export async function redisFacts(redis: Redis, probeKey: string): Promise<RedisFacts> {
  const facts = parseInfo(await redis.info('server', 'memory', 'persistence', 'replication'));
  const fsync = await appendFsync(redis);
  const refusal = await refusalOf(redis, probeKey);
  return {
    version: facts.get('redis_version') ?? 'unknown',
    isReplica: facts.get('role') === 'slave',
    isLoading: facts.get('loading') === '1',
    ...(refusal !== undefined && { refusal }),
    evictionPolicy: facts.get('maxmemory_policy') ?? 'unknown',
    isAppendOnly: facts.get('aof_enabled') === '1',
    canWriteAppendOnly: facts.get('aof_last_write_status') !== 'err',
    ...(fsync !== undefined && { appendFsync: fsync }),
    usedBytes: Number(facts.get('used_memory') ?? 0),
    maxBytes: Number(facts.get('maxmemory') ?? 0),
  };
}
