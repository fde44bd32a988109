import type { Redis } from 'ioredis';

/** A job of a lane that is over, and what its place is wanted for. */
export interface Over {
  jobId: string;
  /** The worker's lock on it. */
  token: string;
  fetchNext: boolean;
}

/** What comes of it; `stock` leaves the rest to BullMQ's own scripts. */
export type Next =
  | { kind: 'job'; id: string; data: string; attemptsMade: number }
  /** Nothing waits; a delayed job is due at this time, in milliseconds, or there is none. */
  | { kind: 'none'; delayedUntil: number }
  /** Not locked by this token any more: nothing was done. */
  | { kind: 'lost' }
  /** It is over; fetching needs what only BullMQ's own script does: delayed jobs that are due, a queue that is paused. */
  | { kind: 'stock' };

/** The keys of a queue of BullMQ's that are touched. */
export type FinishKeys = readonly [
  wait: string,
  active: string,
  prioritized: string,
  delayed: string,
  meta: string,
  priorityCounter: string,
  stalled: string,
];

/**
 * Ends jobs of one queue and fetches the next ones, with the same effect as a `moveToFinished` of BullMQ 6.7 each for
 * jobs that are removed when they are completed, but for its `active` and `completed` events and the time noted at the
 * job, which nobody reads. All of one turn of the event loop in one step: one of BullMQ's for each was the dearest
 * thing that Redis did for a message.
 *
 * ARGV prefix of jobs' keys, now, milliseconds of a lock, and for each job its id, token and whether to fetch (1).
 */
const FINISH_AND_FETCH = `
local WAIT, ACTIVE, PRIORITIZED, DELAYED, META, COUNTER, STALLED = unpack(KEYS)
local prefix, now, lockMilliseconds = ARGV[1], tonumber(ARGV[2]), ARGV[3]
-- BullMQ keeps the time of a delayed job in the upper bits of its score.
local first = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
local delayedUntil = first[2] and math.floor(first[2] / 4096) or 0
local meta = redis.call('HMGET', META, 'paused', 'concurrency', 'max')
local isPlain = not (meta[1] or meta[2] or meta[3]) and (delayedUntil == 0 or delayedUntil > now)

local function nextJob()
  local id = redis.call('RPOPLPUSH', WAIT, ACTIVE)
  if not id then
    id = redis.call('ZPOPMIN', PRIORITIZED)[1]
    if id then redis.call('LPUSH', ACTIVE, id) end
  end
  return id
end

local function fetch(token)
  for id in nextJob do
    local job = redis.call('HMGET', prefix .. id, 'data', 'atm')
    if job[1] then
      redis.call('SET', prefix .. id .. ':lock', token, 'PX', lockMilliseconds)
      return { 'job', id, job[1], job[2] or '0' }
    end
    redis.call('LREM', ACTIVE, 1, id)
  end
  redis.call('DEL', COUNTER)
  return { 'none', tostring(delayedUntil) }
end

local answers = {}
for i = 4, #ARGV, 3 do
  local id, token = ARGV[i], ARGV[i + 1]
  local answer
  if redis.call('GET', prefix .. id .. ':lock') ~= token then
    answer = { 'lost' }
  else
    redis.call('DEL', prefix .. id, prefix .. id .. ':lock')
    redis.call('LREM', ACTIVE, -1, id)
    redis.call('SREM', STALLED, id)
    if ARGV[i + 2] == '0' then answer = { 'none', tostring(delayedUntil) }
    elseif isPlain then answer = fetch(token)
    else answer = { 'stock' } end
  end
  answers[#answers + 1] = answer
end
return answers
`;

interface Scripted {
  finishAndFetch(numberOfKeys: number, ...keysAndValues: (string | number)[]): Promise<string[][]>;
}

/** @returns ends those jobs of a queue and tells what comes of each, in order */
export function finisher(redis: Redis) {
  redis.defineCommand('finishAndFetch', { lua: FINISH_AND_FETCH });
  const scripted = redis as unknown as Scripted;
  return async (keys: FinishKeys, prefix: string, lockMilliseconds: number, over: Over[]): Promise<Next[]> => {
    const jobs = over.flatMap(({ jobId, token, fetchNext }) => [jobId, token, fetchNext ? '1' : '0']);
    const answers = await scripted.finishAndFetch(keys.length, ...keys, prefix, Date.now(), lockMilliseconds, ...jobs);
    return answers.map(nextOf);
  };
}

function nextOf([kind, first = '', data = '', attemptsMade = '0']: string[]): Next {
  if (kind === 'job') return { kind, id: first, data, attemptsMade: Number(attemptsMade) };
  if (kind === 'none') return { kind, delayedUntil: Number(first) };
  return { kind: kind === 'lost' ? 'lost' : 'stock' };
}
