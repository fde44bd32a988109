import { expect, it } from 'vitest';
import type { MessageStore, NewMessage } from '../../src/gateway/ports.ts';
import { sharedBackends } from '../../src/queue/backend.ts';
import { holdTeller } from '../../src/queue/hold-teller.ts';
import { jobQueues } from '../../src/queue/jobs.ts';
import { type LaneSettings, openLane } from '../../src/queue/lane.ts';
import { laneTools, SILENT_LOG } from '../support/lane.ts';
import { eventually } from '../support/postroom.ts';
import { acceptAndBegin, aMessage, beginning, LEASE, leasedStore } from '../support/store.ts';

const store = leasedStore();
const HOUR = 3_600_000;

const TAKEN = { code: 250, response: '250 2.0.0 OK', stage: 'after-dot' } as const;
const REFUSED = { code: 554, response: '554 5.6.0 Not this one', stage: 'after-dot' } as const;
const THROTTLED = {
  code: 432,
  response: '432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded',
  stage: 'after-dot',
} as const;
const BROKEN = {
  stage: 'mail' as const,
  accepted: [],
  refused: [],
  trouble: {
    via: 'client' as const,
    code: 'ECONNECTION',
    message: 'Connection closed unexpectedly',
    stage: 'mail' as const,
  },
};
const TAKEN_FOR_ONE = { ...TAKEN, butFor: 'bob@fabrikam.com' };
type Answer = typeof TAKEN | typeof TAKEN_FOR_ONE | typeof REFUSED | typeof THROTTLED;

/**
 * A lane whose server takes everything at once, and when it was given what.
 *
 * @param jumpsBy milliseconds by which the store's clock goes forward once the lane is open
 * @param answer what the server says to the final dot of each of its transactions, counted from 1
 * @param perWindow transactions that the pace lets it make in a window
 * @param breaksKept to whom a message breaks a connection that has carried another
 * @param losesContents Redis loses those that are asked for apart, once their messages have begun
 */
async function openLaneThatNotes(
  windowMilliseconds: number,
  jumped: (withinMilliseconds?: number) => boolean,
  jumpsBy = 0,
  answer: (number: number) => Answer | Promise<Answer> = () => TAKEN,
  perWindow = 9,
  breaksKept = '',
  losesContents = false,
  connections = 2,
) {
  const { redis, keys, mailboxes } = store;
  const messages: MessageStore = {
    ...store.messages,
    async content(id) {
      if (losesContents) await redis.del(keys.mime(id));
      return store.messages.content(id);
    },
    async begin(request) {
      await isToBegin();
      return store.messages.begin(request);
    },
  };
  let isToBegin = async () => {};
  const sentAt: number[] = [];
  const sentTo: string[] = [];
  const kept = new WeakSet<object>();
  const settings: LaneSettings<object> = {
    mailbox: 'main',
    pace: { perWindow, windowMilliseconds, recipientsPerDay: 1_000 },
    connections,
    dialer: {
      open: async () => ({ ok: true, connection: {}, reused: false }),
      quit: async () => undefined,
      isOpen: () => true,
    },
    async transact(connection, { envelope, beforeDot }) {
      const number = sentAt.push(performance.now());
      sentTo.push(...envelope.recipients);
      if (envelope.recipients.includes(breaksKept) && kept.has(connection)) return { ...BROKEN, reusable: false };
      kept.add(connection);
      await beforeDot([]);
      const reply: Answer = await answer(number);
      const ended = { stage: 'after-dot' as const, refused: [], reusable: true };
      if (reply.code === 250) {
        const isRefused = (to: string) => 'butFor' in reply && to === reply.butFor;
        const trouble = { via: 'smtp' as const, reply: { ...THROTTLED, stage: 'rcpt' as const } };
        const refused = envelope.recipients.filter(isRefused).map((address) => ({ address, trouble }));
        return { ...ended, refused, accepted: envelope.recipients.filter((to) => !isRefused(to)), reply };
      }
      return { ...ended, accepted: [], trouble: { via: 'smtp', reply } };
    },
    settingsDigest: '',
    holdKeys: { mailbox: 'mailbox:main', network: 'host:example:587' },
  };
  const tools = laneTools({ ...store, messages }, { now: async () => (await mailboxes.now()) - jumpsBy, jumped });
  const { jobs } = tools;
  const openedAt = performance.now();
  const lane = await openLane(settings, LEASE, tools, holdTeller(SILENT_LOG));
  const submit = async (...to: string[]) => submitThis(aMessage(to.length > 0 ? { to } : {}));
  const submitThis = async (message: NewMessage) => {
    await messages.accept(message);
    await jobs.add('main', { messageId: message.id, number: 1, priority: 'normal' });
    lane.wake();
    return message.id;
  };
  const close = async () => {
    await lane.close(5_000);
    await jobs.close();
  };
  const beforeBegin = (wait: () => Promise<void>) => {
    isToBegin = wait;
  };
  return { sentAt, sentTo, openedAt, submit, submitThis, beforeBegin, refreshHold: lane.refreshHold, close, jobs };
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

/** An answer that the server gives when it is told to `end`. */
function answerToCome() {
  let end = (_: Answer) => {};
  const answered = new Promise<Answer>((resolve) => {
    end = resolve;
  });
  return { answered, end: (answer: Answer) => end(answer) };
}

/**
 * A lane of one usual connection that has had one message answered at once, and now waits for what `end` is given. Its
 * pace is one at which connections are promised.
 */
async function openLaneInADot() {
  const { answered, end } = answerToCome();
  const lane = await openLaneThatNotes(
    60_000,
    () => false,
    0,
    (number) => (number === 2 ? answered : TAKEN),
    200,
  );
  const first = await lane.submit();
  await eventually(() => isSent(first));
  const second = await lane.submit();
  await eventually(async () => (await store.messages.find(second))?.dotMayHaveLeft === true);
  const third = await lane.submit('third@fabrikam.com');
  await eventually(async () => (await store.messages.find(third))?.status === 'sending');
  return { ...lane, second, third, end };
}

it('a message begins while the one before it waits for the answer to its dot, and goes when that is a good one', async () => {
  const { third, end, sentAt, close } = await openLaneInADot();
  expect(sentAt).toHaveLength(2);
  end(TAKEN);
  await eventually(() => isSent(third));
  expect(sentAt).toHaveLength(3);
  await close();
});

it('a message that had begun goes back unspent when the one before it is refused, and is sent once all the same', async () => {
  const { second, third, end, sentAt, close } = await openLaneInADot();
  end(REFUSED);
  await eventually(() => isSent(third));
  expect(await store.messages.find(second)).toMatchObject({ status: 'failed' });
  expect(await store.messages.find(third)).toMatchObject({ attempts: 1 });
  expect((await store.messages.timeline(third))?.events.map(({ status }) => status)).toEqual([
    'queued',
    'sending',
    'queued',
    'sending',
    'sent',
  ]);
  expect(sentAt).toHaveLength(3);
  // What did not go counts for nothing: three transactions, and the recipients of two that were taken.
  expect(await store.mailboxes.usage('main')).toMatchObject({ inWindow: 3, recipientsToday: 2 });
  await close();
});

it('a job that Redis does not take is added as soon as it does: nothing waits for the sweeper', async () => {
  const { third, end, jobs, close } = await openLaneInADot();
  const { add } = jobs;
  let refusals = 2;
  jobs.add = async (...job) => {
    refusals -= 1;
    if (refusals >= 0) throw new Error('MISCONF Redis is configured to save RDB snapshots');
    return add(...job);
  };
  end(REFUSED);
  await eventually(() => isSent(third));
  expect(refusals).toBeLessThan(0);
  await close();
});

it('a message that had begun waits, unspent, with all others when the one before it meets a hold', async () => {
  const { second, third, end, sentTo, close } = await openLaneInADot();
  end(THROTTLED);
  for (const id of [second, third]) await eventually(async () => (await store.messages.find(id))?.status === 'queued');
  expect((await store.mailboxes.holds(['mailbox:main'])).size).toBe(1);
  expect(await store.messages.find(third)).toMatchObject({ attempts: 0 });
  expect(sentTo).toHaveLength(2);
  expect(await store.mailboxes.usage('main')).toMatchObject({ inWindow: 2, recipientsToday: 1 });
  await close();
});

it('a message that had begun does not wait for a dot that is not answered, but goes by another connection', async () => {
  const { second, third, end, close } = await openLaneInADot();
  await eventually(() => isSent(third), undefined, 15_000);
  expect(await store.messages.find(second)).toMatchObject({ status: 'sending' });
  end(TAKEN);
  await eventually(() => isSent(second));
  await close();
});

it('a message that had begun and goes back is the next again, and has taken no place of the window', async () => {
  const { end, sentTo, submit, close } = await openLaneInADot();
  const later: string[] = [];
  for (let number = 4; number <= 14; number += 1) later.push(await submit(`${number}@fabrikam.com`));
  end(REFUSED);
  await eventually(async () => (await Promise.all(later.map(isSent))).every(Boolean));
  // Four were in the worker's hands already, two for a connection, and it may have taken one more meanwhile.
  expect(sentTo.slice(2).indexOf('third@fabrikam.com')).toBeLessThanOrEqual(5);
  expect(sentTo).toHaveLength(14);
  expect(await store.mailboxes.usage('main')).toMatchObject({ inWindow: 14 });
  await close();
});

/** Messages that wait before the lane is opened, in this order. @param to of one message each, with commas between them */
async function waitingFor(...to: string[]): Promise<string[]> {
  const { redis, keys, messages } = store;
  const jobs = jobQueues(redis, keys.bull, sharedBackends(redis));
  const ids: string[] = [];
  for (const address of to) {
    const message = aMessage({ to: address.split(',') });
    await messages.accept(message);
    await jobs.add('main', { messageId: message.id, number: 1, priority: 'normal' });
    ids.push(message.id);
  }
  await jobs.close();
  return ids;
}

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `${index + 1}@fabrikam.com`);
const areSent = async (ids: string[]) => (await Promise.all(ids.map(isSent))).every(Boolean);

it('what a dead owner had begun, or had in its hands, is the next again', async () => {
  const { redis, keys } = store;
  const waiting = await waitingFor(...numbered(6));
  const inHand = `${waiting[5]}-1`;
  await redis.zrem(`${keys.bull}:main:prioritized`, inHand);
  await redis.lpush(`${keys.bull}:main:active`, inHand);
  const begun = await acceptAndBegin(store, {}, { to: ['begun@fabrikam.com'] });
  const { sentTo, close } = await openLaneThatNotes(60_000, () => false);
  await eventually(() => areSent([begun.id, ...waiting]));
  expect(sentTo.slice(0, 2).sort()).toEqual(['6@fabrikam.com', 'begun@fabrikam.com']);
  await close();
});

/** All that is in Redis now, to be put back as it is. */
async function snapshot({ redis }: typeof store): Promise<() => Promise<void>> {
  const keys = await redis.keys('*');
  const kept = await Promise.all(keys.map(async (key) => ({ key, dump: await redis.dumpBuffer(key) })));
  return async () => {
    await redis.flushall();
    for (const { key, dump } of kept) if (dump) await redis.restore(key, 0, dump);
  };
}

it('a message of which Redis forgot, in a fail-over, that it was sent is not sent again by who has sent it', async () => {
  const { redis, keys } = store;
  const ids = await waitingFor(...numbered(2));
  const forget = await snapshot(store);
  const lane = await openLaneThatNotes(60_000, () => false);
  await eventually(() => areSent(ids));
  await forget();
  expect(await areSent(ids)).toBe(false);
  // The one waited in the queue, the other for the window.
  await redis.zrem(`${keys.bull}:main:prioritized`, `${ids[1]}-1`);
  await redis.lpush(`${keys.bull}:main:active`, `${ids[1]}-1`);
  redis.emit('ready');
  await eventually(() => areSent(ids));
  const later = await lane.submit();
  await eventually(() => isSent(later));
  expect(lane.sentTo).toHaveLength(3);
  await lane.close();
});

it('whoever has a message of which Redis forgot so is not sent it again, though the attempt held the mailbox and did not count', async () => {
  const [id = ''] = await waitingFor('ada@fabrikam.com,bob@fabrikam.com');
  const forget = await snapshot(store);
  const lane = await openLaneThatNotes(
    60_000,
    () => false,
    0,
    (number) => (number === 1 ? TAKEN_FOR_ONE : TAKEN),
  );
  await eventually(async () => {
    const { status, recipients = [] } = (await store.messages.find(id)) ?? {};
    return status === 'queued' && recipients[0]?.status === 'sent';
  });
  await forget();
  await lane.refreshHold();
  await eventually(() => isSent(id));
  expect(lane.sentTo).toEqual(['ada@fabrikam.com', 'bob@fabrikam.com', 'bob@fabrikam.com']);
  await lane.close();
});

it('what is remembered of an attempt before is not written for one that was put back after somebody had it sent again', async () => {
  const lane = await openLaneThatNotes(
    60_000,
    () => false,
    0,
    (number) => (number === 1 ? REFUSED : TAKEN),
  );
  const id = await lane.submit();
  const found = () => store.messages.find(id);
  await eventually(async () => (await found())?.status === 'failed');
  const { ticket = 0, recipients: before = [] } = (await found()) ?? {};
  const recipients = before.map(({ address }) => ({ address, status: 'queued' as const }));
  const again = { id, mailbox: 'main', to: 'queued' as const, ticket, recipients, clearFailure: true };
  const moved = await store.messages.move(again);
  await store.messages.begin(beginning(id, { ticket: moved.moved ? moved.ticket : 0, token: 'put-back' }));
  store.redis.emit('ready');
  await eventually(async () => (await found())?.status !== 'sending');
  await eventually(() => isSent(id));
  await lane.close();
});

it('no more begin than the window has room for, though Redis forgot in a fail-over what has begun in it', async () => {
  const { redis, keys } = store;
  const lane = await openLaneThatNotes(
    2_000,
    () => false,
    0,
    () => TAKEN,
    20,
    '',
    false,
    3,
  );
  // So many that it has two connections.
  const before = await Promise.all(numbered(19).map((to) => lane.submit(to)));
  await eventually(() => areSent(before));
  await redis.del(keys.permits('main'));
  let asking = 0;
  let tellBoth = () => {};
  const both = new Promise<void>((resolve) => {
    tellBoth = resolve;
    setTimeout(resolve, 500);
  });
  lane.beforeBegin(async () => {
    asking += 1;
    if (asking === 2) tellBoth();
    await both;
  });
  const after = await Promise.all([lane.submit('20@fabrikam.com'), lane.submit('21@fabrikam.com')]);
  await eventually(() => areSent(after));
  const first = lane.sentAt[0] ?? 0;
  expect((lane.sentAt[20] ?? 0) - first).toBeGreaterThan(2_000);
  await lane.close();
});

it('what Redis takes for being sent after it was away, though nobody is at it, is sent again, or unconfirmed', async () => {
  const lane = await openLaneThatNotes(60_000, () => false);
  const [before, after] = [await acceptAndBegin(store), await acceptAndBegin(store, { token: 'marked' })];
  await store.messages.markDot(after.id, after.token);
  store.redis.emit('ready');
  await eventually(() => isSent(before.id));
  expect(await store.messages.find(after.id)).toMatchObject({ status: 'unconfirmed' });
  await lane.close();
});

it('a message that breaks every kept connection is the next again once, and then lets others go first', async () => {
  const poison = 'poison@fabrikam.com';
  const waiting = await waitingFor('0@fabrikam.com', poison, ...numbered(12));
  const { sentTo, close } = await openLaneThatNotes(
    60_000,
    () => false,
    0,
    () => TAKEN,
    100,
    poison,
  );
  await eventually(() => areSent(waiting));
  const tries = sentTo.flatMap((each, index) => (each === poison ? [index] : []));
  expect(tries[1]).toBeLessThan(6);
  expect(tries[2]).toBeGreaterThan(10);
  await close();
});

it('a large content that takes long to be read is read once, and sent', async () => {
  const { messages } = store;
  const read = messages.content;
  let asked = 0;
  messages.content = async (id) => {
    asked += 1;
    await new Promise((resolve) => setTimeout(resolve, 1_700));
    return read(id);
  };
  const { close } = await openLaneThatNotes(60_000, () => false);
  const message = aMessage();
  const mime = Buffer.alloc(1_500_000, 'a');
  await messages.accept({ ...message, mime, fixed: { ...message.fixed, bytes: mime.length } });
  const jobs = jobQueues(store.redis, store.keys.bull, sharedBackends(store.redis));
  await jobs.add('main', { messageId: message.id, number: 1, priority: 'normal' });
  await eventually(() => isSent(message.id));
  messages.content = read;
  expect(asked).toBe(1);
  await close();
  await jobs.close();
});

it('a message whose content is lost once it has begun fails for that, and keeps no connection from others', async () => {
  const lane = await openLaneThatNotes(
    60_000,
    () => false,
    0,
    () => TAKEN,
    9,
    '',
    true,
  );
  const mime = Buffer.alloc(2_000_000, 'x');
  const large = () => aMessage({ mime, fixed: { ...aMessage().fixed, bytes: mime.length } });
  const lost = [await lane.submitThis(large()), await lane.submitThis(large())];
  const other = await lane.submit();
  await eventually(() => isSent(other));
  for (const id of lost)
    await eventually(async () => (await store.messages.find(id))?.failure?.code === 'content_gone');
  expect(await store.mailboxes.usage('main')).toMatchObject({ inWindow: 1, recipientsToday: 1 });
  await lane.close();
});

it.each([
  ['is no JSON', 'fixed', '{"from":'],
  ['is gone', 'fixed', undefined],
  ['tells of no recipients', 'recipients', '['],
  ['does not tell when it expires', 'expiresAt', 'soon'],
  ['does not tell to how many it goes', 'pending', undefined],
])(
  'a message whose record is damaged, since it %s, keeps no connection from others, and is not sent',
  async (_, field, value) => {
    const lane = await openLaneThatNotes(60_000, () => false);
    const { redis, keys, messages } = store;
    const damaged: string[] = [];
    for (let number = 0; number < 3; number += 1) {
      const message = aMessage({ to: ['damaged@fabrikam.com'] });
      await messages.accept(message);
      if (value === undefined) await redis.hdel(keys.message(message.id), field);
      else await redis.hset(keys.message(message.id), field, value);
      await lane.jobs.add('main', { messageId: message.id, number: 1, priority: 'normal' });
      damaged.push(message.id);
    }
    const other = await lane.submit();
    await eventually(() => isSent(other));
    for (const id of damaged) await eventually(async () => (await redis.hget(keys.message(id), 'status')) === 'failed');
    expect(lane.sentTo).toEqual(['ada@fabrikam.com']);
    expect((await store.mailboxes.usage('main')).inWindow).toBe(1);
    await lane.close();
  },
);

it('a process that has lost a lane while it was opening it takes nothing out of the hands of the next owner', async () => {
  const { redis, keys } = store;
  await redis.set(keys.lease('main'), 'the next owner', 'PX', 60_000);
  const { id, token } = await acceptAndBegin(store, { lease: 'the next owner' });
  await store.messages.markDot(id, token);
  await expect(openLaneThatNotes(60_000, () => false)).rejects.toThrow('passed to another process');
  expect(await store.messages.find(id)).toMatchObject({ status: 'sending', attemptToken: token });
});

it('a message whose record has lost the attempt that a dead owner had begun is sent again, and both take a place of the window', async () => {
  const { id } = await acceptAndBegin(store);
  await store.redis.hdel(store.keys.message(id), 'attemptToken');
  const lane = await openLaneThatNotes(60_000, () => false);
  await eventually(() => isSent(id));
  expect((await store.mailboxes.usage('main')).inWindow).toBe(2);
  await lane.close();
});

it('a lane is opened although a message that a dead owner was sending is damaged', async () => {
  const { redis, keys } = store;
  const { id } = await acceptAndBegin(store);
  await redis.hset(keys.message(id), 'fixed', '{"from":');
  const lane = await openLaneThatNotes(60_000, () => false);
  const other = await lane.submit();
  await eventually(() => isSent(other));
  expect(await redis.hget(keys.message(id), 'status')).toBe('failed');
  await lane.close();
});

it('what waits for a connection is not sent by one that has just shown that the mailbox cannot send', async () => {
  const { answered, end } = answerToCome();
  const lane = await openLaneThatNotes(
    60_000,
    () => false,
    0,
    (number) => (number === 1 ? answered : THROTTLED),
  );
  const first = await lane.submit();
  await eventually(async () => (await store.messages.find(first))?.dotMayHaveLeft === true);
  const second = await lane.submit('second@fabrikam.com');
  await eventually(async () => (await lane.jobs.active('main')).some(({ messageId }) => messageId === second));
  end(THROTTLED);
  await eventually(async () => (await store.mailboxes.holds(['mailbox:main'])).size === 1);
  await eventually(async () => (await store.messages.find(first))?.status === 'queued');
  await lane.close();
  expect(lane.sentTo).toEqual(['ada@fabrikam.com']);
});

it('a job that is damaged keeps no other from being done, and its message gets another', async () => {
  const { redis, keys, messages } = store;
  const jobs = laneTools(store).jobs;
  const ids: string[] = [];
  for (const number of [1, 2]) {
    const message = aMessage({ to: [`${number}@fabrikam.com`] });
    await messages.accept(message);
    await jobs.add('main', { messageId: message.id, number: 1, priority: 'normal' });
    ids.push(message.id);
  }
  await redis.hset(`${keys.bull}:main:${ids[0]}-1`, 'data', '{"m":');
  const lane = await openLaneThatNotes(60_000, () => false);
  const other = await lane.submit();
  await eventually(() => isSent(ids[1] as string));
  await eventually(() => isSent(other));
  await lane.close();
  const next = await openLaneThatNotes(60_000, () => false);
  await eventually(() => isSent(ids[0] as string));
  await next.close();
  await jobs.close();
});
