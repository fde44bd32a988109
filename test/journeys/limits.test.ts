import { expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { pause, randomFrom, wreak } from '../support/disasters.ts';
import { manyMailboxes, startFleet } from '../support/fleet.ts';
import { eventually } from '../support/postroom.ts';
import { startTestRedis } from '../support/redis.ts';
import { startRedisProxy } from '../support/redis-proxy.ts';

/**
 * Whether a mailbox's limits are kept, counted at the server, by nothing that Postroom counts by. Run it longer, or
 * again as it was, with POSTROOM_LIMITS_SECONDS, POSTROOM_LIMITS_WINDOW (seconds) and POSTROOM_LIMITS_SEED.
 */
const SECONDS = Number(process.env.POSTROOM_LIMITS_SECONDS ?? 15);
/** Longer than a lease, so that a new owner has a window that the last one has begun. */
const WINDOW_SECONDS = Number(process.env.POSTROOM_LIMITS_WINDOW ?? 5);
const SEED = Number(process.env.POSTROOM_LIMITS_SEED ?? Date.now() % 1_000_000);
const PER_WINDOW = 50;
const CONNECTIONS = 3;
const SETTLING_MILLISECONDS = 150_000;

/** What the server saw of one message on one connection, by the test's clock. */
interface Seen {
  at: number;
  what: string;
  session: string;
}

/** The most of these times that lie in any window of that length, and the first window with as many. */
function busiest(seen: Seen[], milliseconds: number): { most: number; window: Seen[] } {
  const times = [...seen].sort((one, other) => one.at - other.at);
  let most = 0;
  let window: Seen[] = [];
  for (let first = 0, last = 0; last < times.length; last++) {
    while ((times[last] as Seen).at - (times[first] as Seen).at >= milliseconds) first++;
    if (last - first + 1 <= most) continue;
    most = last - first + 1;
    window = times.slice(first, last + 1);
  }
  return { most, window };
}

/** Notes when each mailbox began a message, and when the last octet of one had come. */
function watcher() {
  const begun = new Map<string, Seen[]>();
  const ended = new Map<string, Seen[]>();
  const onReply: NonNullable<Parameters<typeof startSandbox>[0]>['onReply'] = ({ stage, session }) => {
    const seen = stage === 'mail' ? begun : stage === 'message' ? ended : undefined;
    if (!seen) return undefined;
    const mailbox = session.mailbox ?? '';
    const what = { at: performance.now(), what: stage, session: session.id };
    seen.set(mailbox, [...(seen.get(mailbox) ?? []), what]);
    return undefined;
  };
  return { begun, ended, onReply };
}

const connectionsOf = (sandbox: Sandbox) =>
  Object.values(sandbox.stats().mailboxes).map(({ connectionsPeak }) => connectionsPeak);

it(`no mailbox ever exceeds its limits while everything fails (seed ${SEED})`, {
  timeout: SECONDS * 1_000 + 2 * SETTLING_MILLISECONDS,
}, async () => {
  console.log(`limits: POSTROOM_LIMITS_SEED=${SEED} POSTROOM_LIMITS_SECONDS=${SECONDS}`);
  const random = randomFrom(SEED);
  const { begun, ended, onReply } = watcher();
  await using redis = await startTestRedis();
  await using proxy = await startRedisProxy(redis.url);
  await using sandbox = await startSandbox({
    mailboxes: manyMailboxes(2),
    limits: { messagesPerWindow: PER_WINDOW, windowSeconds: WINDOW_SECONDS, connections: CONNECTIONS },
    onReply,
  });
  const limits = { messagesPerMinute: PER_WINDOW, windowSeconds: WINDOW_SECONDS, connections: CONNECTIONS };
  await using fleet = await startFleet({ redisUrl: proxy.url, sandbox, limits }, 3);

  // Always more than may be sent, from the first second to the last.
  const count = Math.ceil((2 * PER_WINDOW * (SECONDS + 5)) / WINDOW_SECONDS);
  const ids: string[] = [];
  const fill = async (index: number) => {
    const from = `m${index % 2}@postroom.example`;
    const to = index % 7 === 0 ? 'slow-300@fabrikam.com' : 'ada@fabrikam.com';
    ids.push(await fleet.api.sendTo(to, { from, onUnconfirmed: 'resend' }));
  };
  for (let index = 0; index < count; index += 20)
    await Promise.all(Array.from({ length: 20 }, (_, each) => fill(index + each)));
  const disasters = await wreak({ fleet, redis, proxy, sandbox }, random, SECONDS);
  const late = [...ids];
  let last: unknown;
  await eventually(
    async () => {
      const [id = ''] = late;
      const view = await fleet.api.read(id).catch((error: Error) => error);
      last = view;
      if ('status' in view && view.status === 'sent') late.shift();
      else await pause(100);
      return late.length === 0;
    },
    () => `${late.length} were not sent, the first of them ${JSON.stringify(last)} ${last}`,
    SETTLING_MILLISECONDS,
  );
  const milliseconds = WINDOW_SECONDS * 1_000;
  const starts = [...begun.values()].map((seen) => busiest(seen, milliseconds));
  const dots = [...ended.values()].map((seen) => busiest(seen, milliseconds));
  const { throttleReplies } = sandbox.stats();
  console.log(
    `limits: ${disasters.join(' ')}: starts ${starts.map(({ most }) => most)}, dots ${dots.map(({ most }) => most)}, ` +
      `connections ${connectionsOf(sandbox)}, throttled ${throttleReplies}`,
  );
  const over = [...starts, ...dots].filter(({ most }) => most > PER_WINDOW);
  expect(over).toEqual([]);
  for (const most of connectionsOf(sandbox)) expect(most).toBeLessThanOrEqual(CONNECTIONS);
  expect(throttleReplies).toBe(0);
});
