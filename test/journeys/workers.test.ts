import { describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { manyMailboxes, startFleet } from '../support/fleet.ts';
import { eventually } from '../support/postroom.ts';
import type { PostroomProcess } from '../support/process.ts';
import { startTestRedis } from '../support/redis.ts';

const WINDOW = { messagesPerWindow: 20, windowSeconds: 1.5, connections: 3 };
const PACE = { messagesPerMinute: 20, windowSeconds: 1.5, connections: 3 };

/** More than anybody sends here. */
const UNLIMITED = { ...PACE, messagesPerMinute: 9_000 };

const copiesOf = (sandbox: Sandbox, messageId: string) =>
  sandbox.inbox.messages().filter((each) => each.messageId === messageId).length;

/** Submits ten at a time. */
async function submit(api: PostroomProcess, count: number, message: (index: number) => object): Promise<string[]> {
  const ids: string[] = [];
  for (let from = 0; from < count; from += 10) {
    const batch = Array.from({ length: Math.min(10, count - from) }, async (_, each) => {
      const { to = 'ada@fabrikam.com', ...more } = message(from + each) as { to?: string };
      return api.sendTo(to, more);
    });
    ids.push(...(await Promise.all(batch)));
  }
  return ids;
}

function ownerAmong(workers: PostroomProcess[]): PostroomProcess {
  const opened = (worker: PostroomProcess) => worker.output().split('"Lane opened"').length;
  const closed = (worker: PostroomProcess) => worker.output().split('"Lane closed"').length;
  const owner = workers.find((worker) => opened(worker) > closed(worker));
  if (!owner) throw new Error('No worker has the lane');
  return owner;
}

/** A recipient's local part, how its message ends, and how many copies the server then has. */
const FATES = [
  ['ada', 'sent', 1],
  ['rejected', 'failed', 0],
  ['grace', 'sent', 1],
  ['unknown', 'failed', 0],
  ['carl', 'sent', 1],
  ['kept-after-dot', 'unconfirmed', 1],
  ['dora', 'sent', 1],
  ['lost-after-dot', 'unconfirmed', 0],
  ['emil', 'sent', 1],
] as const;

describe('a server that answers at once, and is told of the next message with the end of the one before', () => {
  it('gets each message once, though those before it are refused and their connections break', {
    timeout: 120_000,
  }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({ limits: { messagesPerWindow: 100_000 } });
    await using fleet = await startFleet({ redisUrl: redis.url, sandbox, limits: UNLIMITED }, 1);
    const [worker] = fleet.workers;
    const fateOf = (index: number) => FATES[index % FATES.length] as (typeof FATES)[number];
    worker?.signal('SIGSTOP');
    const ids = await submit(fleet.api, 270, (index) => ({ to: `${fateOf(index)[0]}@fabrikam.com` }));
    worker?.signal('SIGCONT');
    for (const [index, id] of ids.entries()) {
      const [, fate, copies] = fateOf(index);
      const { internetMessageId, status, attempts } = await fleet.api.until(id, [fate], 60_000);
      expect([status, copiesOf(sandbox, internetMessageId)]).toEqual([fate, copies]);
      if (fate === 'sent') expect(attempts).toHaveLength(1);
    }
    const [stats] = Object.values(sandbox.stats().mailboxes);
    expect(stats?.connectionsPeak).toBeLessThanOrEqual(3);
  });

  it('gets no message twice whose worker was killed, and the worker after it knows of each what became of it', {
    timeout: 120_000,
  }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({ limits: { messagesPerWindow: 100_000 } });
    await using fleet = await startFleet({ redisUrl: redis.url, sandbox, limits: UNLIMITED }, 1);
    const ids = await submit(fleet.api, 300, () => ({}));
    await eventually(() => sandbox.inbox.messages().length > 20);
    await fleet.workers.pop()?.end('SIGKILL');
    await fleet.addWorker();
    let unknown = 0;
    for (const id of ids) {
      const { internetMessageId, status } = await fleet.api.until(id, ['sent', 'unconfirmed'], 60_000);
      const copies = copiesOf(sandbox, internetMessageId);
      if (status === 'sent') expect(copies).toBe(1);
      else unknown += 1;
      expect(copies).toBeLessThanOrEqual(1);
    }
    // What was only announced has had no dot: it is sent. One for each connection may have.
    expect(unknown).toBeLessThanOrEqual(3);
  });
});

describe('several workers on one saturated mailbox', () => {
  it('never exceed its window or its connections, though one is killed and one is asked to stop', {
    timeout: 120_000,
  }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({ limits: WINDOW });
    await using fleet = await startFleet({ redisUrl: redis.url, sandbox, limits: PACE }, 3);
    const ids = await submit(fleet.api, 220, () => ({}));
    await eventually(() => sandbox.inbox.messages().length > 60, undefined, 30_000);
    const stopped = ownerAmong(fleet.workers);
    expect(await stopped.end('SIGTERM')).toBe(0);
    fleet.workers.splice(fleet.workers.indexOf(stopped), 1);
    // Handed over at once.
    const then = sandbox.inbox.messages().length;
    await eventually(() => sandbox.inbox.messages().length > then, undefined, 8_000);
    await eventually(() => sandbox.inbox.messages().length > 120, undefined, 30_000);
    const killed = ownerAmong(fleet.workers);
    await killed.end('SIGKILL');
    fleet.workers.splice(fleet.workers.indexOf(killed), 1);
    for (const id of ids) {
      const { internetMessageId, status } = await fleet.api.until(id, ['sent', 'unconfirmed'], 60_000);
      expect(copiesOf(sandbox, internetMessageId)).toBeLessThanOrEqual(1);
      if (status === 'sent') expect(copiesOf(sandbox, internetMessageId)).toBe(1);
    }
    const [stats] = Object.values(sandbox.stats().mailboxes);
    expect(stats?.throttleReplies).toBe(0);
    expect(stats?.submissionsPeakInWindow).toBeLessThanOrEqual(20);
    expect(stats?.connectionsPeak).toBeLessThanOrEqual(3);
  });

  it('a stopping one keeps its lane until its last transaction is over, however long that takes', {
    timeout: 90_000,
  }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({ limits: { messagesPerWindow: 100_000 } });
    await using fleet = await startFleet({ redisUrl: redis.url, sandbox }, 2);
    // Longer than a lease.
    const id = await fleet.api.sendTo('slow-14000@fabrikam.com', { onUnconfirmed: 'resend' });
    await eventually(() => sandbox.inbox.messages().length === 1);
    expect(await ownerAmong(fleet.workers).end('SIGTERM')).toBe(0);
    const message = await fleet.api.until(id, 'sent');
    expect(message.attempts.map(({ outcome }) => outcome)).toEqual(['sent']);
    expect(copiesOf(sandbox, message.internetMessageId)).toBe(1);
  });
});

describe('a worker that sleeps longer than its lease', () => {
  it('between the 354 and the dot: somebody else sends the message, and the sleeper does not when it wakes', {
    timeout: 90_000,
  }, async () => {
    let stalled = false;
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({
      limits: { messagesPerWindow: 100_000 },
      onReply: ({ stage }) => {
        if (stage !== 'data' || stalled) return undefined;
        stalled = true;
        return { delayMs: 1_000 };
      },
    });
    await using fleet = await startFleet({ redisUrl: redis.url, sandbox }, 2);
    const id = await fleet.api.sendTo('ada@fabrikam.com');
    await eventually(() => stalled);
    const sleeper = ownerAmong(fleet.workers);
    sleeper.signal('SIGSTOP');
    const sent = await fleet.api.until(id, 'sent', 40_000);
    sleeper.signal('SIGCONT');
    await eventually(() => sleeper.output().includes('result dropped'));
    await fleet.api.until(await fleet.api.sendTo('ada@fabrikam.com'), 'sent');
    expect(copiesOf(sandbox, sent.internetMessageId)).toBe(1);
    expect((await fleet.api.read(id)).status).toBe('sent');
  });

  it('while it waits for the answer to the dot: it is not sent again, and its late answer is the truth', {
    timeout: 90_000,
  }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({ limits: { messagesPerWindow: 100_000 } });
    await using fleet = await startFleet({ redisUrl: redis.url, sandbox }, 2);
    const id = await fleet.api.sendTo('slow-2000@fabrikam.com');
    await eventually(() => sandbox.inbox.messages().length === 1);
    const sleeper = ownerAmong(fleet.workers);
    sleeper.signal('SIGSTOP');
    const unknown = await fleet.api.until(id, 'unconfirmed', 40_000);
    sleeper.signal('SIGCONT');
    await fleet.api.until(id, 'sent');
    expect(copiesOf(sandbox, unknown.internetMessageId)).toBe(1);
  });

  it('overwrites nothing of a message that was sent again meanwhile, as its caller had asked', {
    timeout: 90_000,
  }, async () => {
    let dots = 0;
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({
      limits: { messagesPerWindow: 100_000 },
      onReply: ({ stage }) => {
        if (stage !== 'message') return undefined;
        dots += 1;
        return dots === 1 ? { delayMs: 2_000, reply: '550 5.7.1 Refused at last' } : undefined;
      },
    });
    await using fleet = await startFleet({ redisUrl: redis.url, sandbox }, 2);
    const id = await fleet.api.sendTo('ada@fabrikam.com', { onUnconfirmed: 'resend' });
    await eventually(() => dots === 1);
    const sleeper = ownerAmong(fleet.workers);
    sleeper.signal('SIGSTOP');
    await fleet.api.until(id, 'sent', 40_000);
    sleeper.signal('SIGCONT');
    await eventually(() => sleeper.output().includes('result dropped'));
    expect((await fleet.api.read(id)).status).toBe('sent');
  });
});

describe('a worker that is killed while it tries out whether a hold is over', () => {
  it('leaves the hold to be tried by the next one at once', { timeout: 90_000 }, async () => {
    let dots = 0;
    let tries = 0;
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({
      limits: { messagesPerWindow: 100_000 },
      onReply: ({ stage }) => {
        if (stage === 'message') dots += 1;
        if (stage === 'message' && dots === 1) return { reply: 'data-432-4.3.2-msglimit' };
        if (stage === 'data' && dots === 1) tries += 1;
        return stage === 'data' && dots === 1 && tries === 1 ? { delayMs: 60_000 } : undefined;
      },
    });
    const limits = { messagesPerMinute: 1_000, windowSeconds: 1 };
    await using fleet = await startFleet({ redisUrl: redis.url, sandbox, limits }, 2);
    const id = await fleet.api.sendTo('ada@fabrikam.com');
    await eventually(() => tries === 1, undefined, 20_000);
    const killed = ownerAmong(fleet.workers);
    await killed.end('SIGKILL');
    fleet.workers.splice(fleet.workers.indexOf(killed), 1);
    await fleet.api.until(id, 'sent', 40_000);
  });
});

describe('many mailboxes', () => {
  it('cost what the busy ones do, and those are spread over the workers', { timeout: 90_000 }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({ mailboxes: manyMailboxes(220) });
    await using fleet = await startFleet({ redisUrl: redis.url, sandbox }, 2);
    const ids = await submit(fleet.api, 100, (index) => ({ from: `m${index % 20}@postroom.example` }));
    for (const id of ids) await fleet.api.until(id, 'sent', 40_000);
    const lanes = fleet.workers.map((worker) => worker.output().split('"Lane opened"').length - 1);
    expect(lanes.reduce((sum, each) => sum + each)).toBe(20);
    for (const each of lanes) expect(each).toBeGreaterThanOrEqual(4);
  });

  it('of one tenant whose secret is wrong: one tries for all, and all go on once it is right', {
    timeout: 120_000,
  }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({ mailboxes: manyMailboxes(20) });
    const options = { redisUrl: redis.url, sandbox };
    let ids: string[];
    {
      await using wrong = await startFleet({ ...options, clientSecret: 'wrong' }, 2);
      ids = await submit(wrong.api, 40, (index) => ({ from: `m${index % 20}@postroom.example` }));
      for (const id of ids) expect((await wrong.api.until(id, 'held')).failure?.code).toBe('token_credentials_invalid');
      // Each lane that opens now finds the hold; forty messages later nobody but the one that tries has asked again.
      const more = await submit(wrong.api, 40, (index) => ({ from: `m${index % 20}@postroom.example` }));
      for (const id of more) await wrong.api.until(id, 'held');
      // Both processes may try at the first instant; after that one tries for everybody.
      expect(sandbox.stats().tokenRequests).toBeLessThanOrEqual(4);
      ids.push(...more);
    }
    await using right = await startFleet({ ...options, clientSecret: sandbox.clientSecret }, 2);
    for (const id of ids) await right.api.until(id, 'sent', 60_000);
    expect(sandbox.inbox.messages()).toHaveLength(80);
  });
});
