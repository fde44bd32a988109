import { ADD, LAST_REVISION, STANDING, WHOLE } from './number-scripts.ts';
import { ANNOUNCE } from './webhook-scripts.ts';

/**
 * The atomic steps of scheduled messages, in Lua. They know all keys by their prefix, since which mailbox a message
 * belongs to is only known once it is read; all share one hash tag. ARGV[1] of every script is that prefix.
 *
 * A scheduled message is in no lane: it has no job, takes no place in the estimate of the others, and does not keep its
 * mailbox busy. It enters the engine (`enter`) when it becomes queued.
 */
const PRELUDE = `
${ANNOUNCE}${WHOLE}${LAST_REVISION}${ADD}${STANDING}
local PREFIX = ARGV[1]
local function key(kind, name) return PREFIX .. ':' .. kind .. ':' .. name end
local SCHEDULED, DUE, BUSY, COUNTS = PREFIX .. ':scheduled', PREFIX .. ':due', PREFIX .. ':busy', PREFIX .. ':counts'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The timeline is part of the record, as \`e<revision>\` = \`<time> <status> [<detail>]\`; of a very long one, its end.
local function tell(id, event)
  local record = key('message', id)
  local revision = (whole(redis.call('HGET', record, 'revision')) or lastRevision(record)) + 1
  redis.call('HSET', record, 'revision', revision, 'e' .. revision, now .. ' ' .. event)
  redis.call('HDEL', record, 'e' .. (revision - 500))
  announce(redis.call('HGET', record, 'hooks'), id, record)
  redis.call('PUBLISH', PREFIX .. ':changed', id)
end

-- The caller's list of messages that have this status, which only the exceptional ones have.
local function listOf(status, callerId) return key('list', status) .. ':' .. callerId end

-- A message that is not of this status any more leaves its caller's list and its count.
local function unlist(id, status, mailbox)
  local callerId = redis.call('HGET', key('message', id), 'callerId') or ''
  aside('ZREM', listOf(status, callerId), id)
  add(key('counts', callerId), status .. '|' .. mailbox, -1)
end

-- The mailbox stands in the index under the time of its first scheduled message; one that is behind, under \`asOf\`.
local function index(mailbox, asOf)
  local first = redis.call('ZRANGE', key('scheduled', mailbox), 0, 0, 'WITHSCORES')[2]
  if not first then return redis.call('ZREM', SCHEDULED, mailbox) end
  if asOf and tonumber(first) < asOf then first = asOf end
  redis.call('ZADD', SCHEDULED, first, mailbox)
end

-- At the same millisecond the higher priority comes first: the part behind the point orders them.
local RANK = { high = 0, normal = 0.25, low = 0.5 }
local function place(id, mailbox, sendAt, priority)
  redis.call('ZADD', key('scheduled', mailbox), sendAt + (RANK[priority] or 0.25), id)
  index(mailbox)
end

-- Its new ticket; 0 where the one it has is damaged, and stays so: whoever begins with it gives the message up.
local function newTicket(id)
  local ticket = whole(redis.call('HGET', key('message', id), 'ticket'))
  if not ticket then return 0 end
  redis.call('HSET', key('message', id), 'ticket', ticket + 1)
  return ticket + 1
end

-- From scheduled to queued: from now on the engine has it. Returns its new ticket. The index is left to the caller.
local function enter(id, mailbox, look)
  standing(key('mailbox', mailbox), BUSY, mailbox)
  local accepted = add(key('mailbox', mailbox), 'accepted', 1) or 0
  add(COUNTS, 'scheduled|' .. mailbox, -1)
  add(COUNTS, 'queued|' .. mailbox, 1)
  redis.call('ZINCRBY', BUSY, 1, mailbox)
  redis.call('ZREM', key('scheduled', mailbox), id)
  unlist(id, 'scheduled', mailbox)
  redis.call('HSET', key('message', id), 'status', 'queued', 'updatedAt', now, 'place', accepted)
  redis.call('ZADD', DUE, now + look, id)
  tell(id, 'queued')
  return newTicket(id)
end

-- Not before its time after all: it goes from now, and its life counts from now. \`date\` is the same time as RFC 5322 has it.
local function bringForward(id, m, date)
  redis.call('HSET', key('message', id), 'sendAt', now)
  if m.lifetime then redis.call('HSET', key('message', id), 'expiresAt', now + m.lifetime) end
  if m.dateAt then redis.call('SETRANGE', key('mime', id), m.dateAt, date) end
end

-- Who has not been served waits anew, without what was wrong last time; the attempts tell that.
local FINAL = { sent = true, failed = true, canceled = true }
local function waitAnew(id)
  local written = redis.call('HGET', key('message', id), 'recipients')
  if not written then return end
  local isRead, recipients = pcall(cjson.decode, written)
  if not isRead or type(recipients) ~= 'table' then return end
  for i, each in ipairs(recipients) do
    if not FINAL[each.status] then recipients[i] = { address = each.address, status = 'queued', mayHaveArrived = each.mayHaveArrived } end
  end
  redis.call('HSET', key('message', id), 'recipients', cjson.encode(recipients))
end

local function read(id)
  local m = redis.call('HMGET', key('message', id), 'status', 'mailbox', 'ticket', 'lifetime', 'dateAt', 'priority', 'expiresAt')
  return { status = m[1], mailbox = m[2], ticket = m[3], lifetime = whole(m[4]), dateAt = whole(m[5]),
    priority = RANK[m[6]] and m[6] or 'normal', expiresAt = m[7] }
end
`;

/**
 * Accepts a message that is to go later, as ACCEPT does one that is to go now. KEYS message, mime, idempotency; ARGV
 * prefix, order, the fixed part, the content. Too late (see `whileAwaited`), it answers `late` and the time.
 */
export const SCHEDULE = `${PRELUDE}
local order = cjson.decode(ARGV[2])
if order.awaitedUntil and now > order.awaitedUntil then return { 'late', tostring(now) } end
if order.fingerprint then
  local known = redis.call('HMGET', KEYS[3], 'fingerprint', 'id', 'hold')
  if known[1] then return { known[1] == order.fingerprint and 'replayed' or 'conflict', known[2], known[3] } end
end
-- An id is made for one request alone: it is there already only where the answer to this very step was lost.
local written = redis.call('HGET', KEYS[1], 'acceptedAt')
if written then return { 'accepted', written } end
-- A large content was written before, for a while only.
local staged = ARGV[4] == ''
if staged and redis.call('STRLEN', KEYS[2]) ~= order.bytes then return { 'gone', order.id } end
-- First of all: what fails here leaves nothing that would be taken for accepted.
place(order.id, order.mailbox, order.sendAt, order.priority)
redis.call('HSET', KEYS[1], 'fixed', ARGV[3], 'callerId', order.callerId, 'mailbox', order.mailbox, 'status', 'scheduled',
  'revision', 0, 'ticket', 1, 'attempts', 0, 'pending', order.recipients, 'acceptedAt', now, 'updatedAt', now,
  'expiresAt', order.expiresAt, 'place', 0, 'aheadAtFirst', 0,
  'sendAt', order.sendAt, 'firstSendAt', order.sendAt, 'priority', order.priority)
if not order.untold and redis.call('EXISTS', key('webhooks-of', order.callerId)) == 1 then
  redis.call('HSET', KEYS[1], 'hooks', PREFIX .. ':webhook-outbox')
end
if order.lifetime then redis.call('HSET', KEYS[1], 'lifetime', order.lifetime) end
if order.dateAt then redis.call('HSET', KEYS[1], 'dateAt', order.dateAt) end
if staged then redis.call('PERSIST', KEYS[2]) else redis.call('SET', KEYS[2], ARGV[4]) end
if order.fingerprint then
  redis.call('HSET', KEYS[3], 'fingerprint', order.fingerprint, 'id', order.id)
  redis.call('PEXPIRE', KEYS[3], order.idempotencyLifetime)
end
add(COUNTS, 'scheduled|' .. order.mailbox, 1)
for _, status in ipairs({ 'all', 'scheduled' }) do aside('ZADD', listOf(status, order.callerId), now, order.id) end
for _, what in ipairs({ 'accepted', 'scheduled' }) do
  add(key('counts', order.callerId), what .. '|' .. order.mailbox, 1)
end
aside('SADD', PREFIX .. ':callers', order.callerId)
tell(order.id, 'scheduled @' .. order.sendAt)
return { 'accepted', tostring(now) }
`;

/**
 * Another time for a scheduled message. KEYS message; ARGV prefix, id, sendAt, expiresAt, the same sendAt as RFC 5322
 * has it. A message that is not scheduled any more is left alone and its status told.
 */
export const RESCHEDULE = `${PRELUDE}
local id, sendAt = ARGV[2], tonumber(ARGV[3])
local m = read(id)
if m.status ~= 'scheduled' then return { 'refused', m.status or '' } end
redis.call('HSET', KEYS[1], 'sendAt', sendAt, 'expiresAt', ARGV[4], 'updatedAt', now)
if m.dateAt then redis.call('SETRANGE', key('mime', id), m.dateAt, ARGV[5]) end
place(id, m.mailbox, sendAt, m.priority)
tell(id, 'scheduled @' .. ARGV[3])
return { 'moved', m.ticket }
`;

/**
 * Lets a waiting message go now: a scheduled one becomes queued, a deferred one is tried again, one that is queued
 * already gets a new ticket for a job of another rank. KEYS message; ARGV prefix, id, order {from, first, look, date}.
 * With \`first\` it goes before the others of its lane.
 */
export const EXPEDITE = `${PRELUDE}
local id, order = ARGV[2], cjson.decode(ARGV[3])
local m = read(id)
local allowed = false
for _, status in ipairs(order.from) do allowed = allowed or status == m.status end
if not allowed then return { 'refused', m.status or '' } end
local ticket
if m.status == 'scheduled' then
  bringForward(id, m, order.date)
  ticket = enter(id, m.mailbox, order.look)
  index(m.mailbox)
else
  if m.status ~= 'queued' then
    add(COUNTS, m.status .. '|' .. m.mailbox, -1)
    add(COUNTS, 'queued|' .. m.mailbox, 1)
    unlist(id, m.status, m.mailbox)
    waitAnew(id)
  end
  redis.call('HSET', KEYS[1], 'status', 'queued', 'updatedAt', now)
  redis.call('HDEL', KEYS[1], 'nextAttemptAt', 'failure')
  ticket = newTicket(id)
  redis.call('ZADD', DUE, now + order.look, id)
  tell(id, 'queued !')
end
if order.first then
  local left = whole(redis.call('HGET', key('mailbox', m.mailbox), 'left')) or 0
  redis.call('HSET', KEYS[1], 'place', left + 1, 'firstTicket', ticket)
end
return { 'moved', tostring(ticket) }
`;

/** What could not be queued is tried again so much later. */
const AGAIN_MILLISECONDS = 60_000;

/**
 * Queues what is due, of every mailbox a few, so that a hundred thousand of one delay nobody else's. KEYS index; ARGV
 * prefix, as of (milliseconds since the epoch by a clock that does not jump, or -1 for nothing yet), how many mailboxes
 * and messages at a time, look. Returns the time by Redis, that of the next scheduled message or '', and what was queued:
 * id, mailbox, ticket, priority, expiresAt of each. A message that was canceled meanwhile only leaves the index.
 */
export const RELEASE_DUE = `${PRELUDE}
local asOf, queued = tonumber(ARGV[2]), {}
local function release(id, mailbox)
  local m = read(id)
  if m.status ~= 'scheduled' then return redis.call('ZREM', key('scheduled', mailbox), id) end
  table.insert(queued, { id, mailbox, tostring(enter(id, mailbox, ARGV[5])), m.priority, m.expiresAt or '' })
end
-- What is wrong with one must not keep back all that come after it: it is tried again later.
local function unlessBroken(what, isDone, why)
  if isDone then return true end
  local told = type(why) == 'table' and why.err or tostring(why)
  -- Memory is full, which is no fault of this one: it is queued when there is room.
  if string.sub(told, 1, 4) == 'OOM ' then error(why) end
  redis.log(redis.LOG_WARNING, 'postroom could not queue ' .. what .. ': ' .. told)
end
local before = '(' .. string.format('%.0f', asOf + 1)
local due = redis.call('ZRANGEBYSCORE', SCHEDULED, '-inf', before, 'LIMIT', 0, ARGV[3])
local function releaseOf(mailbox)
  local some = math.ceil(ARGV[4] / #due)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('scheduled', mailbox), '-inf', before, 'LIMIT', 0, some)) do
    if not unlessBroken('the scheduled message ' .. id, pcall(release, id, mailbox)) then
      redis.call('ZADD', key('scheduled', mailbox), asOf + ${AGAIN_MILLISECONDS}, id)
      -- The sweeper gives it up if it is damaged.
      redis.call('ZADD', DUE, now, id)
    end
  end
  index(mailbox, asOf)
end
for _, mailbox in ipairs(due) do
  if not unlessBroken('what is scheduled in ' .. mailbox, pcall(releaseOf, mailbox)) then
    redis.call('ZADD', SCHEDULED, asOf + ${AGAIN_MILLISECONDS}, mailbox)
  end
end
return { tostring(now), redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')[2] or '', queued }
`;
