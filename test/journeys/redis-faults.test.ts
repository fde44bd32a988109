import { Redis } from 'ioredis';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.ts';
import { startService } from '../../src/service.ts';
import { type Client, client, eventually, mailboxOf, settled } from '../support/postroom.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { type RedisProxy, startRedisProxy } from '../support/redis-proxy.ts';
import { freezeRedis, killRedis, REFUSALS, whileRefusing } from '../support/redis-trouble.ts';

interface Faulty extends Client {
  url: string;
  redis: TestRedis;
  proxy: RedisProxy;
  sandbox: Sandbox;
  logged(): string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A Postroom that reaches its Redis through a bad network. */
async function startFaulty(options: SandboxOptions = {}): Promise<Faulty> {
  const redis = await startTestRedis();
  const proxy = await startRedisProxy(redis.url);
  const sandbox = await startSandbox({ limits: { messagesPerWindow: 100_000 }, ...options });
  const mailbox = mailboxOf(sandbox, { messagesPerMinute: 100_000 });
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line) => void lines.push(line) });
  const service = await startService(settled(proxy.url, [mailbox], { shutdownSeconds: 1 }), log);
  const url = service.url ?? '';
  return {
    ...client(() => url, mailbox.address),
    url,
    redis,
    proxy,
    sandbox,
    logged: () => lines.join(''),
    async [Symbol.asyncDispose]() {
      await service.close();
      await sandbox[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
}

it('a process that has only just started takes a message, though its connection to Redis takes a while', async () => {
  await using redis = await startTestRedis();
  await using proxy = await startRedisProxy(redis.url);
  proxy.slow(100);
  await using sandbox = await startSandbox();
  const mailbox = mailboxOf(sandbox);
  const service = await startService(settled(proxy.url, [mailbox], { role: 'api' }), pino({ level: 'silent' }));
  try {
    const { send } = client(() => service.url ?? '', mailbox.address);
    expect((await send({ to: 'ada@fabrikam.com' })).status).toBe(202);
  } finally {
    await service.close();
  }
});

/** The API's promise is about two seconds; whoever waits this long has been left hanging. */
const HANGING_MILLISECONDS = 6_000;

async function ready(postroom: Faulty): Promise<number> {
  const answer = await fetch(`${postroom.url}/health/ready`, { signal: AbortSignal.timeout(HANGING_MILLISECONDS) });
  return answer.status;
}

function sendWithin(postroom: Faulty, headers: Record<string, string> = {}): Promise<Response> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error('The API did not answer')), HANGING_MILLISECONDS).unref();
  });
  return Promise.race([postroom.send({ to: 'ada@fabrikam.com' }, headers), late]);
}

async function expectRefusal(postroom: Faulty): Promise<void> {
  const answer = await sendWithin(postroom);
  expect(answer.status).toBe(503);
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await ready(postroom)).toBe(503);
}

/** Everything works again without anybody's help. */
async function expectRecovery(postroom: Faulty): Promise<void> {
  await eventually(
    async () => (await ready(postroom)) === 200,
    () => 'It never became ready again',
    30_000,
  );
  await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'sent', 40_000);
}

const copiesOf = ({ sandbox }: Faulty, messageId: string) =>
  sandbox.inbox.messages().filter((each) => each.messageId === messageId).length;

describe('while Redis cannot be used, the API says 503 with Retry-After, and afterwards all goes on by itself:', () => {
  it('it is away, it is silent, it is frozen', { timeout: 120_000 }, async () => {
    await using postroom = await startFaulty();
    await expectRecovery(postroom);

    postroom.proxy.cut();
    await expectRefusal(postroom);
    postroom.proxy.restore();
    await expectRecovery(postroom);

    postroom.proxy.blackHole();
    await expectRefusal(postroom);
    postroom.proxy.restore();
    await expectRecovery(postroom);

    const frozen = freezeRedis(postroom.redis);
    await expectRefusal(postroom);
    frozen.resume();
    await expectRecovery(postroom);
  });

  it.each(Object.keys(REFUSALS) as (keyof typeof REFUSALS)[])(
    'it refuses to write (%s)',
    {
      timeout: 60_000,
    },
    async (kind) => {
      await using postroom = await startFaulty();
      const waiting = await postroom.sendTo('busy-1@fabrikam.com');
      await postroom.until(waiting, 'deferred');
      await whileRefusing(kind, postroom.redis, () => expectRefusal(postroom));
      await expectRecovery(postroom);
      await postroom.until(waiting, 'sent', 30_000);
      // All that its loops met meanwhile, several a second, is one line, which says what to do.
      const lines = postroom.logged().split('\n').filter(Boolean);
      const troubles = lines.map((line) => JSON.parse(line)).filter(({ level, failure }) => level >= 40 && !failure);
      const told = { msg: 'Redis cannot be used', remedy: expect.any(String) };
      // A replica is left, and what was on its way over its connections meets that.
      const isLeft = kind === 'READONLY' && troubles.length === 2;
      expect(troubles).toMatchObject(isLeft ? [told, told] : [told]);
    },
  );

  it('it is killed again and again while messages come in: each one that was accepted is sent, once', {
    timeout: 120_000,
  }, async () => {
    await using postroom = await startFaulty();
    const accepted: string[] = [];
    let over = false;
    const sending = (async () => {
      while (!over) {
        const answer = await sendWithin(postroom).catch(() => undefined);
        if (answer?.status === 202) accepted.push(((await answer.json()) as { id: string }).id);
        else expect(answer?.status ?? 503).toBe(503);
      }
    })();
    for (let round = 1; round <= 3; round += 1) {
      await eventually(() => accepted.length > round * 25, undefined, 30_000);
      await killRedis(postroom.redis);
    }
    over = true;
    await sending;
    await expectRecovery(postroom);
    for (const id of accepted) {
      const { internetMessageId } = await postroom.until(id, 'sent', 45_000);
      expect(copiesOf(postroom, internetMessageId)).toBe(1);
    }
  });
});

it.each([
  ['appendonly', 'no', 'redisDurability', /appendonly is off/],
  ['appendfsync', 'everysec', 'redisDurability', /everysec/],
  ['maxmemory-policy', 'allkeys-lru', 'redisEviction', /throw accepted messages away/],
])('a Redis with %s %s is warned of in the log, once a process', async (name, value, check, words) => {
  await using redis = await startTestRedis();
  await using sandbox = await startSandbox();
  const admin = new Redis(redis.url);
  await admin.config('SET', name, value);
  admin.disconnect();
  const lines: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => void lines.push(line) });
  const service = await startService(settled(redis.url, [mailboxOf(sandbox)]), log);
  try {
    await eventually(() => lines.length > 0);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ check, detail: expect.stringMatching(words) }]);
  } finally {
    await service.close();
  }
});

/** Another Redis that has all that Postroom's has, a moment later. */
interface Replica {
  admin: Redis;
  /** What is written from now on does not come to it. */
  fallBehind(): void;
  /** It takes over; connections to the one before stay open. */
  promote(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

async function startReplica({ redis, proxy }: Faulty, successor: TestRedis): Promise<Replica> {
  const link = await startRedisProxy(redis.url);
  const [before, admin] = [new Redis(redis.url), new Redis(successor.url)];
  await before.config('SET', 'repl-diskless-sync-delay', '0');
  await admin.replicaof('127.0.0.1', link.port);
  await eventually(async () => (await admin.info('replication')).includes('master_link_status:up'));
  return {
    admin,
    fallBehind: link.blackHole,
    async promote() {
      await before.replicaof('127.0.0.1', 1);
      await admin.replicaof('NO', 'ONE');
      proxy.leadTo(successor.url);
    },
    async [Symbol.asyncDispose]() {
      before.disconnect();
      admin.disconnect();
      await link[Symbol.asyncDispose]();
    },
  };
}

it('a fail-over that leaves open what leads to the server it demoted is followed by itself, by the API and by workers', {
  timeout: 60_000,
}, async () => {
  await using successor = await startTestRedis();
  await using postroom = await startFaulty();
  const waiting = await postroom.sendTo('busy-1@fabrikam.com');
  await postroom.until(waiting, 'deferred');
  await using replica = await startReplica(postroom, successor);
  await replica.promote();
  expect((await sendWithin(postroom)).status).toBe(503);
  await expectRecovery(postroom);
  await postroom.until(waiting, 'sent', 30_000);
});

it('what a fail-over takes for being sent, since it lost how that ended, is told by whoever has sent it', {
  timeout: 60_000,
}, async () => {
  await using successor = await startTestRedis();
  await using postroom = await startFaulty();
  await using replica = await startReplica(postroom, successor);
  const id = await postroom.sendTo('slow-500@fabrikam.com');
  const mark = () => replica.admin.hget(`{postroom}:message:${id}`, 'dotMayHaveLeft');
  await eventually(async () => (await mark()) !== null);
  replica.fallBehind();
  await postroom.until(id, 'sent');
  await replica.promote();
  postroom.proxy.cut();
  postroom.proxy.restore();
  await eventually(async () => (await ready(postroom)) === 200);
  const { attempts, internetMessageId } = await postroom.until(id, 'sent', 30_000);
  expect(attempts).toHaveLength(1);
  expect(copiesOf(postroom, internetMessageId)).toBe(1);
});

describe('a worker that has sent a message but cannot write so', () => {
  it.each(Object.keys(REFUSALS) as (keyof typeof REFUSALS)[])(
    'keeps trying, and sends nothing again (%s)',
    { timeout: 60_000 },
    async (kind) => {
      await using postroom = await startFaulty();
      const id = await postroom.sendTo('slow-1500@fabrikam.com');
      await eventually(() => postroom.sandbox.inbox.messages().length === 1);
      await whileRefusing(kind, postroom.redis, () =>
        // A Redis that is full still takes what frees memory.
        eventually(() => /Result could not be written yet|Message sent/.test(postroom.logged())),
      );
      const message = await postroom.until(id, 'sent', 30_000);
      expect(message.attempts).toHaveLength(1);
      expect(copiesOf(postroom, message.internetMessageId)).toBe(1);
    },
  );

  it('does so too when that message ended a hold, which cannot be written either', { timeout: 60_000 }, async () => {
    await using postroom = await startFaulty({ behaviour: { greeting: { reply: '421 4.3.2 Service not available' } } });
    const id = await postroom.sendTo('slow-1500@fabrikam.com');
    await postroom.until(id, 'held');
    postroom.sandbox.behave({ greeting: null });
    await eventually(() => postroom.sandbox.inbox.messages().length === 1, undefined, 20_000);
    await whileRefusing('READONLY', postroom.redis, () =>
      eventually(() => postroom.logged().includes('Result could not be written yet')),
    );
    const message = await postroom.until(id, 'sent', 30_000);
    expect(copiesOf(postroom, message.internetMessageId)).toBe(1);
  });

  it('because the network to Redis is gone: likewise', { timeout: 60_000 }, async () => {
    await using postroom = await startFaulty();
    const id = await postroom.sendTo('slow-1000@fabrikam.com');
    await eventually(() => postroom.sandbox.inbox.messages().length === 1);
    postroom.proxy.cut();
    await eventually(() => postroom.sandbox.stats().repliesAfterDot['250'] === 1);
    postroom.proxy.restore();
    await eventually(async () => (await ready(postroom)) === 200);
    const message = await postroom.until(id, 'sent', 30_000);
    expect(message.attempts).toHaveLength(1);
    expect(copiesOf(postroom, message.internetMessageId)).toBe(1);
  });
});

describe('a request whose answer was lost', () => {
  it('was carried out all the same; repeated with its Idempotency-Key it makes one message', {
    timeout: 60_000,
  }, async () => {
    await using postroom = await startFaulty();
    await expectRecovery(postroom);
    const before = postroom.sandbox.inbox.messages().length;
    const keys = ['order-1', 'order-2', 'order-3'];
    postroom.proxy.loseAnswers();
    const asked = keys.map((key) => sendWithin(postroom, { 'idempotency-key': key }));
    for (const answer of asked) expect((await answer).status).toBe(503);
    postroom.proxy.restore();
    const ids = new Set<string>();
    for (const key of keys) {
      let answer = await sendWithin(postroom, { 'idempotency-key': key });
      await eventually(
        async () => {
          if (answer.status === 202) return true;
          answer = await sendWithin(postroom, { 'idempotency-key': key });
          return answer.status === 202;
        },
        () => 'It was never accepted',
        30_000,
      );
      ids.add(((await answer.json()) as { id: string }).id);
    }
    for (const id of ids) await postroom.until(id, 'sent', 40_000);
    expect(ids.size).toBe(3);
    expect(postroom.sandbox.inbox.messages()).toHaveLength(before + 3);
  });
});
