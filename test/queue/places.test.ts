import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { lanePlaces } from '../../src/queue/places.ts';
import { isDead, processName } from '../../src/queue/same-host.ts';
import { admissionStore } from '../../src/store/admission.ts';
import { LEASE, leasedStore } from '../support/store.ts';

const store = leasedStore();
const TOKENS = { now: () => new Date(), random: Math.random, token: () => `${Math.random()}` };
const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };

function placesFor(connections = 2) {
  const admission = admissionStore(store.redis, store.keys);
  return lanePlaces({ mailbox: 'main', connections }, LEASE, { admission, chance: TOKENS, log: LOG });
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

it('while Redis refuses, there is no place', async () => {
  await store.redis.config('SET', 'min-replicas-to-write', '1');
  expect(await placesFor().take([])).toBeUndefined();
  await store.redis.config('SET', 'min-replicas-to-write', '0');
  expect(await placesFor().take([])).toBeDefined();
});
