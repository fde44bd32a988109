import { expect, it } from 'vitest';
import { sharedBackends } from '../../src/queue/backend.ts';
import { jobQueues } from '../../src/queue/jobs.ts';
import type { LaneSettings } from '../../src/queue/lane.ts';
import { driveLanes } from '../../src/queue/lanes.ts';
import { admissionStore } from '../../src/store/admission.ts';
import { eventually } from '../support/postroom.ts';
import { leasedStore } from '../support/store.ts';

const store = leasedStore();

const lane = (mailbox: string): LaneSettings<object> => ({
  mailbox,
  pace: { perWindow: 9, windowMilliseconds: 60_000, recipientsPerDay: 1_000 },
  connections: 1,
  dialer: {
    open: async () => ({ ok: true, connection: {}, reused: false }),
    quit: async () => undefined,
    isOpen: () => true,
  },
  transact: async () => {
    throw new Error('There is nothing to send');
  },
  settingsDigest: '',
  holdKeys: { mailbox: `mailbox:${mailbox}`, network: 'host:example:587' },
});

it('a lane that was closed because it was idle stays closed', async () => {
  const { redis, keys, messages, mailboxes } = store;
  const backends = sharedBackends(redis);
  const jobs = jobQueues(redis, keys.bull, backends);
  const told: string[] = [];
  const log = {
    info: (fields: object, sentence: string) =>
      void told.push(`${(fields as { mailbox: string }).mailbox}: ${sentence}`),
    warn: () => undefined,
    error: () => undefined,
  };
  const subscriber = redis.duplicate();
  const lanes = await driveLanes({
    owner: 'test',
    mailboxes: [lane('idle'), lane('other')],
    tools: {
      ...{ redis, prefix: keys.bull, backends, jobs, messages, mailboxes, log },
      admission: admissionStore(redis, keys),
      chance: { now: () => new Date(), random: Math.random, token: () => `${Math.random()}` },
      clock: { now: mailboxes.now, jumped: () => false },
    },
    subscriber,
    channel: keys.wake,
    idleMilliseconds: 100,
  });
  await mailboxes.wake('idle');
  await eventually(async () => told.includes('idle: Lane closed'));
  // Whatever was said of the first one before is heard, and done, before this.
  await mailboxes.wake('other');
  await eventually(async () => told.includes('other: Lane opened'));
  expect(told.filter((each) => each === 'idle: Lane opened')).toHaveLength(1);
  await lanes.close(1_000);
  await jobs.close();
  subscriber.disconnect();
});
