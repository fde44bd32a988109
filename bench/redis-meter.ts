/** What the messages of a run cost Redis: its own CPU, and which commands took it. */
import { Redis } from 'ioredis';

export interface RedisUse {
  /** Microseconds, both kinds of time of the main thread. */
  cpu: number;
  commands: Map<string, { calls: number; microseconds: number }>;
}

export async function redisMeter(url: string): Promise<{ read(): Promise<RedisUse>; close(): void }> {
  const redis = new Redis(url);
  const field = (info: string, name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1]);
  return {
    async read() {
      const cpu = await redis.info('cpu');
      const stats = await redis.info('commandstats');
      const commands = new Map(
        [...stats.matchAll(/^cmdstat_(\S+?):calls=(\d+),usec=(\d+)/gm)].map(([, name, calls, usec]) => [
          String(name),
          { calls: Number(calls), microseconds: Number(usec) },
        ]),
      );
      const seconds = field(cpu, 'used_cpu_sys_main_thread') + field(cpu, 'used_cpu_user_main_thread');
      return { cpu: seconds * 1e6, commands };
    },
    close: () => redis.disconnect(),
  };
}

/** The commands that cost most between two readings, as microseconds and calls a message. */
export function dearest(before: RedisUse, after: RedisUse, messages: number, count: number): string[] {
  const spent = [...after.commands].map(([name, { calls, microseconds }]) => {
    const earlier = before.commands.get(name) ?? { calls: 0, microseconds: 0 };
    return { name, calls: calls - earlier.calls, microseconds: microseconds - earlier.microseconds };
  });
  return spent
    .filter(({ calls }) => calls > messages / 100)
    .sort((a, b) => b.microseconds - a.microseconds)
    .slice(0, count)
    .map(
      ({ name, calls, microseconds }) =>
        `${name} ${(microseconds / messages).toFixed(1)} us, ${(calls / messages).toFixed(2)} calls`,
    );
}
