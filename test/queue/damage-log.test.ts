import { expect, it } from 'vitest';
import { tellDamage } from '../../src/queue/damage-log.ts';
import { leasedStore } from '../support/store.ts';

const store = leasedStore();
const WRONG_TYPE = new Error('WRONGTYPE Operation against a key holding the wrong kind of value');

function listening(monotonic: () => number) {
  const told: { sentence: string; [field: string]: unknown }[] = [];
  const note = (fields: object, sentence: string) => void told.push({ sentence, ...fields });
  return { told, log: tellDamage({ info: note, warn: note, error: note }, store.mailboxes.damagedKeys, monotonic) };
}

it('a key that somebody has overwritten is named, with what to do, once a minute', async () => {
  const { redis, keys } = store;
  let now = 0;
  const { told, log } = listening(() => now);
  const named = () => told.filter(({ sentence }) => sentence === 'Keys in Redis are damaged');
  await redis.set(keys.places('main'), 'not a set');
  for (let time = 0; time < 5; time++) log.warn({ mailbox: 'main', error: WRONG_TYPE }, 'Queue had trouble');
  await expect.poll(named).toMatchObject([
    {
      mailbox: 'main',
      damaged: [{ key: keys.places('main'), holds: 'string', should: 'zset' }],
      remedy: expect.stringContaining('DEL'),
    },
  ]);
  await redis.set(keys.busy, 'not a set');
  now = 60_000;
  log.warn({ error: WRONG_TYPE }, 'Could not look for work');
  log.warn({ mailbox: 'main', error: WRONG_TYPE }, 'Queue had trouble');
  await expect.poll(() => named().length).toBe(3);
  await redis.del(keys.busy, keys.places('main'));
});

it('a mailbox as it should be has none', async () => {
  await store.mailboxes.describe('main', ['mailbox:main']);
  expect(await store.mailboxes.damagedKeys('main')).toEqual([]);
});
