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
 * job, which nobody reads. All that end at about the same time in one step: one of BullMQ's for each was the dearest
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

-- Up to so many, those without a priority first; what has a priority becomes active in one go.
local function nextJobs(count)
  local ids = {}
  while #ids < count do
    local id = redis.call('RPOPLPUSH', WAIT, ACTIVE)
    if not id then break end
    ids[#ids + 1] = id
  end
  if #ids < count then
    local popped = redis.call('ZPOPMIN', PRIORITIZED, count - #ids)
    local ranked = {}
    for i = 1, #popped, 2 do
      ranked[#ranked + 1] = popped[i]
      ids[#ids + 1] = popped[i]
    end
    if #ranked > 0 then redis.call('LPUSH', ACTIVE, unpack(ranked)) end
  end
  return ids
end

local locks, over, gone, wanted, answers = {}, {}, {}, {}, {}
for i = 4, #ARGV, 3 do locks[#locks + 1] = prefix .. ARGV[i] .. ':lock' end
for i, token in ipairs(redis.call('MGET', unpack(locks))) do
  local id = ARGV[1 + 3 * i]
  if token ~= ARGV[2 + 3 * i] then answers[i] = { 'lost' }
  else
    over[#over + 1] = id
    gone[#gone + 1] = prefix .. id
    gone[#gone + 1] = locks[i]
    redis.call('LREM', ACTIVE, -1, id)
    if ARGV[3 + 3 * i] == '0' then answers[i] = { 'none', tostring(delayedUntil) }
    elseif isPlain then wanted[#wanted + 1] = i
    else answers[i] = { 'stock' } end
  end
end
if #over > 0 then
  redis.call('DEL', unpack(gone))
  redis.call('SREM', STALLED, unpack(over))
end

local given = 0
while given < #wanted do
  local ids = nextJobs(#wanted - given)
  if #ids == 0 then break end
  for _, id in ipairs(ids) do
    local job = redis.call('HMGET', prefix .. id, 'data', 'atm')
    if job[1] then
      given = given + 1
      local i = wanted[given]
      redis.call('SET', prefix .. id .. ':lock', ARGV[2 + 3 * i], 'PX', lockMilliseconds)
      answers[i] = { 'job', id, job[1], job[2] or '0' }
    else redis.call('LREM', ACTIVE, 1, id) end
  end
end
if given < #wanted then redis.call('DEL', COUNTER) end
for each = given + 1, #wanted do answers[wanted[each]] = { 'none', tostring(delayedUntil) } end
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
