/**
 * How much of a mailbox's allowance is used: a saturated lane against the sandbox's limits (30 messages in a sliding
 * window, here of 15 seconds instead of 60; 3 connections), with one worker process, with three, and with three of
 * which the owner of the lane is killed on the way. All three at the same time, each with a Redis and a sandbox of its
 * own. The efficiency is the least time in which so many may be sent, over the time from the first to the last.
 *
 *     npx tsx bench/pacing.ts [rounds] [messages] [window seconds]
 */
import { type Sandbox, startSandbox } from '../src/sandbox/sandbox.ts';
import { type Fleet, startFleet } from '../test/support/fleet.ts';
import { eventually } from '../test/support/postroom.ts';
import { startTestRedis } from '../test/support/redis.ts';
import { median, tell } from './support.ts';

const PER_WINDOW = 30;
const CASES = [
  { label: '1 worker', workers: 1, kill: false },
  { label: '3 workers', workers: 3, kill: false },
  { label: '3 workers, the owner killed', workers: 3, kill: true },
];

interface Outcome {
  efficiency: number;
  throttled: number;
  peak: number;
  connections: number;
  lostOrDoubled: number;
}

async function killOwner({ workers }: Fleet): Promise<void> {
  const owner = workers.find((each) => each.output().includes('"Lane opened"'));
  await owner?.end('SIGKILL');
}

async function sentTimes(sandbox: Sandbox, messages: number): Promise<number[]> {
  await eventually(() => sandbox.inbox.messages().length >= messages, undefined, 600_000);
  return sandbox.inbox.messages().map(({ receivedAt }) => Date.parse(receivedAt));
}

async function measure(each: (typeof CASES)[number], messages: number, windowSeconds: number): Promise<Outcome> {
  await using redis = await startTestRedis();
  await using sandbox = await startSandbox({
    limits: { messagesPerWindow: PER_WINDOW, windowSeconds, connections: 3 },
  });
  const limits = { messagesPerMinute: PER_WINDOW, windowSeconds, connections: 3 };
  await using fleet = await startFleet({ redisUrl: redis.url, sandbox, limits }, each.workers);
  for (let sent = 0; sent < messages; sent += 10)
    await Promise.all(Array.from({ length: 10 }, () => fleet.api.sendTo('ada@fabrikam.com')));
  if (each.kill) {
    await eventually(() => sandbox.inbox.messages().length >= PER_WINDOW + 5, undefined, 120_000);
    await killOwner(fleet);
  }
  const times = await sentTimes(sandbox, messages);
  const least = (Math.ceil(messages / PER_WINDOW) - 1) * windowSeconds * 1_000;
  const [stats] = Object.values(sandbox.stats().mailboxes);
  const distinct = new Set(sandbox.inbox.messages().map(({ messageId }) => messageId));
  return {
    efficiency: least / ((times.at(-1) ?? 0) - (times[0] ?? 0)),
    throttled: stats?.throttleReplies ?? 0,
    peak: stats?.submissionsPeakInWindow ?? 0,
    connections: stats?.connectionsPeak ?? 0,
    lostOrDoubled: Math.abs(messages - distinct.size) + (times.length - distinct.size),
  };
}

const rounds = Number(process.argv[2] ?? 5);
const messages = Number(process.argv[3] ?? 120);
const windowSeconds = Number(process.argv[4] ?? 15);
const results = CASES.map(() => [] as Outcome[]);
for (let round = 0; round < rounds; round += 1) {
  const outcomes = await Promise.all(CASES.map((each) => measure(each, messages, windowSeconds)));
  outcomes.forEach((outcome, index) => {
    results[index]?.push(outcome);
  });
}
console.log(
  `${rounds} rounds of ${messages} messages, ${PER_WINDOW} in any ${windowSeconds} s (goal 0.95, 0 throttled)`,
);
CASES.forEach(({ label }, index) => {
  const all = results[index] ?? [];
  tell(label, {
    efficiency: median(all.map(({ efficiency }) => efficiency)).toFixed(3),
    throttled: Math.max(...all.map(({ throttled }) => throttled)),
    'peak in a window': Math.max(...all.map(({ peak }) => peak)),
    connections: Math.max(...all.map(({ connections }) => connections)),
    'lost or doubled': Math.max(...all.map(({ lostOrDoubled }) => lostOrDoubled)),
  });
});
