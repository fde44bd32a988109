/**
 * The atomic steps, in Lua. Redis's clock is the only clock in them, so that processes need not agree on the time.
 *
 * KEYS of every script, in this order: message, mime, attempts, events, due, busy, counts, sending, permits, flights,
 * day, mailbox, lease, idempotency, holds. The names below are what the rest of the code calls them.
 */
const PRELUDE = `
local MESSAGE, MIME, ATTEMPTS, EVENTS, DUE, BUSY, COUNTS, SENDING, PERMITS, FLIGHTS, DAY, MAILBOX, LEASE, IDEMPOTENCY, HOLDS =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local order = cjson.decode(ARGV[1])

-- What the engine still has something to do about; the rest waits for a person or is over.
local ENGINE = { scheduled = 1, queued = 1, sending = 1, deferred = 1 }

local function transit(from, to)
  local mailbox = order.mailbox
  if from then redis.call('HINCRBY', COUNTS, from .. '|' .. mailbox, -1) end
  redis.call('HINCRBY', COUNTS, to .. '|' .. mailbox, 1)
  local change = (ENGINE[to] or 0) - (from and ENGINE[from] or 0)
  if change ~= 0 then
    redis.call('ZINCRBY', BUSY, change, mailbox)
    redis.call('ZREMRANGEBYSCORE', BUSY, '-inf', 0)
    if from then redis.call('HINCRBY', MAILBOX, 'left', -change) end
  end
  if to == 'sending' then redis.call('SADD', SENDING, order.id)
  elseif from == 'sending' then redis.call('SREM', SENDING, order.id) end
end

local function tell(status, extra, hooks)
  local event = extra or {}
  event.at = now
  event.status = status
  redis.call('RPUSH', EVENTS, cjson.encode(event))
  redis.call('LTRIM', EVENTS, -500, -1)
  redis.call('PUBLISH', order.changed, order.id)
  -- The key of the webhooks' outbox, in the records of messages whose caller has any: all that others pay is this look.
  if hooks then redis.call('XADD', hooks, '*', 'id', order.id, 'attemptsKept', redis.call('LLEN', ATTEMPTS), unpack(redis.call('HGETALL', MESSAGE))) end
end

-- A finished message is kept for a while to be read; its content goes at once unless a person may want it sent again.
local function keepOrForget(status)
  local keep = order.retain and order.retain[status]
  if keep then
    for _, key in ipairs({ MESSAGE, ATTEMPTS, EVENTS }) do redis.call('PEXPIRE', key, keep.record) end
    if keep.content > 0 then redis.call('PEXPIRE', MIME, keep.content) else redis.call('DEL', MIME) end
    redis.call('ZREM', DUE, order.id)
  else
    for _, key in ipairs({ MESSAGE, ATTEMPTS, EVENTS, MIME }) do redis.call('PERSIST', key) end
  end
end
`;

/** Writes record, content, idempotency entry and indexes, or finds the answer that was given before. */
export const ACCEPT = `${PRELUDE}
if order.fingerprint then
  local known = redis.call('HMGET', IDEMPOTENCY, 'fingerprint', 'id')
  if known[1] then
    return { known[1] == order.fingerprint and 'replayed' or 'conflict', known[2] }
  end
end
-- An id is made for one request alone: it is there already only where the answer to this very step was lost.
local written = redis.call('HMGET', MESSAGE, 'acceptedAt', 'expiresAt', 'aheadAtFirst')
if written[1] then return { 'accepted', written[1], written[2], written[3] } end
local expiresAt = order.expiresAt or (now + order.lifetime)
local place = redis.call('HINCRBY', MAILBOX, 'accepted', 1)
local ahead = place - 1 - tonumber(redis.call('HGET', MAILBOX, 'left') or 0)
redis.call('HSET', MESSAGE, 'fixed', ARGV[2], 'callerId', order.callerId, 'mailbox', order.mailbox, 'status', 'queued',
  'revision', 1, 'ticket', 1, 'attempts', 0, 'pending', order.recipients,
  'acceptedAt', now, 'updatedAt', now, 'expiresAt', expiresAt, 'place', place, 'aheadAtFirst', ahead)
redis.call('SET', MIME, ARGV[3])
if order.fingerprint then
  redis.call('HSET', IDEMPOTENCY, 'fingerprint', order.fingerprint, 'id', order.id)
  redis.call('PEXPIRE', IDEMPOTENCY, order.idempotencyLifetime)
end
redis.call('ZADD', DUE, now + order.firstLook, order.id)
transit(nil, 'queued')
if order.hooks then redis.call('HSET', MESSAGE, 'hooks', order.hooks) end
tell('queued', nil, order.hooks)
return { 'accepted', tostring(now), tostring(expiresAt), tostring(ahead) }
`;

/**
 * Leave to start one attempt now, and the move to `sending`, in one step. A place in the sliding window is taken while
 * the attempt runs and for one window after its reply, since nobody outside Microsoft knows when it counts.
 */
export const BEGIN = `${PRELUDE}
local m = redis.call('HMGET', MESSAGE, 'status', 'ticket', 'pending', 'expiresAt', 'attemptToken', 'updatedAt', 'hooks')
-- The answer was lost on its way and the step is repeated.
if m[1] == 'sending' and m[5] == order.token then
  return { 'go', m[6], redis.call('HGETALL', MESSAGE), redis.call('GET', MIME) }
end
if not m[1] or (m[1] ~= 'queued' and m[1] ~= 'deferred') or tonumber(m[2]) ~= order.ticket then return { 'void' } end
if redis.call('GET', LEASE) ~= order.lease then return { 'lost' } end
if tonumber(m[4]) <= now and not order.ignoreExpiry then return { 'expired' } end
if not order.trial then
  for _, key in ipairs(order.holdKeys) do
    if redis.call('HEXISTS', HOLDS, key) == 1 then return { 'held' } end
  end
end

local window, recipients = order.window, tonumber(m[3])
redis.call('ZREMRANGEBYSCORE', PERMITS, '-inf', now)
-- Only a clock that was set back can leave a place taken for longer than a window: it counts from now on.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', PERMITS, '(' .. (now + window), '+inf')) do
  redis.call('ZADD', PERMITS, now + window, member)
end
local running = redis.call('ZCARD', FLIGHTS)
if redis.call('ZCARD', PERMITS) + running >= order.perWindow then
  local first = redis.call('ZRANGE', PERMITS, 0, 0, 'WITHSCORES')
  -- Where every place is taken by a running attempt, the next reply frees one a window later; look again soon.
  return { 'wait', tostring(first[2] and (first[2] - now) or math.min(window, 1000)) }
end

local slice = math.floor(now / order.daySlice)
local oldest, used, firstUsed = slice - order.daySlices, 0, nil
local slices = redis.call('HGETALL', DAY)
for i = 1, #slices, 2 do
  local number = tonumber(slices[i])
  if number < oldest then redis.call('HDEL', DAY, slices[i])
  else
    if number > slice + 1 then
      -- Only a clock that was set back can leave it there: it counts from now on.
      redis.call('HINCRBY', DAY, slice, slices[i + 1])
      redis.call('HDEL', DAY, slices[i])
      number = slice
    end
    used = used + tonumber(slices[i + 1])
    if not firstUsed or number < firstUsed then firstUsed = number end
  end
end
if used + recipients > order.perDay then
  local free = firstUsed and (firstUsed + order.daySlices + 1) * order.daySlice - now or order.daySlice
  return { 'quota', tostring(math.max(free, 1000)) }
end

redis.call('ZADD', FLIGHTS, now, order.token)
redis.call('HINCRBY', DAY, slice, recipients)
redis.call('HSET', MESSAGE, 'status', 'sending', 'attemptToken', order.token, 'slice', slice, 'updatedAt', now)
redis.call('HDEL', MESSAGE, 'dotMayHaveLeft', 'nextAttemptAt')
redis.call('HINCRBY', MESSAGE, 'revision', 1)
redis.call('ZADD', DUE, now + order.longestAttempt, order.id)
transit(m[1], 'sending')
tell('sending', nil, m[7])
return { 'go', tostring(now), redis.call('HGETALL', MESSAGE), redis.call('GET', MIME) }
`;

/** Written before the final dot may leave; refused to whoever no longer holds the message. */
export const MARK_DOT = `
local m = redis.call('HMGET', KEYS[1], 'status', 'attemptToken')
if m[1] ~= 'sending' or m[2] ~= ARGV[1] then return 0 end
-- A script that has written may go on when memory is full, and what is being sent should not stop for a mark.
redis.call('HDEL', KEYS[1], 'dotMayHaveLeft')
redis.call('HSET', KEYS[1], 'dotMayHaveLeft', 1)
return 1
`;

/**
 * One checked move. Changes nothing unless the message is in one of \`order.from\` and, where a token is named, in that
 * token's hands. Gives back the places and recipients that the attempt did not use.
 */
export const MOVE = `${PRELUDE}
local m = redis.call('HMGET', MESSAGE, 'status', 'attemptToken', 'slice', 'ticket', 'settledBy', 'hooks')
-- The answer was lost on its way and the step is repeated.
if order.token and m[5] == order.token and m[1] == order.to then return { 'moved', m[4], tostring(now) } end
if order.flight then
  -- Also where the message has moved on, or a new owner has freed the place: the server has counted this attempt now.
  redis.call('ZREM', FLIGHTS, order.token)
  if order.flight.counted then
    redis.call('ZADD', PERMITS, now + order.flight.window, order.token)
    redis.call('PEXPIRE', PERMITS, order.flight.window + 60000)
  end
end
local allowed = false
for _, status in ipairs(order.from) do allowed = allowed or status == m[1] end
if not allowed or (order.token and m[2] ~= order.token) then return { 'refused', m[1] or '' } end

if order.flight then
  if order.flight.unused > 0 and m[3] and redis.call('HEXISTS', DAY, m[3]) == 1 then
    redis.call('HINCRBY', DAY, m[3], -order.flight.unused)
  end
end

local set = { 'status', order.to, 'updatedAt', now }
if order.token then table.insert(set, 'settledBy') table.insert(set, order.token) end
for field, value in pairs(order.set) do table.insert(set, field) table.insert(set, value) end
local nextAttemptAt = order.delay and (now + order.delay)
if nextAttemptAt then table.insert(set, 'nextAttemptAt') table.insert(set, nextAttemptAt) end
redis.call('HSET', MESSAGE, unpack(set))
if not nextAttemptAt then redis.call('HDEL', MESSAGE, 'nextAttemptAt') end
if #order.clear > 0 then redis.call('HDEL', MESSAGE, unpack(order.clear)) end
redis.call('HINCRBY', MESSAGE, 'revision', 1)
local ticket = redis.call('HINCRBY', MESSAGE, 'ticket', 1)
if order.attempt then redis.call('RPUSH', ATTEMPTS, order.attempt) redis.call('LTRIM', ATTEMPTS, -100, -1) end
transit(m[1], order.to)
redis.call('ZADD', DUE, (nextAttemptAt or now) + order.nextLook, order.id)
keepOrForget(order.to)
tell(order.to, order.event, m[6])
return { 'moved', tostring(ticket), tostring(now) }
`;

/**
 * A record with all that a reader wants to know beside it, in one step: ARGV id, prefix of all keys.
 * Which mailbox it belongs to is only known once it is read, so its keys are made here; all share one hash tag.
 */
export const READ = `
local m = redis.call('HGETALL', KEYS[1])
if #m == 0 then return false end
local prefix = ARGV[1]
local mailbox = redis.call('HGET', KEYS[1], 'mailbox')
local about = redis.call('HMGET', prefix .. ':mailbox:' .. mailbox, 'holdKeys', 'left')
local hold = false
for _, key in ipairs(about[1] and cjson.decode(about[1]) or {}) do
  hold = hold or redis.call('HGET', prefix .. ':holds', key)
end
return { m, redis.call('LRANGE', KEYS[2], 0, -1), hold, about[2] or '0' }
`;

/**
 * Voids a job that a dead owner left active: only its message's next ticket may act. KEYS message, due; ARGV ticket, id.
 * The sweeper looks after it soon, in case that the next ticket's job is never added.
 */
export const RETICKET = `
local m = redis.call('HMGET', KEYS[1], 'status', 'ticket', 'nextAttemptAt')
if (m[1] ~= 'queued' and m[1] ~= 'deferred') or m[2] ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], math.max(time[1] * 1000, tonumber(m[3] or 0)) + 30000, ARGV[2])
return redis.call('HINCRBY', KEYS[1], 'ticket', 1)
`;

/**
 * Frees, a full window from now, the places of attempts whose owner died: KEYS flights, permits; ARGV window.
 * Only the holder of the lane's lease may call it, when it has just taken the lane over.
 */
export const LAND_ORPHANS = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local orphans = redis.call('ZRANGE', KEYS[1], 0, -1)
for _, token in ipairs(orphans) do redis.call('ZADD', KEYS[2], now + tonumber(ARGV[1]), token) end
redis.call('DEL', KEYS[1])
return #orphans
`;

/**
 * Takes (1) or renews (2) a lease; 0 where somebody else has it: KEYS lease, last owner; ARGV id, milliseconds.
 * A lease that had run out while nobody else took it counts as renewed.
 */
export const LEASE = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if redis.call('GET', KEYS[2]) == ARGV[1] then return 2 end
redis.call('SET', KEYS[2], ARGV[1])
return 1
`;

export const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`;
