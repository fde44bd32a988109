import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ReplyError } from 'ioredis';
import { expect, it } from 'vitest';
import { lanePlaces } from '../../src/queue/places.ts';
import { hasEnded, isDead, processName } from '../../src/queue/same-host.ts';
import type { LaneLog } from '../../src/queue/tools.ts';
import { admissionStore } from '../../src/store/admission.ts';
import { LEASE, leasedStore } from '../support/store.ts';

const store = leasedStore();
const TOKENS = { now: () => new Date(), random: Math.random, token: () => `${Math.random()}` };
const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };

function placesFor(connections = 2, admission = admissionStore(store.redis, store.keys), log: LaneLog = LOG) {
  return lanePlaces({ mailbox: 'main', connections }, LEASE, { admission, chance: TOKENS, log });
}

const leaveBehind = (pid: number) => store.redis.zadd(store.keys.places('main'), 0, `owner-0/${processName(pid)}/1`);

it.runIf(process.platform === 'linux')(
  'a process that is dead has no connections, one that sleeps may have',
  async () => {
    const child = spawn('sleep', ['60']);
    child.kill('SIGSTOP');
    await leaveBehind(child.pid as number);
    const places = placesFor();
    const first = await places.take([]);
    expect(first).toBeDefined();
    expect(await places.take([first as string])).toBeUndefined();
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await places.take([first as string])).toBeDefined();
  },
);

it('of a process elsewhere nothing is known', () => {
  expect(isDead('another-boot.1.4194304')).toBe(false);
  expect(isDead('unknown.4194304')).toBe(false);
  expect(isDead(processName())).toBe(false);
});

const statOf = (state: string, threads: number) =>
  `4711 (a (node) Z) ${state} 1 4139 4139 0 -1 4227084 3046 6576 8 2 2 1 3 0 20 0 ${threads} 0 3903687 0 0`;

it.each([
  ['has ended once none of its threads is left', 'Z', 1, true],
  ['has its connections open while threads besides the first are still ending', 'Z', 11, false],
  ['that runs has not ended', 'R', 1, false],
  ['that was stopped has not ended', 'T', 11, false],
])('a process %s', (_, state, threads, ended) => {
  expect(hasEnded(statOf(state, threads))).toBe(ended);
});

it('while Redis refuses, there is no place', async () => {
  await store.redis.config('SET', 'min-replicas-to-write', '1');
  expect(await placesFor().take([])).toBeUndefined();
  await store.redis.config('SET', 'min-replicas-to-write', '0');
  expect(await placesFor().take([])).toBeDefined();
});

const taken = () => store.redis.zrange(store.keys.places('main'), '0', '-1');
const takenOver = async () => {
  await store.mailboxes.releaseLease('main', LEASE);
  await store.mailboxes.takeLease('main', 'owner-2', 60_000);
};

it('a place that cannot be left while Redis refuses is left once it does not', async () => {
  const places = placesFor();
  const place = (await places.take([])) as string;
  await store.redis.config('SET', 'min-replicas-to-write', '1');
  places.leave(place);
  await expect(store.redis.zrem('any', 'thing')).rejects.toThrow('NOREPLICAS');
  await store.redis.config('SET', 'min-replicas-to-write', '0');
  await takenOver();
  await expect.poll(taken, { timeout: 5_000 }).toEqual([]);
});

it('a place that was taken, though its taking failed, is left', async () => {
  const admission = admissionStore(store.redis, store.keys);
  const failing = {
    ...admission,
    async takePlace(wanted: Parameters<typeof admission.takePlace>[0]): Promise<boolean> {
      await admission.takePlace(wanted);
      throw new Error('Connection is closed.');
    },
  };
  const places = lanePlaces({ mailbox: 'main', connections: 2 }, LEASE, {
    admission: failing,
    chance: TOKENS,
    log: LOG,
  });
  expect(await places.take([])).toBeUndefined();
  await expect.poll(taken).toEqual([]);
});

it('a place that was taken in an answer that came too late is left, though Redis refused when it was asked again', async () => {
  const admission = admissionStore(store.redis, store.keys);
  let asked = 0;
  const lateThenRefusing = {
    ...admission,
    async takePlace(wanted: Parameters<typeof admission.takePlace>[0]): Promise<boolean> {
      asked += 1;
      if (asked > 1) throw new ReplyError('READONLY');
      const answer = await admission.takePlace(wanted);
      await new Promise((resolve) => setTimeout(resolve, 1_600));
      return answer;
    },
  };
  expect(await placesFor(2, lateThenRefusing).take([])).toBeUndefined();
  await expect.poll(taken).toEqual([]);
});

it('a place that was taken by a step whose answer was lost is left, where the lane has passed on meanwhile', async () => {
  const admission = admissionStore(store.redis, store.keys);
  const wanted = { mailbox: 'main', place: `${LEASE}/1`, limit: 2, lease: LEASE, open: [] };
  expect(await admission.takePlace(wanted)).toBe(true);
  await takenOver();
  expect(await admission.takePlace(wanted)).toBe(false);
  expect(await taken()).toEqual([]);
});

it('a place is not opened in after a sleep in which the lane passed on', async () => {
  const admission = admissionStore(store.redis, store.keys);
  let asked = 0;
  const asleep = {
    ...admission,
    async takePlace(wanted: Parameters<typeof admission.takePlace>[0]): Promise<boolean> {
      const answer = await admission.takePlace(wanted);
      asked += 1;
      if (asked === 1) {
        await takenOver();
        await new Promise((resolve) => setTimeout(resolve, 1_600));
      }
      return answer;
    },
  };
  const places = lanePlaces({ mailbox: 'main', connections: 2 }, LEASE, {
    admission: asleep,
    chance: TOKENS,
    log: LOG,
  });
  expect(await places.take([])).toBeUndefined();
  expect(await taken()).toEqual([]);
});

it('what could not be left while Redis refused is left in one step', async () => {
  const left: string[][] = [];
  let refuses = true;
  const refused = async () => Promise.reject(new Error('WRONGTYPE'));
  const admission = {
    ...admissionStore(store.redis, store.keys),
    takePlace: refused,
    async leavePlace(_mailbox: string, ...places: string[]) {
      left.push(places);
      if (refuses) await refused();
    },
  };
  const places = lanePlaces({ mailbox: 'main', connections: 2 }, LEASE, { admission, chance: TOKENS, log: LOG });
  for (let time = 0; time < 20; time++) expect(await places.take([])).toBeUndefined();
  refuses = false;
  await expect.poll(() => left.length, { timeout: 5_000 }).toBe(2);
  expect(left.map((each) => each.length)).toEqual([1, 20]);
});

it('while Redis refuses, no place is left that was not taken', async () => {
  const left: string[] = [];
  const admission = admissionStore(store.redis, store.keys);
  const counting = { ...admission, leavePlace: async (_: string, ...places: string[]) => left.push(...places) };
  const places = placesFor(2, counting);
  await store.redis.config('SET', 'min-replicas-to-write', '1');
  for (let tries = 0; tries < 3; tries += 1) expect(await places.take([])).toBeUndefined();
  await store.redis.config('SET', 'min-replicas-to-write', '0');
  expect(left).toEqual([]);
});
