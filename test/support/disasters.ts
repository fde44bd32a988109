import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import type { Fleet } from './fleet.ts';
import type { PostroomProcess } from './process.ts';
import type { TestRedis } from './redis.ts';
import type { RedisProxy } from './redis-proxy.ts';
import { killRedis } from './redis-trouble.ts';

export type Random = () => number;

/** Mulberry32: the same numbers for the same seed. */
export function randomFrom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
export const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export interface Victims {
  fleet: Fleet;
  redis: TestRedis;
  proxy: RedisProxy;
  sandbox: Sandbox;
}

const anyWorker = ({ fleet }: Victims, random: Random) => pick(random, fleet.workers);

async function replace({ fleet }: Victims, worker: PostroomProcess, signal: NodeJS.Signals): Promise<void> {
  fleet.workers.splice(fleet.workers.indexOf(worker), 1);
  await worker.end(signal);
  await fleet.addWorker();
}

const DISASTERS: Record<string, (victims: Victims, random: Random) => Promise<unknown>> = {
  killWorker: (victims, random) => replace(victims, anyWorker(victims, random), 'SIGKILL'),
  stopWorker: (victims, random) => replace(victims, anyWorker(victims, random), 'SIGTERM'),
  async pauseWorker(victims, random) {
    const worker = anyWorker(victims, random);
    worker.signal('SIGSTOP');
    await pause(random() < 0.5 ? 500 : 11_500);
    worker.signal('SIGCONT');
  },
  killRedis: ({ redis }) => killRedis(redis),
  async cutRedis({ proxy }, random) {
    proxy.cut();
    await pause(1_500 * random());
    proxy.restore();
  },
  async loseAnswers({ proxy }, random) {
    proxy.loseAnswers();
    await pause(500 * random());
    proxy.cut();
    proxy.restore();
  },
  async blackHole({ proxy }, random) {
    proxy.blackHole();
    await pause(1_500 * random());
    proxy.restore();
  },
  async dropSmtp({ sandbox }) {
    sandbox.behave({ dropConnections: true });
  },
};

/** One after the other, in an order of the seed's; killing a Redis too often in a row would be given up. */
export async function wreak(victims: Victims, random: Random, seconds: number): Promise<string[]> {
  const done: string[] = [];
  const until = performance.now() + seconds * 1_000;
  let redisKilledAt = Number.NEGATIVE_INFINITY;
  while (performance.now() < until) {
    const name = pick(random, Object.keys(DISASTERS));
    if (name === 'killRedis' && performance.now() - redisKilledAt < 11_000) continue;
    if (name === 'killRedis') redisKilledAt = performance.now();
    done.push(name);
    await DISASTERS[name]?.(victims, random);
    await pause(1_000 * random());
  }
  victims.proxy.restore();
  return done;
}
