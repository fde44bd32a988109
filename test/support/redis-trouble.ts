import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { eventually } from './postroom.ts';
import type { TestRedis } from './redis.ts';

/** Ends the server at once; its keeper starts it again on the same files. */
export async function killRedis(redis: TestRedis): Promise<void> {
  const { pid } = redis;
  process.kill(pid, 'SIGKILL');
  await eventually(() => redis.pid !== pid);
}

/** Stops it from answering, without closing anything, until `resume`. */
export function freezeRedis(redis: TestRedis): { resume(): void } {
  const { pid } = redis;
  process.kill(pid, 'SIGSTOP');
  return { resume: () => void process.kill(pid, 'SIGCONT') };
}

/** How a Redis that still answers can refuse to write. Each gives back what makes it write again. */
export const REFUSALS = {
  async OOM(admin: Redis) {
    await admin.config('SET', 'maxmemory', '1');
    return () => admin.config('SET', 'maxmemory', '0');
  },
  async READONLY(admin: Redis) {
    await admin.replicaof('127.0.0.1', 1);
    return () => admin.replicaof('NO', 'ONE');
  },
  async NOREPLICAS(admin: Redis) {
    await admin.config('SET', 'min-replicas-to-write', '1');
    return () => admin.config('SET', 'min-replicas-to-write', '0');
  },
  async MISCONF(admin: Redis) {
    const [, folder] = (await admin.config('GET', 'dir')) as string[];
    const inTheWay = join(folder ?? '', 'dump.rdb');
    mkdirSync(join(inTheWay, 'full'), { recursive: true });
    await admin.config('SET', 'save', '3600 1');
    await admin.bgsave('SCHEDULE');
    await eventually(async () => (await admin.info('persistence')).includes('rdb_last_bgsave_status:err'));
    return async () => {
      rmSync(inTheWay, { recursive: true });
      await admin.config('SET', 'save', '');
    };
  },
} satisfies Record<string, (admin: Redis) => Promise<() => Promise<unknown>>>;

/** Runs `during` while the Redis refuses to write, and makes it write again. */
export async function whileRefusing<T>(
  kind: keyof typeof REFUSALS,
  redis: TestRedis,
  during: () => Promise<T>,
): Promise<T> {
  const admin = new Redis(redis.url);
  try {
    const heal = await REFUSALS[kind](admin);
    try {
      return await during();
    } finally {
      await heal();
    }
  } finally {
    admin.disconnect();
  }
}
