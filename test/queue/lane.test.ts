import { expect, it } from 'vitest';
import { sharedBackends } from '../../src/queue/backend.ts';
import { holdTeller } from '../../src/queue/hold-teller.ts';
import { jobQueues } from '../../src/queue/jobs.ts';
import { type LaneSettings, openLane } from '../../src/queue/lane.ts';
import { admissionStore } from '../../src/store/admission.ts';
import { eventually } from '../support/postroom.ts';
import { aMessage, LEASE, leasedStore } from '../support/store.ts';

const store = leasedStore();
const HOUR = 3_600_000;
const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * A lane whose server takes everything at once, and when it was given what.
 *
 * @param jumpsBy milliseconds by which the store's clock goes forward once the lane is open
 */
async function openLaneThatNotes(
  windowMilliseconds: number,
  jumped: (withinMilliseconds?: number) => boolean,
  jumpsBy = 0,
) {
  const { redis, keys, messages, mailboxes } = store;
  const backends = sharedBackends(redis);
  const jobs = jobQueues(redis, keys.bull, backends);
  const sentAt: number[] = [];
  const settings: LaneSettings<object> = {
    mailbox: 'main',
    pace: { perWindow: 3, windowMilliseconds, recipientsPerDay: 1_000 },
    connections: 2,
    dialer: {
      open: async () => ({ ok: true, connection: {}, reused: false }),
      quit: async () => undefined,
      isOpen: () => true,
    },
    async transact(_connection, { envelope }) {
      sentAt.push(performance.now());
      const reply = { code: 250, response: '250 2.0.0 OK', stage: 'after-dot' } as never;
      return { stage: 'after-dot', accepted: envelope.recipients, refused: [], reply, reusable: true };
    },
    loginDigests: { mailbox: '', tenant: '' },
    holdKeys: { mailbox: 'mailbox:main', network: 'host:example:587' },
  };
  const tools = {
    redis,
    prefix: keys.bull,
    backends,
    jobs,
    messages,
    mailboxes,
    admission: admissionStore(redis, keys),
    chance: { now: () => new Date(), random: Math.random, token: () => `${Math.random()}` },
    clock: { now: async () => (await mailboxes.now()) - jumpsBy, jumped },
    log: LOG,
  };
  const openedAt = performance.now();
  const lane = await openLane(settings, LEASE, tools, holdTeller(LOG));
  const submit = async () => {
    const message = aMessage();
    await messages.accept(message);
    await jobs.add('main', { messageId: message.id, number: 1, priority: 'normal' });
    lane.wake();
    return message.id;
  };
  const close = async () => {
    await lane.close(5_000);
    await jobs.close();
  };
  return { sentAt, openedAt, submit, close };
}

const isSent = async (id: string) => (await store.messages.find(id))?.status === 'sent';

it('a lane that is opened within a window of a jump of the clock waits a window: the last owner’s messages are forgotten', async () => {
  const { sentAt, openedAt, submit, close } = await openLaneThatNotes(1_500, (within = 0) => within >= 1_500);
  const id = await submit();
  await eventually(() => isSent(id));
  expect((sentAt[0] as number) - openedAt).toBeGreaterThanOrEqual(1_500);
  await close();
});

it('a lane waits a window where the clock jumps while it runs: what the last owner sent just before is forgotten', async () => {
  const { sentAt, openedAt, submit, close } = await openLaneThatNotes(500, () => false, HOUR);
  const id = await submit();
  await eventually(() => isSent(id));
  expect((sentAt[0] as number) - openedAt).toBeGreaterThanOrEqual(500);
  await close();
});

it('a lane that is opened while the clock is only distrusted sends at once', async () => {
  const { submit, close } = await openLaneThatNotes(60_000, (within) => within === undefined);
  const id = await submit();
  await eventually(() => isSent(id));
  await close();
});
