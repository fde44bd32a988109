import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Move } from '../../src/gateway/ports.ts';
import type { Status } from '../../src/mail/status.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { aMessage, beginning, LEASE, openStore, type TestStore } from '../support/store.ts';

/** The same steps twice: one after the other, and all that nothing else waits for in one turn of the event loop. */
const sides: { redis: TestRedis; store: TestStore; oneTurn: boolean }[] = [];
beforeAll(async () => {
  for (const oneTurn of [false, true]) {
    const redis = await startTestRedis();
    sides.push({ redis, store: openStore(redis.url), oneTurn });
  }
});
afterAll(async () => {
  for (const { redis, store } of sides) {
    store.close();
    await redis[Symbol.asyncDispose]();
  }
});

type Step = () => Promise<unknown>;

async function takeAll(steps: Step[], oneTurn: boolean): Promise<unknown[]> {
  if (oneTurn) return Promise.all(steps.map((step) => step()));
  const answers: unknown[] = [];
  for (const step of steps) answers.push(await step());
  return answers;
}

const MAILBOXES = ['main', 'other'];
const PACE = { perWindow: 8, windowMilliseconds: 60_000, recipientsPerDay: 9 };
const FATES: Status[] = ['sent', 'failed', 'deferred', 'queued', 'unconfirmed', 'partiallySent'];

/** Twenty messages of two mailboxes: begun as far as the pace lets them, marked, ended in all ways, some of it twice. */
async function live({ messages, mailboxes }: TestStore, oneTurn: boolean): Promise<unknown[]> {
  for (const mailbox of MAILBOXES) await mailboxes.takeLease(mailbox, LEASE, 60_000);
  const all = Array.from({ length: 20 }, (_, index) => {
    const to = index % 3 === 0 ? ['ada@fabrikam.com', 'grace@fabrikam.com'] : ['ada@fabrikam.com'];
    return aMessage({
      id: `msg_${index}`,
      mailbox: MAILBOXES[index % 2] as string,
      to,
      callerId: `caller ${index % 3}`,
    });
  });
  for (const message of all) await messages.accept(message);
  const tokenOf = (id: string) => `token of ${id}`;
  const begin = (lease = LEASE) =>
    all.map(({ id, mailbox }) => async () => {
      const permit = await messages.begin(beginning(id, { mailbox, lease, token: tokenOf(id), pace: PACE }));
      return permit.kind === 'wait' || permit.kind === 'quota' ? permit.kind : { ...permit, startedAt: 0 };
    });
  const end = (index: number, more: Partial<Move> = {}): Step => {
    const { id, mailbox } = all[index] as (typeof all)[number];
    const to = FATES[index % FATES.length] as Status;
    const flight = { counted: true, windowMilliseconds: PACE.windowMilliseconds, unusedRecipients: index % 2 };
    return () => messages.move({ id, mailbox, to, token: tokenOf(id), flight, ...more });
  };
  const ends = all.map((_, index) => end(index));
  return [
    await takeAll(begin('somebody else'), oneTurn),
    await takeAll(begin(), oneTurn),
    await takeAll(
      [
        ...begin(),
        ...all.map(
          ({ id }) =>
            () =>
              messages.markDot(id, tokenOf(id)),
        ),
      ],
      oneTurn,
    ),
    // What another does to them meanwhile, and what is between steps of the other mailbox.
    await takeAll([end(0), end(1, { token: 'another' }), ...begin(), ...ends, ...begin()], oneTurn),
  ];
}

/** All that is in Redis; of times only that they are there. */
async function left({ redis }: TestStore): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const key of (await redis.keys('*')).sort()) {
    const type = await redis.type(key);
    const content =
      type === 'hash'
        ? Object.entries(await redis.hgetall(key))
        : type === 'zset'
          ? await redis.zrange(key, '0', '-1', 'WITHSCORES')
          : type === 'set'
            ? await redis.smembers(key)
            : await redis.get(key);
    const expires = (await redis.pttl(key)) > 0;
    const told = (text: string) => text.replace(/\b\d{13}\b/g, '<time>').replace(/^\d{7}$/, '<slice>');
    const lines = [content].flat(2).map((each) => told(String(each)));
    // A hash and a set have no order; of members of the same time, which is first is by chance.
    found[key] = { expires, lines: type === 'hash' ? pairsOf(lines) : type === 'zset' ? pairsOf(lines) : lines.sort() };
  }
  return found;
}

function pairsOf(flat: string[]): string[] {
  return flat.flatMap((each, index) => (index % 2 === 0 ? [`${each} = ${flat[index + 1]}`] : [])).sort();
}

it('the steps of one turn answer and leave what they would one by one', async () => {
  const [byOne, together] = await Promise.all(
    sides.map(async ({ store, oneTurn }) => ({ answers: await live(store, oneTurn), left: await left(store) })),
  );
  expect(together?.answers).toEqual(byOne?.answers);
  expect(together?.left).toEqual(byOne?.left);
  const answers = JSON.stringify(byOne?.answers);
  for (const each of ['"lost"', '"go"', '"wait"', '"quota"', '"void"', '"moved":true', '"moved":false'])
    expect(answers).toContain(each);
});
