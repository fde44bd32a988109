import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MessageView } from '../../src/gateway/view.ts';
import { USUAL_LIMITS } from '../../src/mailbox-config.ts';
import { sharedBackends } from '../../src/queue/backend.ts';
import { jobQueues } from '../../src/queue/jobs.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { keysOf } from '../../src/store/keys.ts';
import { connectRedis } from '../../src/store/redis.ts';
import { startFleet } from '../support/fleet.ts';
import {
  type Client,
  client,
  eventually,
  KEY,
  startPostroom,
  TEST_KEY,
  type TestPostroom,
} from '../support/postroom.ts';
import type { PostroomProcess } from '../support/process.ts';
import { startTestRedis } from '../support/redis.ts';

/** Whatever is tried here, the mailbox's own server, the stand-in for Microsoft, must never hear MAIL FROM. */
let postroom: TestPostroom;
let tester: Client;
beforeEach(async () => {
  postroom = await startPostroom({ config: { testApiKey: TEST_KEY } });
  tester = client(() => postroom.url, postroom.sandbox.mailboxes[0]?.address ?? '', TEST_KEY);
});
afterEach(async () => {
  const { mailCommands } = postroom.sandbox.stats();
  const received = postroom.sandbox.inbox.messages().length;
  await postroom[Symbol.asyncDispose]();
  expect([mailCommands, received]).toEqual([0, 0]);
});

/** And waits for its connections to Redis. */
async function restartAs(role: 'api' | 'worker' | 'all'): Promise<void> {
  await postroom.restart({ role });
  if (role !== 'worker') await eventually(async () => (await fetch(`${postroom.url}/health/ready`)).ok);
}

const change = (id: string, what: string, body?: object) =>
  fetch(`${postroom.url}/v1/messages/${id}/${what}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TEST_KEY}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });

const { bull, busy, message: recordOf, due, wake } = keysOf('{postroom}');

async function withRedis(use: (redis: ReturnType<typeof connectRedis>) => Promise<unknown>): Promise<void> {
  const redis = connectRedis(postroom.redis.url, 'patient', () => undefined);
  try {
    await use(redis);
  } finally {
    redis.disconnect();
  }
}

/** As a fault, or somebody with a hand in Redis, would: the message's job in the queue of the real mailbox. */
async function giveJobToMain(messageId: string): Promise<void> {
  await withRedis(async (redis) => {
    const jobs = jobQueues(redis, bull, sharedBackends(redis));
    await jobs.add('main', { messageId, number: 1, priority: 'high' });
    await redis.zadd(busy, 1, 'main');
    await redis.publish(wake, 'main');
    await jobs.close();
  });
}

describe('test mail stays in, when a person', () => {
  it('has a failed message sent again', async () => {
    const id = await tester.sendTo('unknown@fabrikam.com');
    await tester.until(id, 'failed');
    expect((await change(id, 'retry')).status).toBe(200);
    expect((await tester.until(id, 'failed')).test).toBe(true);
    await eventually(async () => (await tester.read(id)).attempts.length === 2);
  });

  it('has an unconfirmed message sent again, and resolves another', async () => {
    const [again, known] = [
      await tester.sendTo('greylisted@fabrikam.com'),
      await tester.sendTo('kept-after-dot@a.example'),
    ];
    await tester.until(known, 'unconfirmed');
    expect((await (await change(known, 'resolve', { outcome: 'sent' })).json()) as MessageView).toMatchObject({
      status: 'sent',
      test: true,
    });
    const lost = await tester.sendTo('lost-after-dot@fabrikam.com');
    await tester.until(lost, 'unconfirmed');
    expect((await change(lost, 'retry')).status).toBe(200);
    await eventually(async () => (await tester.read(lost)).attempts.length === 2);
    await tester.until(again, 'sent', 20_000);
  }, 40_000);

  it('has it wait for its time, and go earlier', async () => {
    const in10Minutes = new Date(Date.now() + 600_000).toISOString();
    const id = await tester.sendTo('ada@fabrikam.com', { sendAt: in10Minutes });
    expect(await tester.read(id)).toMatchObject({ status: 'scheduled', test: true });
    expect((await change(id, 'expedite')).status).toBe(200);
    expect(await tester.until(id, 'sent')).toMatchObject({ test: true, mailbox: 'main' });
    const soon = new Date(Date.now() + 1_500).toISOString();
    expect((await tester.until(await tester.sendTo('a@b.example', { sendAt: soon }), 'sent')).test).toBe(true);
  });

  it('has all that failed sent again', async () => {
    const id = await tester.sendTo('unknown@fabrikam.com');
    await tester.until(id, 'failed');
    const retry = async (body: object) => {
      const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
      const answer = await fetch(`${postroom.url}/v1/messages/retry`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      return answer.json();
    };
    expect(await retry({ mailbox: 'main' })).toMatchObject({ retried: 0 });
    expect(await retry({ mailbox: 'main', test: true })).toMatchObject({ retried: 1 });
    await eventually(async () => (await tester.read(id)).attempts.length === 2);
  });
});

describe('test mail stays in, when', () => {
  it('its job comes to the lane of the real mailbox: that refuses, and it is sent by its own', async () => {
    // Nobody delivers yet, so that the real lane is the first to have it.
    await restartAs('api');
    const id = await tester.sendTo('ada@fabrikam.com');
    await withRedis((redis) => redis.zrem(busy, 'main~test'));
    await giveJobToMain(id);
    await restartAs('worker');
    await eventually(() => postroom.logged().includes('Message of another lane was not sent'));
    await eventually(() => postroom.logged().includes('Message sent'));
    await restartAs('all');
    const sent = await tester.until(id, 'sent');
    expect(sent.recipients[0]?.reply?.response).toMatch(/POSTROOM-SANDBOX/i);
  }, 40_000);

  it('its record names the real mailbox as its lane: the mark alone keeps it in', async () => {
    await restartAs('api');
    const id = await tester.sendTo('ada@fabrikam.com');
    await withRedis(async (redis) => {
      await redis.hset(recordOf(id), 'mailbox', 'main');
      await redis.zrem(busy, 'main~test');
    });
    await giveJobToMain(id);
    await restartAs('all');
    await eventually(() => postroom.logged().includes('Message of another lane was not sent'));
    expect(await tester.until(id, 'sent')).toMatchObject({ test: true });
  }, 40_000);

  it('the sweeper finds it without a job', async () => {
    await restartAs('api');
    const id = await tester.sendTo('ada@fabrikam.com');
    await withRedis(async (redis) => {
      await redis.del(...(await redis.keys('{postroom}:lanes:*')));
      await redis.zadd(due, 1, id);
    });
    await restartAs('all');
    expect(await tester.until(id, 'sent', 20_000)).toMatchObject({ test: true });
  }, 40_000);

  it('a real mailbox has the name of its lane: such a gateway does not start', async () => {
    const [main] = postroom.sandbox.mailboxes;
    const twin = { id: 'main~test', address: main?.address ?? '', from: [main?.address ?? ''] };
    const smtp = { ...postroom.sandbox.smtp, heloName: 'gateway.contoso.com' };
    await expect(postroom.restart({ mailboxes: [{ ...twin, smtp, limits: USUAL_LIMITS }] })).rejects.toThrow(
      'main~test',
    );
  });
});

const PRODUCTION = {
  NODE_ENV: 'production',
  HOST: '127.0.0.1',
  POSTROOM_TEST_API_KEY: TEST_KEY,
  // A stopping worker must not wait that long for a test message.
  POSTROOM_SHUTDOWN_SECONDS: '600',
};
const started = (worker: PostroomProcess) => worker.output().includes('Sandbox for test mail started');

describe('in production, with an API process and workers', () => {
  it('test mail goes into a sandbox of the worker that has its lane, also after that one was killed', {
    timeout: 90_000,
  }, async () => {
    await using redis = await startTestRedis();
    await using microsoft = await startSandbox({ limits: { messagesPerWindow: 1_000 } });
    await using fleet = await startFleet({ redisUrl: redis.url, sandbox: microsoft, environment: PRODUCTION }, 2);
    const { api, workers } = fleet;
    const testing = client(() => api.url, microsoft.mailboxes[0]?.address ?? '', TEST_KEY);
    await api.until(await api.sendTo('ada@fabrikam.com'), 'sent');
    expect(workers.some(started)).toBe(false);

    const first = await testing.until(await testing.sendTo('ada@fabrikam.com'), 'sent');
    expect(first).toMatchObject({ test: true, mailbox: 'm0' });
    const owner = workers.find(started) as PostroomProcess;
    // Neither a page nor a token endpoint, and no mail is kept.
    expect(owner.output()).not.toContain('"inbox"');

    const slow = await testing.sendTo('slow-5000@fabrikam.com', { onUnconfirmed: 'resend' });
    await testing.until(slow, 'sending');
    await owner.end('SIGKILL');
    workers.splice(workers.indexOf(owner), 1);
    const recovered = await testing.until(slow, 'sent', 45_000);
    expect(recovered.test).toBe(true);
    expect(recovered.attempts.map(({ outcome }) => outcome).at(-1)).toBe('sent');
    expect(workers.every(started)).toBe(true);

    const hanging = await testing.sendTo('hang@fabrikam.com');
    await testing.until(hanging, 'sending');
    expect(await (workers[0] as PostroomProcess).end('SIGTERM')).toBe(0);
    expect((await testing.read(hanging)).status).toBe('unconfirmed');
    expect(microsoft.inbox.messages()).toHaveLength(1);
    expect(Object.values(microsoft.stats().mailboxes).map(({ submissions }) => submissions)).toEqual([1]);
  });
});
