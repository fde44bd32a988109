import type { Redis } from 'ioredis';

/**
 * So much of a command's time is left for its answer. What is refused as late though its answer comes in time is asked for
 * again.
 */
const ANSWER_MILLISECONDS = 200;

/** What Redis's clock is ahead of our monotonic one at most, by the quickest answer so far, over each connection. */
const aheadOf = new WeakMap<Redis, number>();

/**
 * Asks for what must not be done once nobody waits for it. A Redis that stands still reads what was sent to it when it goes
 * on, after its sender was told that it does not answer, and may have sent the message by another way: only Redis can see
 * that it is too late by then.
 *
 * @param ask given until when it may be done, in milliseconds since the epoch by Redis's clock, if there is an end
 * @param timeOf when that was by Redis's clock, where the answer tells, and whether it was too late
 */
export async function whileAwaited<Answer>(
  redis: Redis,
  ask: (until: number | undefined) => Promise<Answer>,
  timeOf: (answer: Answer) => { at: number | undefined; isLate: boolean },
): Promise<Answer> {
  const { commandTimeout } = redis.options;
  if (typeof commandTimeout !== 'number') return ask(undefined);
  const ahead = aheadOf.get(redis) ?? (await firstAhead(redis));
  const askedAt = performance.now();
  const left = commandTimeout - ANSWER_MILLISECONDS;
  const answer = await ask(Math.ceil(askedAt + ahead + left));
  const { at, isLate } = timeOf(answer);
  if (at !== undefined) {
    const most = at - askedAt;
    aheadOf.set(redis, isLate ? most : Math.min(most, ahead));
  }
  // Whoever reads this still waits: Redis's clock was set, or it was a near thing.
  return isLate ? whileAwaited(redis, ask, timeOf) : answer;
}

async function firstAhead(redis: Redis): Promise<number> {
  const askedAt = performance.now();
  const [seconds, microseconds] = await redis.time();
  const ahead = Number(seconds) * 1_000 + Number(microseconds) / 1_000 - askedAt;
  aheadOf.set(redis, ahead);
  return ahead;
}
