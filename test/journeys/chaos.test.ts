import { expect, it } from 'vitest';
import type { MessageView } from '../../src/gateway/view.ts';
import { type StoredMessage, startSandbox } from '../../src/sandbox/sandbox.ts';
import { pause, pick, type Random, randomFrom, wreak } from '../support/disasters.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
import { eventually } from '../support/postroom.ts';
import { startTestRedis } from '../support/redis.ts';
import { startRedisProxy } from '../support/redis-proxy.ts';

/**
 * An independent ledger: what was promised, what the server has, and whether what Postroom says of it is true. Run it
 * longer, or again as it was, with POSTROOM_CHAOS_SECONDS, POSTROOM_CHAOS_MESSAGES and POSTROOM_CHAOS_SEED.
 */
const SECONDS = Number(process.env.POSTROOM_CHAOS_SECONDS ?? 20);
const MESSAGES = Number(process.env.POSTROOM_CHAOS_MESSAGES ?? 300);
const SEED = Number(process.env.POSTROOM_CHAOS_SEED ?? Date.now() % 1_000_000);
const SETTLING_MILLISECONDS = 120_000;

/** What the server does to a message, by its recipients, and what the message may come to. `unconfirmed` it may always be. */
const FATES = {
  ada: 'sent',
  'busy-1': 'sent',
  'throttled-1': 'sent',
  'concurrent-1': 'sent',
  'greylisted-1': 'sent',
  'slow-300': 'sent',
  'slow-2500': 'sent',
  'slow-rcpt-400': 'sent',
  'multi-line': 'sent',
  'bare-250': 'sent',
  'ada greylisted-1': 'sent',
  'grace greylisted-1 ada': 'sent',
  'ada unknown': 'partiallySent',
  'greylisted-1 denied': 'partiallySent',
  'ada recipient-busy': 'partiallySent',
  unknown: 'failed',
  denied: 'failed',
  reserved: 'failed',
  'unknown denied': 'failed',
  rejected: 'failed',
  corrupt: 'failed',
  'too-large': 'failed',
  'unheard-of-5xx': 'failed',
  html: 'failed',
  long: 'failed',
  'recipient-busy': 'failed',
  'always-busy': 'failed',
  'unheard-of-4xx': 'failed',
  'kept-after-dot': 'unconfirmed',
  'reset-after-dot': 'unconfirmed',
  'lost-after-dot': 'unconfirmed',
  garbage: 'unconfirmed',
} as const;
type Fate = keyof typeof FATES;
const NEVER_DONE = /recipient-busy|always-busy|unheard-of-4xx/;

interface Promised {
  key: string;
  fate: Fate;
  onUnconfirmed: 'hold' | 'resend';
  ids: Set<string>;
}

function promiseOf(random: Random, index: number): Promised {
  const special = Object.keys(FATES) as Fate[];
  const fate = random() < 0.5 ? 'ada' : pick(random, special);
  const onUnconfirmed = random() < 0.4 ? 'resend' : 'hold';
  return { key: `chaos-${SEED}-${index}`, fate, onUnconfirmed, ids: new Set() };
}

/** Its end is that of its time: refused for now every time, or sent again each time that its answer is lost. */
function endsByAge({ fate, onUnconfirmed }: Promised): boolean {
  return NEVER_DONE.test(fate) || (onUnconfirmed === 'resend' && FATES[fate] === 'unconfirmed');
}

function bodyOf(promised: Promised): object {
  const { key, fate, onUnconfirmed } = promised;
  const to = fate.split(' ').map((each) => `${each}@fabrikam.com`);
  const expiry = endsByAge(promised) && { expiresInSeconds: 40 };
  return { to, subject: key, onUnconfirmed, text: `This is ${key}.`, ...expiry };
}

/** Asks until it is answered 202, as a careful caller does; sometimes it does not wait for the answer. */
async function submit(fleet: Fleet, promised: Promised, random: Random): Promise<void> {
  const { key } = promised;
  const body = bodyOf(promised);
  const deadline = performance.now() + SECONDS * 1_000 + SETTLING_MILLISECONDS;
  while (performance.now() < deadline) {
    const impatience = pause(random() < 0.2 ? 5 : 5_000).then(() => undefined);
    const answer = await Promise.race([
      fleet.api.send(body, { 'idempotency-key': key }).catch(() => undefined),
      impatience,
    ]);
    if (answer && answer.status !== 202 && answer.status !== 503 && answer.status !== 409)
      throw new Error(`${answer.status} ${await answer.text()}`);
    if (answer?.status === 202) {
      promised.ids.add(((await answer.json()) as MessageView).id);
      return;
    }
    await pause(200 * random());
  }
  throw new Error(`${key} was never accepted`);
}

const SETTLED = ['sent', 'partiallySent', 'failed', 'unconfirmed'];

async function settledView({ api }: Fleet, id: string): Promise<MessageView> {
  let last: MessageView | undefined;
  await eventually(
    async () => {
      last = await api.read(id).catch(() => undefined);
      return last !== undefined && SETTLED.includes(last.status);
    },
    () => `It never came to rest: ${JSON.stringify(last, null, 1)}`,
    SETTLING_MILLISECONDS,
  );
  return last as MessageView;
}

/** Its short time was over before anybody was served. */
function isTooLate(promised: Promised, { status, failure }: MessageView): boolean {
  return endsByAge(promised) && status === 'failed' && failure?.category === 'expired';
}

/** What is untrue, forgotten or doubled about it; undefined if nothing is. */
function complaint(promised: Promised, view: MessageView, copies: StoredMessage[]): string | undefined {
  const { fate, onUnconfirmed } = promised;
  const unconfirmed = view.attempts.filter(({ outcome }) => outcome === 'unconfirmed').length;
  const allowed = onUnconfirmed === 'resend' ? 1 + unconfirmed : 1;
  if (copies.some(({ raw }) => !raw.equals(copies[0]?.raw as Buffer))) return 'copies differ';
  if (copies.some(({ messageId }) => messageId !== view.internetMessageId)) return 'another Message-ID';
  // One that is sent again is so only where that came to nothing.
  const isServed = onUnconfirmed === 'resend' && FATES[fate] === 'sent';
  if (view.status === 'unconfirmed' && (isServed || unconfirmed === 0)) return 'wrongly unconfirmed';
  if (view.status !== FATES[fate] && view.status !== 'unconfirmed' && !isTooLate(promised, view))
    return `${fate} came to ${view.status}`;
  const wrong = view.recipients.map(({ address, status }) => {
    const own = copies.filter(({ envelope }) => envelope.recipients.includes(address)).length;
    if (own > allowed) return `${own} copies for ${address}`;
    if (status === 'sent' && own === 0) return `${address} is sent, but has nothing`;
    if (status === 'failed' && own > 0) return `${address} is failed, but has it`;
    // Those of an unconfirmed message wait for what a person finds out.
    return SETTLED.includes(status) || view.status === 'unconfirmed' ? undefined : `${address} is ${status} for good`;
  });
  return wrong.find((each) => each !== undefined);
}

it(`no accepted message is lost, doubled or lied about while everything fails (seed ${SEED})`, {
  timeout: SECONDS * 1_000 + 3 * SETTLING_MILLISECONDS,
}, async () => {
  console.log(`chaos: POSTROOM_CHAOS_SEED=${SEED} POSTROOM_CHAOS_SECONDS=${SECONDS}`);
  const random = randomFrom(SEED);
  await using redis = await startTestRedis();
  await using proxy = await startRedisProxy(redis.url);
  await using sandbox = await startSandbox({ limits: { messagesPerWindow: 100_000, connections: 1_000 } });
  const limits = { messagesPerMinute: 1_000, windowSeconds: 1 };
  await using fleet = await startFleet({ redisUrl: proxy.url, sandbox, limits }, 2);
  const ledger = Array.from({ length: MESSAGES }, (_, index) => promiseOf(random, index));

  const waiting = [...ledger];
  const everyMilliseconds = (SECONDS * 1_000 * 6) / MESSAGES;
  const caller = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      await submit(fleet, next, Math.random);
      await pause(everyMilliseconds * Math.random());
    }
  };
  const calling = Promise.all(Array.from({ length: 6 }, caller));
  const disasters = await wreak({ fleet, redis, proxy, sandbox }, random, SECONDS);
  await calling;

  const complaints: unknown[] = [];
  const counted: Record<string, number> = {};
  for (const promised of ledger) {
    const [id = ''] = promised.ids;
    const view = await settledView(fleet, id);
    counted[view.status] = (counted[view.status] ?? 0) + 1;
    const copies = sandbox.inbox.messages().filter(({ subject }) => subject === promised.key);
    const wrong = complaint(promised, view, copies);
    if (wrong) complaints.push({ wrong, promised, view });
  }
  console.log(`chaos: ${disasters.join(' ')}: ${JSON.stringify(counted)}`);
  expect(complaints).toEqual([]);
  const ids = new Set(ledger.flatMap((promised) => [...promised.ids]));
  expect(ids.size).toBe(MESSAGES);
});
