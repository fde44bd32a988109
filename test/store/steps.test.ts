import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Move } from '../../src/gateway/ports.ts';
import type { MessageRecord } from '../../src/mail/message.ts';
import type { Status } from '../../src/mail/status.ts';
import { pick, randomFrom } from '../support/disasters.ts';
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
    // What nobody has of a kind is counted as none, or not at all.
    const pairs = pairsOf(lines).filter((line) => !/(\|.*|^left) = 0$/.test(line));
    found[key] = { expires, lines: type === 'hash' || type === 'zset' ? pairs : lines.sort() };
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

const SEED = Number(process.env.POSTROOM_STEPS_SEED ?? Date.now() % 1_000_000);
const ROUNDS = 40;
const NEW_IN_A_ROUND = 8;
const THREE_MAILBOXES = [...MAILBOXES, 'third'];
const mailboxOf = (index: number) => THREE_MAILBOXES[index % 3] as string;
const PACES = [PACE, { ...PACE, perWindow: 1_000 }, { ...PACE, perWindow: 1_000, recipientsPerDay: 1_000 }];
/** Every third mailbox is held. */
const holdKeysOf = (index: number) => [['free'], [], ['free', 'held']][index % 3] as string[];

/**
 * What one turn asks for, whatever the store: of a few messages, so that some are asked for several times. An attempt ends
 * in a later turn than it begins.
 */
function chosenSteps(
  random: () => number,
  records: readonly MessageRecord[],
  round: number,
): ((store: TestStore) => Promise<unknown>)[] {
  const running = records.filter(({ status }) => status === 'sending');
  return Array.from({ length: 1 + Math.floor(random() * 40) }, (_, number) => {
    // Most messages of so many rounds are over: every second step is about one that is on its way, where there is one, and
    // most of those are marked or moved. What is asked for at random alone comes to a mark in hardly any round.
    const isOnItsWay = random() < 0.5 && running.length > 0;
    const { id, mailbox, ticket, attemptToken } = pick(random, isOnItsWay ? running : records);
    const index = THREE_MAILBOXES.indexOf(mailbox);
    const chance = random();
    if (chance < (isOnItsWay ? 0.1 : 0.4)) {
      const request = beginning(id, {
        mailbox,
        ticket: ticket + Math.floor(random() * 1.2),
        token: `token ${round} ${number}`,
        trial: random() < 0.3,
        lease: random() < 0.15 ? 'another' : LEASE,
        pace: pick(random, PACES),
        holdKeys: holdKeysOf(index),
      });
      return async ({ messages }: TestStore) => {
        const permit = await messages.begin(request);
        return permit.kind === 'wait' || permit.kind === 'quota' ? permit.kind : { ...permit, startedAt: 0 };
      };
    }
    const token = random() < 0.9 && attemptToken ? attemptToken : `token ${round} ${number}`;
    if (chance < 0.5) return ({ messages }: TestStore) => messages.markDot(id, token);
    const to = pick(random, [...FATES, 'queued', 'queued', 'canceled'] as Status[]);
    const flight = {
      counted: token.endsWith('1'),
      windowMilliseconds: PACE.windowMilliseconds,
      unusedRecipients: Math.floor(random() * 2),
    };
    const move: Move = random() < 0.7 ? { id, mailbox, to, token, flight } : { id, mailbox, to, ticket };
    return ({ messages }: TestStore) => messages.move(move);
  });
}

/** What a step came to: a permit, whether it was marked, or a move. */
function kindOf(answer: unknown): unknown {
  if (typeof answer !== 'object' || !answer)
    return typeof answer === 'boolean' ? (answer ? 'marked' : 'refused') : answer;
  return 'kind' in answer ? answer.kind : 'moved' in answer && answer.moved ? 'moved' : 'refused';
}

it(`so they do whatever is asked for in one turn (seed ${SEED})`, { timeout: 120_000 }, async () => {
  const random = randomFrom(SEED);
  for (const { redis, store } of sides) {
    await redis.flush();
    for (const mailbox of THREE_MAILBOXES) await store.mailboxes.takeLease(mailbox, LEASE, 600_000);
    await store.redis.hset(store.keys.holds, 'held', '{}');
  }
  const told = new Set<unknown>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const fresh = Array.from({ length: NEW_IN_A_ROUND }, (_, each) => round * NEW_IN_A_ROUND + each);
    for (const { store } of sides)
      for (const index of fresh)
        await store.messages.accept(
          aMessage({ id: `msg_${index}`, mailbox: mailboxOf(index), callerId: `caller ${index % 2}` }),
        );
    const all = Array.from({ length: (round + 1) * NEW_IN_A_ROUND }, (_, index) => index).slice(-3 * NEW_IN_A_ROUND);
    const { messages } = (sides[0] as (typeof sides)[number]).store;
    const records = await messages.findMany(all.map((index) => `msg_${index}`));
    const known = records.filter((record) => record !== undefined);
    const steps = chosenSteps(random, known, round);
    const [byOne, together] = await Promise.all(
      sides.map(async (side) => ({
        answers: await takeAll(
          steps.map((step) => () => step(side.store)),
          side.oneTurn,
        ),
        left: await left(side.store),
      })),
    );
    expect(together, `round ${round}`).toEqual(byOne);
    for (const answer of byOne?.answers ?? []) told.add(kindOf(answer));
  }
  expect([...told].sort()).toEqual(['go', 'held', 'lost', 'marked', 'moved', 'quota', 'refused', 'void', 'wait']);
});
