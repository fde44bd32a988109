import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { Begin, Begun, Jumped, MailboxStore, MessageStore, NewMessage } from '../../src/gateway/ports.ts';
import { keysOf } from '../../src/store/keys.ts';
import { mailboxStore } from '../../src/store/mailboxes.ts';
import { messageStore } from '../../src/store/messages.ts';
import { connectRedis, type Patience, type Scripted, withScripts } from '../../src/store/redis.ts';
import { startTestRedis, type TestRedis } from './redis.ts';

export interface TestStore {
  redis: Redis & Scripted;
  messages: MessageStore;
  mailboxes: MailboxStore;
  keys: ReturnType<typeof keysOf>;
  close(): void;
}

const HOUR = 3_600_000;
export const RETENTION = {
  recordMilliseconds: HOUR,
  failedContentMilliseconds: HOUR,
  idempotencyMilliseconds: HOUR,
  lifetimeMilliseconds: HOUR,
};

/** The store over a Redis of the test's. @param firstJobs where accepting is to add the jobs, too */
export function openStore(url: string, patience: Patience = 'patient', firstJobs?: string): TestStore {
  const redis = withScripts(connectRedis(url, patience, () => undefined));
  const keys = keysOf('{test}');
  return {
    redis,
    keys,
    messages: messageStore(redis, keys, RETENTION, firstJobs),
    mailboxes: mailboxStore(redis, keys),
    close: () => redis.disconnect(),
  };
}

/** A store over an empty Redis for each test of a file, which holds the lease of `main`. To be called once, at the top. */
export function leasedStore(): TestStore {
  const store = {} as TestStore;
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startTestRedis();
    Object.assign(store, openStore(redis.url));
  });
  afterAll(async () => {
    store.close();
    await redis[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await redis.flush();
    await store.mailboxes.takeLease('main', LEASE, 60_000);
  });
  return store;
}

export function aMessage(more: Partial<NewMessage> & { to?: string[] } = {}): NewMessage {
  const { to = ['ada@fabrikam.com'], ...rest } = more;
  return {
    id: `msg_${randomUUID()}`,
    callerId: 'test',
    mailbox: 'main',
    mime: Buffer.from('Subject: Hello\r\n\r\nIt works.\r\n'),
    fixed: {
      envelope: { reversePath: 'sender@contoso.com', recipients: to },
      from: 'sender@contoso.com',
      to,
      cc: [],
      bcc: [],
      subject: 'Hello',
      tags: [],
      metadata: {},
      messageIdHeader: '<1@contoso.com>',
      bytes: 29,
      onUnconfirmed: 'hold',
      priority: 'normal',
    },
    ...rest,
  };
}

export const LEASE = 'owner-1';

/** Leave for an attempt, with ample pace where the test names none. The lease must have been taken. */
export function beginning(id: string, more: Partial<Begin> = {}): Begin {
  return {
    id,
    mailbox: 'main',
    ticket: 1,
    token: randomUUID(),
    lease: LEASE,
    trial: false,
    holdKeys: [],
    ignoreExpiry: false,
    pace: { perWindow: 1_000, windowMilliseconds: 60_000, recipientsPerDay: 1_000 },
    ...more,
  };
}

/** Accepts a message and begins an attempt of it. */
export async function acceptAndBegin(
  { messages }: TestStore,
  more: Partial<Begin> = {},
  content: Parameters<typeof aMessage>[0] = {},
): Promise<{ id: string; token: string; permit: Begun | Jumped }> {
  const message = aMessage(content);
  await messages.accept(message);
  const request = beginning(message.id, more);
  return { id: message.id, token: request.token, permit: await messages.begin(request) };
}
