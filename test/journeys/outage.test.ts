import { Redis } from 'ioredis';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { type Moment, type Rule, type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { startService } from '../../src/service.ts';
import { manyMailboxes } from '../support/fleet.ts';
import { fillQueues } from '../support/full-queue.ts';
import { client, KEY, mailboxOf, settled } from '../support/postroom.ts';
import { startTestRedis } from '../support/redis.ts';
import { standInForTheClock } from '../support/stood-in-clock.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** How far time goes at once while nothing happens, and while something does. */
const COARSE = 2 * SECOND;
const FINE = 50;

const WAITING = 10_000;
const MAILBOXES = 3;
/** By Microsoft's own limits, which the stand-in counts by the clock of this test. */
const PER_MINUTE = 30;
/** Until the last of them has tried the server, at the longest, and then these. */
const LONGEST_WAIT = 5 * MINUTE;
const MINUTES_AFTERWARDS = 4;
/**
 * What waits between two tries grows from 5 s to five minutes, and at least the half of it is waited: 2.5 + 5 + … + 80 s,
 * and from then on one try in 150 s.
 */
const MOST_TRIES = 30;
/** Before a lane knows. */
const FIRST_TRIES = 2 * MAILBOXES;
/** Whose order was decided before: what a lane has in hand. */
const IN_HAND = 9;

/** What the server saw since it was back, in order. */
interface Seen {
  what: 'greeting' | 'mail' | 'answered';
  mailbox: string;
  to: string;
}

type Away = { [stage in Moment['stage']]?: Rule };

/** @param alone whose first message nobody may overtake: the first of all, or that of each mailbox */
function serverThatNotes(away: Away, alone: 'all' | 'each') {
  const seen: Seen[] = [];
  const slowed = new Set<string>();
  let isAway = true;
  let connections = 0;
  /** The first message after the outage takes its time to be answered: whoever does not wait for that is seen. */
  const onReply = ({ stage, session, envelope }: Moment): Rule | undefined => {
    const { mailbox = '' } = session;
    const about = { mailbox, to: envelope?.recipients[0] ?? '' };
    if (stage === 'greeting') connections += 1;
    if (isAway) return away[stage];
    if (stage === 'greeting' || stage === 'mail') seen.push({ what: stage, ...about });
    if (stage !== 'message') return undefined;
    const first = alone === 'all' ? 'all' : mailbox;
    const delayMs = slowed.has(first) ? 0 : 20 * SECOND;
    slowed.add(first);
    if (delayMs === 0) seen.push({ what: 'answered', ...about });
    else setTimeout(() => seen.push({ what: 'answered', ...about }), delayMs - 1);
    return { delayMs };
  };
  return {
    seen,
    onReply,
    connections: () => connections,
    comeBack() {
      isAway = false;
    },
  };
}

function mailboxesOf(sandbox: Sandbox) {
  const usual = mailboxOf(sandbox);
  return sandbox.mailboxes.map(({ address, password }, index) => ({
    ...usual,
    id: `m${index}`,
    address,
    from: [address],
    auth: { type: 'password' as const, password },
  }));
}

/** A 421 is said to one connection, and each mailbox finds out for itself; where nobody can be heard, one does for all. */
const OUTAGES: [string, Away, 'all' | 'each'][] = [
  [
    'of a server that answers 421',
    { greeting: { reply: '421 4.3.2 Service not available', afterwards: 'close' } },
    'each',
  ],
  ['of a server that cannot encrypt', { startTls: { reply: '454 4.7.0 TLS not available' } }, 'all'],
];

it.each(OUTAGES)(
  'an hour’s outage %s costs the 10,000 that wait nothing, and does not end in a stampede',
  {
    timeout: 120_000,
  },
  async (_outage, away, alone) => {
    await using redis = await startTestRedis();
    const admin = new Redis(redis.url);
    await using _admin = closing({ close: async () => admin.disconnect() });
    // What is on disk is the matter of other tests, and ten thousand syncs take their time.
    await admin.config('SET', 'appendfsync', 'no');
    const server = serverThatNotes(away, alone);
    await using clock = await standInForTheClock(redis.url);
    await using sandbox = await startSandbox({ mailboxes: manyMailboxes(MAILBOXES), onReply: server.onReply });
    const mailboxes = mailboxesOf(sandbox);
    const [main] = mailboxes as [(typeof mailboxes)[0]];
    const ids = await fillQueues(
      redis.url,
      WAITING,
      (number) => mailboxes[number % MAILBOXES] ?? main,
      (number) => `n${number}@fabrikam.com`,
    );
    const service = await startService(settled(redis.url, mailboxes), pino({ level: 'silent' }));
    await using _service = closing({ close: () => clock.passUntil(service.close()) });
    const { sendTo, read } = client(() => service.url ?? '', main.address);
    async function counts(): Promise<Record<string, number>> {
      const response = await fetch(`${service.url}/v1/messages/counts`, {
        headers: { authorization: `Bearer ${KEY}` },
      });
      return ((await response.json()) as { statuses: Record<string, number> }).statuses;
    }
    async function passAway(milliseconds: number): Promise<void> {
      for (let passed = 0; passed < milliseconds; passed += COARSE) {
        await clock.pass(COARSE);
        // What takes milliseconds must not seem to take minutes.
        while (sandbox.stats().connections.now > 0) await clock.pass(1);
      }
    }

    await passAway(HOUR / 2);
    const urgent: string[] = [];
    for (let number = 0; number < 5; number += 1)
      urgent.push(await sendTo(`urgent${number}@fabrikam.com`, { priority: 'high' }));
    await passAway(HOUR / 2);

    const tries = server.connections();
    expect(tries).toBeLessThanOrEqual(FIRST_TRIES + MOST_TRIES * (alone === 'each' ? MAILBOXES : 1));
    expect(tries).toBeGreaterThan(10);
    expect(await counts()).toEqual({ held: WAITING + urgent.length });
    for (const id of urgent) expect(await read(id)).toMatchObject({ status: 'held', attempts: [], mailbox: 'm0' });
    const spent = await admin
      .pipeline(ids.map((id) => ['hmget', `{postroom}:message:${id}`, 'status', 'attempts', 'tries']))
      .exec();
    expect(spent?.filter(([, found]) => String(found) !== 'queued,,')).toEqual([]);

    server.comeBack();
    let quiet = 0;
    for (let passed = 0; passed < LONGEST_WAIT + MINUTES_AFTERWARDS * MINUTE; ) {
      const before = server.seen.length;
      const step = quiet > 10 ? COARSE / 2 : FINE;
      await clock.pass(step);
      passed += step;
      quiet = server.seen.length > before ? 0 : quiet + 1;
    }

    // What was on its way when the time was over.
    while ((await counts()).sending) await clock.pass(1);

    const { mailboxes: told, throttleReplies } = sandbox.stats();
    expect(throttleReplies).toBe(0);
    for (const each of Object.values(told)) {
      expect(each.submissionsPeakInWindow).toBeLessThanOrEqual(PER_MINUTE);
      expect(each.connectionsPeak).toBeLessThanOrEqual(3);
      expect(each.messages).toBeGreaterThanOrEqual(PER_MINUTE * MINUTES_AFTERWARDS);
    }
    expect(Object.keys(await counts()).sort()).toEqual(['queued', 'sent']);
    for (const { address } of mailboxes) {
      const own = server.seen.filter(({ mailbox, what }) => mailbox === address && what !== 'greeting');
      // The first goes alone, and is answered before another begins.
      if (alone === 'each') expect(own.slice(0, 3).map(({ what }) => what)).toEqual(['mail', 'answered', 'mail']);
      expectInOrder(own.flatMap(({ what, to }) => (what === 'mail' ? [to] : [])));
    }
    if (alone === 'all')
      expect(server.seen.slice(0, 3).map(({ what }) => what)).toEqual(['greeting', 'mail', 'answered']);
  },
);

/** The urgent ones first, save for what was in hand; and the others by their age. */
function expectInOrder(recipients: string[]): void {
  const numbers = recipients.flatMap((to) => (to.startsWith('n') ? [Number.parseInt(to.slice(1), 10)] : []));
  const urgent = recipients.flatMap((to, index) => (to.startsWith('urgent') ? [index] : []));
  expect(Math.max(0, ...urgent)).toBeLessThan(urgent.length + IN_HAND);
  const sorted = numbers.toSorted((one, other) => one - other);
  const displaced = numbers.map((number, index) => Math.abs(sorted.indexOf(number) - index));
  expect(Math.max(...displaced)).toBeLessThanOrEqual(IN_HAND);
}

function closing<Closable extends { close(): Promise<void> }>(service: Closable): Closable & AsyncDisposable {
  return { ...service, [Symbol.asyncDispose]: () => service.close() };
}
