import { HOLD_IN, HOLDS_CONCERNING, LASTING_HOLD } from './lasting-hold.ts';
import { WHOLE } from './number-scripts.ts';
import { WINDOW_USE } from './window-use.ts';

/**
 * Atomic steps in Lua that are scripts of their own; above each is what it is given. Redis's clock is the only clock in
 * them, so that processes need not agree on the time.
 */

/**
 * A record with all that a reader wants to know beside it, in one step: ARGV prefix of all keys.
 * Which mailbox it belongs to is only known once it is read, so its keys are made here; all share one hash tag.
 */
export const READ = `${LASTING_HOLD}${WINDOW_USE}
local m = redis.call('HGETALL', KEYS[1])
if #m == 0 then return false end
local prefix = ARGV[1]
local mailbox = redis.call('HGET', KEYS[1], 'mailbox') or ''
-- Were these damaged, the message could still be read.
local about = redis.pcall('HMGET', prefix .. ':mailbox:' .. mailbox, 'holdKeys', 'left')
local hold = lastingHold(prefix .. ':holds', mailbox, about[1])
local day = redis.pcall('HGET', prefix .. ':day:' .. mailbox, 'sum')
return { m, hold, about[2] or '0', windowUse(prefix .. ':permits:' .. mailbox), type(day) == 'string' and day or '0' }
`;

/**
 * Voids a job that a dead owner left active: only its message's next ticket may act. KEYS message, due; ARGV ticket, id.
 * The sweeper looks after it soon, in case that the next ticket's job is never added.
 */
export const RETICKET = `${WHOLE}
local m = redis.call('HMGET', KEYS[1], 'status', 'ticket', 'nextAttemptAt')
local ticket = whole(m[2])
if (m[1] ~= 'queued' and m[1] ~= 'deferred') or not ticket or ticket ~= tonumber(ARGV[1]) then return 0 end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], math.max(time[1] * 1000, whole(m[3]) or 0) + 30000, ARGV[2])
redis.call('HSET', KEYS[1], 'ticket', ticket + 1)
return ticket + 1
`;

/** What a key says that is written whole; nil where it says nothing, or is something else: the next write makes it good. */
const SAID = `
local function said(key)
  local text = redis.pcall('GET', key)
  if type(text) ~= 'table' then return text or nil end
  redis.log(redis.LOG_WARNING, 'postroom takes what is damaged in ' .. key .. ' for missing')
end
`;

/**
 * Takes (1) or renews (2) leases; 0 where somebody else has one: KEYS lease, last owner, and again; ARGV milliseconds,
 * then an id for each. A lease that had run out while nobody else took it counts as renewed; one that is damaged must not
 * cost the others of its owner theirs.
 */
export const LEASE = `${SAID}
local answers = {}
for i = 1, #KEYS, 2 do
  local id = ARGV[1 + (i + 1) / 2]
  local holder = said(KEYS[i])
  if holder and holder ~= id then answers[#answers + 1] = 0
  else
    redis.call('SET', KEYS[i], id, 'PX', ARGV[1])
    if said(KEYS[i + 1]) == id then answers[#answers + 1] = 2
    else
      redis.call('SET', KEYS[i + 1], id)
      answers[#answers + 1] = 1
    end
  end
end
return answers
`;

/**
 * A hold that the engine begins, puts off, or ends (no JSON); 0 where an operator holds, whose hold stays as it is, since
 * it may have begun while a message tried out another: KEYS holds; ARGV key of the hold, JSON or ''.
 */
export const ENGINES_HOLD = `${HOLD_IN}
if isPersons(holdIn(redis.call('HGET', KEYS[1], ARGV[1]))) then return 0 end
if ARGV[2] == '' then redis.call('HDEL', KEYS[1], ARGV[1])
else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1
`;

/**
 * Which holds concern a mailbox. What it was held by under a credential or a server that it has no more would stay for days
 * in what operators look at: it ends, unless the lane whose message met it last still has the same owner, who would try
 * that again. KEYS what is known of the mailbox, holds; ARGV prefix of the leases' keys, the keys of the holds as
 * JSON, and each. Answers the keys of those that have ended.
 */
export const DESCRIBE = `${HOLD_IN}${SAID}
local isRead, before = pcall(cjson.decode, redis.call('HGET', KEYS[1], 'holdKeys') or '[]')
redis.call('HSET', KEYS[1], 'holdKeys', ARGV[2])
local concerns, ended = {}, {}
for i = 3, #ARGV do concerns[ARGV[i]] = true end
for _, key in ipairs(isRead and type(before) == 'table' and before or {}) do
  key = tostring(key)
  local isShared = string.sub(key, 1, 7) == 'tenant:' or string.sub(key, 1, 5) == 'host:'
  local json = isShared and not concerns[key] and redis.call('HGET', KEYS[2], key)
  local hold = holdIn(json)
  local by = hold and type(hold.by) == 'table' and hold.by
  local isDriven = by and said(ARGV[1] .. tostring(by.mailbox)) == by.lease
  if json and not isDriven then
    redis.call('HDEL', KEYS[2], key)
    ended[#ended + 1] = key
  end
end
return ended
`;

/**
 * A person's leave to go on: ends an operator's holds that concern a mailbox, and lets any other be tried out now, or ends
 * it where there is nothing to try it out with: the mailbox has nothing to send, and, where it is held with others, no other
 * has, all of which would go at once. In one step, since a hold may end meanwhile, or an operator begin one. KEYS holds,
 * busy, what is known of the mailbox; ARGV mailbox. Answers the keys of those holds.
 */
export const RELEASE_HOLDS = `${HOLD_IN}${HOLDS_CONCERNING}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local isIdle, areAllIdle = not redis.call('ZSCORE', KEYS[2], ARGV[1]), redis.call('ZCARD', KEYS[2]) == 0
local released = {}
for _, key in ipairs(holdsConcerning(ARGV[1], redis.call('HGET', KEYS[3], 'holdKeys'))) do
  local before = redis.call('HGET', KEYS[1], key)
  local hold = holdIn(before)
  if before then
    local isUntried = areAllIdle or (isIdle and key == 'mailbox:' .. ARGV[1])
    if isUntried or isPersons(hold) then redis.call('HDEL', KEYS[1], key)
    elseif hold then
      hold.nextProbeAt = now
      redis.call('HSET', KEYS[1], key, cjson.encode(hold))
    end
    released[#released + 1] = key
  end
end
return released
`;

/**
 * The right to try out whether a hold is over: KEYS trial; ARGV `<lease> <mailbox>` of the lane that wants it,
 * milliseconds, prefix of the leases' keys. One whose lane has passed to another owner was left by a process that died
 * or sleeps, and must not keep the hold until it would have ended by itself.
 */
export const CLAIM_TRIAL = `${SAID}
local holder = said(KEYS[1])
if holder and holder ~= ARGV[1] then
  local lease, mailbox = string.match(holder, '^(%S+) (.*)$')
  if not lease or said(ARGV[3] .. mailbox) == lease then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`;

/**
 * The mailboxes with work, and whether somebody drives each: KEYS busy; ARGV prefix of the leases' keys, milliseconds of
 * a lease. The leases' keys are made here, where the mailboxes are known; all share one hash tag.
 */
export const LOOK = `
local found = {}
for _, mailbox in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local left = redis.call('PTTL', ARGV[1] .. mailbox)
  -- Only a clock that was set back can have made it longer: its owner, who may be dead, renews it if it lives.
  if left > tonumber(ARGV[2]) then redis.call('PEXPIRE', ARGV[1] .. mailbox, ARGV[2]) end
  found[#found + 1] = mailbox
  found[#found + 1] = left == -2 and 0 or 1
end
return found
`;

/**
 * Takes messages that the sweeper should look at, the longest overdue first, and puts off the next look at them, so that
 * several processes share the work and what a dead one took comes again: KEYS due; ARGV most, milliseconds put off.
 */
export const CLAIM_DUE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], now + ARGV[2], id) end
return ids
`;

export const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`;
