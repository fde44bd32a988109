import { LASTING_HOLD } from './lasting-hold.ts';
import { ADD, STANDING, WHOLE } from './number-scripts.ts';
import { ANNOUNCE } from './webhook-scripts.ts';
import { WINDOW_USE } from './window-use.ts';

/**
 * Writes records, contents, idempotency entries, indexes and first jobs of the messages that came in one turn, or finds
 * the answers that were given before. On disk by one sync, and what belongs to the mailbox is counted once for all of
 * them.
 *
 * KEYS due, busy, counts, holds; those of the messages are made here, since each argument costs both sides more than
 * putting a key together. ARGV what is the same for all of them, the orders as one list, until when somebody waits for
 * them or '' (see `whileAwaited`), then fixed part and MIME of each message. What is not written reads as its beginning (see
 * `recordOf`); the first event of the timeline is implied by the record, and nobody can wait for it yet. The answers are one
 * for each order, or `late` alone, and then the time.
 *
 * @param firstJobs Lua that defines `firstJobs(queue, timestamp, messages)`: adds the jobs of new messages, id and
 *   priority in turn, to the queue whose keys begin so; undefined where whoever accepts adds them
 */
export function acceptScript(firstJobs: string | undefined): string {
  return `${ANNOUNCE}${firstJobs ?? 'local firstJobs'}${ACCEPT}`;
}

const ACCEPT = `${LASTING_HOLD}${WINDOW_USE}${WHOLE}${ADD}${STANDING}
local DUE, BUSY, COUNTS, HOLDS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Redis takes several times as long over a number that it is given than over its digits.
local function digits(number) return string.format('%.0f', number) end
if ARGV[3] ~= '' and now > tonumber(ARGV[3]) then return { { 'late' }, { digits(now) } } end
local all = cjson.decode(ARGV[1])
local acceptedAt, firstLook = digits(now), digits(now + all.firstLook)

-- Why a message of this mailbox reads as held, as READ finds it. Mostly there are no holds at all; were their key damaged,
-- it would be no reason to refuse mail.
local areHolds = redis.call('EXISTS', HOLDS) == 1
local function holdOf(mailbox, key)
  if not areHolds then return false end
  local holdKeys = redis.pcall('HGET', key, 'holdKeys')
  return lastingHold(HOLDS, mailbox, type(holdKeys) == 'string' and holdKeys)
end

-- What is known of each mailbox, and how many new messages this script gives it.
local lanes = {}
local function laneOf(mailbox)
  if not lanes[mailbox] then
    local key = all.mailbox .. mailbox
    local accepted, left = standing(key, BUSY, mailbox)
    lanes[mailbox] = { key = key, accepted = accepted, left = left, new = 0, jobs = {},
      hold = holdOf(mailbox, key), use = windowUse(all.permits .. mailbox) }
  end
  return lanes[mailbox]
end

-- Has this caller webhooks? Asked here, since whoever got a 201 for one is told of what it sends next, by any process; once
-- for all of its messages.
local hooked = {}
local function isHooked(callerId)
  if hooked[callerId] == nil then hooked[callerId] = redis.call('EXISTS', all.webhooksOf .. callerId) == 1 end
  return hooked[callerId]
end

-- The new messages, as the set of those to look after takes them, those of each caller, as its list does, and how many
-- of a caller are which mailbox's.
local looked, listed, given = {}, {}, {}
local function append(list, one, other)
  list[#list + 1] = one
  list[#list + 1] = other
end

local function accept(order, fixed, mime)
  local MESSAGE, MIME, IDEMPOTENCY = all.message .. order.id, all.mime .. order.id, order.idempotency
  if IDEMPOTENCY then
    local known = redis.call('HMGET', IDEMPOTENCY, 'fingerprint', 'id', 'hold')
    if known[1] then
      return { known[1] == order.fingerprint and 'replayed' or 'conflict', known[2], known[3] }
    end
  end
  -- An id is made for one request alone: it is there already only where the answer to this very step was lost.
  if redis.call('EXISTS', MESSAGE) == 1 then
    local before = redis.call('HMGET', MESSAGE, 'acceptedAt', 'expiresAt', 'aheadAtFirst')
    return { 'accepted', before[1], before[2], before[3], laneOf(order.mailbox).hold }
  end
  -- A large content was written before, for a while only.
  local staged = mime == ''
  if staged and redis.call('STRLEN', MIME) ~= order.bytes then return { 'gone' } end
  local lane = laneOf(order.mailbox)
  local place = lane.accepted + lane.new + 1
  local ahead = digits(place - 1 - lane.left)
  if lane.use ~= '' then ahead = ahead .. ' ' .. lane.use end
  local expiresAt = digits(order.expiresAt or (now + (order.lifetime or all.lifetime)))
  redis.call('HSET', MESSAGE, 'fixed', fixed, 'callerId', order.callerId, 'mailbox', order.mailbox,
    'status', 'queued', 'revision', '1', 'ticket', '1', 'pending', order.recipients,
    'acceptedAt', acceptedAt, 'expiresAt', expiresAt, 'place', digits(place), 'aheadAtFirst', ahead)
  if not order.untold and isHooked(order.callerId) then
    redis.call('HSET', MESSAGE, 'hooks', all.outbox)
    announce(all.outbox, order.id, MESSAGE)
  end
  if staged then redis.call('PERSIST', MIME) else redis.call('SET', MIME, mime) end
  if IDEMPOTENCY then
    redis.call('HSET', IDEMPOTENCY, 'fingerprint', order.fingerprint, 'id', order.id)
    -- Part of the answer, which is repeated though the hold has ended: the record does not tell it.
    if lane.hold then redis.call('HSET', IDEMPOTENCY, 'hold', lane.hold) end
    redis.call('PEXPIRE', IDEMPOTENCY, all.idempotencyLifetime)
  end
  lane.new = lane.new + 1
  append(lane.jobs, order.id, order.priority)
  append(looked, firstLook, order.id)
  listed[order.callerId] = listed[order.callerId] or {}
  append(listed[order.callerId], acceptedAt, order.id)
  local own = given[order.callerId] or {}
  given[order.callerId] = own
  own[order.mailbox] = (own[order.mailbox] or 0) + 1
  return { 'accepted', acceptedAt, expiresAt, ahead, lane.hold }
end

local answers = {}
for i, order in ipairs(cjson.decode(ARGV[2])) do
  local isDone, answer = pcall(accept, order, ARGV[2 * i + 2], ARGV[2 * i + 3])
  -- What is wrong with one key must cost the other messages nothing. This one has left nothing: what fails comes before its
  -- record, and that is the first thing that wants memory.
  answers[i] = isDone and answer or { 'error', type(answer) == 'table' and answer.err or tostring(answer) }
end
-- First of all: what fails after this is put right by whoever looks after them.
if #looked > 0 then redis.call('ZADD', DUE, unpack(looked)) end
for mailbox, lane in pairs(lanes) do
  if lane.new > 0 then
    add(lane.key, 'accepted', lane.new)
    add(COUNTS, 'queued|' .. mailbox, lane.new)
    redis.call('ZINCRBY', BUSY, lane.new, mailbox)
    if firstJobs then
      -- What is wrong with the queue of one mailbox must not cost others their messages: the sweeper adds what is missing.
      local isAdded, why = pcall(firstJobs, all.queues .. mailbox .. ':', acceptedAt, lane.jobs)
      if not isAdded then
        local told = type(why) == 'table' and why.err or tostring(why)
        redis.log(redis.LOG_WARNING, 'postroom could not add the jobs of ' .. mailbox .. ': ' .. told)
      end
      redis.call('PUBLISH', all.wake, mailbox)
    end
  end
end
for callerId, list in pairs(listed) do
  aside('ZADD', all.lists .. callerId, unpack(list))
  aside('SADD', all.callers, callerId)
  for mailbox, new in pairs(given[callerId]) do
    add(all.counts .. callerId, 'accepted|' .. mailbox, new)
  end
end
answers[#answers + 1] = { acceptedAt }
return answers
`;

/**
 * One piece of a large content, for a while: KEYS content, message; ARGV where it begins, the piece, milliseconds. In one
 * step with its end, since a process that dies between the two would leave the piece for ever. Answers 0 where what is
 * before it has ended meanwhile: it would never be whole.
 */
export const STAGE = `
-- Sent again over a new connection, it was whole and accepted before the first sending of it was read: that has no end.
if redis.call('EXISTS', KEYS[2]) == 1 then return 1 end
local at = tonumber(ARGV[1])
if at > 0 and redis.call('STRLEN', KEYS[1]) < at then return 0 end
redis.call('SETRANGE', KEYS[1], at, ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`;
