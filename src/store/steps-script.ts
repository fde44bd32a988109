import { HOLD_IN } from './lasting-hold.ts';
import { RELIST } from './list-scripts.ts';
import { ADD, LAST_REVISION, STANDING, WHOLE } from './number-scripts.ts';
import { MAX_OCTETS } from './one-turn.ts';
import { ANNOUNCE } from './webhook-scripts.ts';

/**
 * The steps of delivering, in Lua, and what they share. Redis's clock is the only clock in them, so that processes need not
 * agree on the time. Each message pays for them, and Redis does one at a time: they take what they need as plain
 * arguments, touch as few keys as they can, and what many steps of one turn want to know of their mailbox, or add to its
 * sums and sets, is read and written once.
 */
const SHARED = `${ANNOUNCE}${HOLD_IN}${WHOLE}${LAST_REVISION}${ADD}${STANDING}
local MESSAGES, CONTENTS, CHANGED = ARGV[1], ARGV[2], ARGV[3]
local DAY_SLICE, DAY_SLICES, NEXT_LOOK = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local KEEP_RECORD, KEEP_FAILED_CONTENT = ARGV[7], ARGV[8]
local COMMON = 8

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A number that is given to a command is written out each time, and slowly.
local nowText = string.format('%.0f', now)
-- The timeline is kept in the record itself, as \`e<revision>\` = \`<time> <status> [<code>]\`; of a very long one, its end.
local function told(fields, revision, event)
  fields[#fields + 1] = 'e' .. revision
  fields[#fields + 1] = nowText .. ' ' .. event
end

-- What is to be added to sums in hashes, by key and field. A step adds only once its record is written, so that the sums
-- follow the records also where something fails after that.
local sums = {}
local function count(key, field, by)
  local of = sums[key]
  if not of then of = {} sums[key] = of end
  of[field] = (of[field] or 0) + by
end
-- To how many messages of mailboxes there is something left to do, by the mailboxes' key and name.
local busy = {}
-- The mailboxes whose \`left\` is among the sums, by their key.
local leaving = {}
-- What comes to sets (true) and what goes (false), by key and member; of sorted sets, with what score it comes.
local sets, sorted = {}, {}
local function put(all, key, member, value)
  local of = all[key]
  if not of then of = {} all[key] = of end
  of[member] = value
end
-- Contents that nobody needs any more, and the messages that readers are told of.
local contents, changed = {}, {}
local function writeMembers()
  local all, ranked = sets, sorted
  sets, sorted = {}, {}
  for key, members in pairs(all) do
    local come, go = {}, {}
    for member, isIn in pairs(members) do
      local those = isIn and come or go
      those[#those + 1] = member
    end
    if #come > 0 then aside('SADD', key, unpack(come)) end
    if #go > 0 then aside('SREM', key, unpack(go)) end
  end
  for key, members in pairs(ranked) do
    local come, go = {}, {}
    for member, score in pairs(members) do
      if score then
        come[#come + 1] = score
        come[#come + 1] = member
      else go[#go + 1] = member end
    end
    if #come > 0 then aside('ZADD', key, unpack(come)) end
    if #go > 0 then aside('ZREM', key, unpack(go)) end
  end
end
local function writeSums()
  local summed, engaged = sums, busy
  sums, busy = {}, {}
  for key, fields in pairs(summed) do
    if leaving[key] then standing(key, leaving[key].busy, leaving[key].mailbox) end
    for field, by in pairs(fields) do if by ~= 0 then add(key, field, by) end end
  end
  for key, mailboxes in pairs(engaged) do
    for mailbox, by in pairs(mailboxes) do
      local left = by ~= 0 and aside('ZINCRBY', key, by, mailbox)
      if left and tonumber(left) <= 0 then redis.call('ZREM', key, mailbox) end
    end
  end
end

-- A script that has written may go on when memory is full: what was sent must be written down, and what is being sent
-- should not stop for a mark. Their first write of all is one that needs no memory.
local hasWritten = false

-- The mailbox that the steps are about, until another is named, and all that were named.
local lane
local lanes = {}

-- A content is part of the answer while that is small; what does not fit any more is asked for apart (\`content\`).
local roomForContents = ${MAX_OCTETS}
local function contentOf(key, octets)
  if octets > roomForContents then return false end
  roomForContents = roomForContents - octets
  return redis.call('GET', key)
end
`;

/** Names the mailbox that the next steps are about; its KEYS are the next ones, as in `laneKeys`. */
const LANE = `
local firstKey = 1
local function nameLane(mailbox)
  lane = lanes[mailbox]
  local first = firstKey
  firstKey = firstKey + 9
  if lane then return end
  local known = { mailbox = mailbox }
  known.counts, known.sending, known.permits, known.day, known.lease, known.holds, known.due, known.busy, known.about =
    unpack(KEYS, first, first + 8)
  -- How many attempts run, and how many places of the window are taken beside theirs.
  known.running, known.taken = redis.call('SCARD', known.sending), redis.call('ZCARD', known.permits)
  lane, lanes[mailbox] = known, known
end
`;

/** What leave to begin depends on beside the message: told once for all that begin on the same terms. */
const TERMS = `
local terms
local function nameTerms(lease, ignoreExpiry, window, perWindow, perDay, ...)
  terms = { lease = lease, ignoreExpiry = ignoreExpiry == '1', window = tonumber(window), perWindow = tonumber(perWindow),
    perDay = tonumber(perDay), holdKeys = { ... } }
end
`;

/**
 * Leave to start one attempt now, and the move to `sending`, in one step. A place in the sliding window is taken while
 * the attempt runs and for one window after its reply, since nobody outside Microsoft knows when it counts.
 */
const BEGIN = `
function steps.begin(id, ticket, token, trial, expected)
local MESSAGE, MIME = MESSAGES .. id, CONTENTS .. id
local window, perWindow, perDay = terms.window, terms.perWindow, terms.perDay

local m = redis.pcall('HMGET', MESSAGE, 'status', 'ticket', 'pending', 'expiresAt', 'attemptToken', 'updatedAt',
  'revision', 'nextAttemptAt', 'dotMayHaveLeft', 'fixed', 'recipients', 'attempts', 'hooks')
-- No record at all: there is nothing that could be said of it.
if m.err then return { 'void' } end
local status = m[1]
-- The answer was lost on its way and the step is repeated.
if status == 'sending' and m[5] == token then
  return { 'go', m[6], m[10], m[11], m[12], contentOf(MIME, redis.call('STRLEN', MIME)) }
end
if status ~= 'queued' and status ~= 'deferred' then return { 'void' } end
local isWhole = whole(m[2]) and whole(m[3]) and whole(m[4])
if isWhole and whole(m[2]) ~= tonumber(ticket) then return { 'void' } end
lane.holder = lane.holder or redis.call('GET', lane.lease) or ''
if lane.holder ~= terms.lease then return { 'lost' } end
if not isWhole then return { 'damaged' } end
-- Places of the window may be free that are not: the lane makes it good.
if expected ~= '' and math.abs(now - expected) > 3000 then return { 'jumped', tostring(now) } end
if tonumber(m[4]) <= now and not terms.ignoreExpiry then return { 'expired' } end
if terms.holdKeys[1] then
  if lane.isHeld == nil then
    lane.isHeld, lane.byOperator = false, false
    for _, hold in ipairs(redis.call('HMGET', lane.holds, unpack(terms.holdKeys))) do
      lane.isHeld = lane.isHeld or hold ~= false
      lane.byOperator = lane.byOperator or isPersons(holdIn(hold))
    end
  end
  -- Who tries it out may have waited long for a connection and a place of the window; a person may have come meanwhile.
  if lane.byOperator or (lane.isHeld and trial == '0') then return { 'held' } end
end

local recipients, slice = tonumber(m[3]), math.floor(now / DAY_SLICE)
-- However long it waited, and everybody behind it.
if recipients > perDay then return { 'overDay' } end

if lane.taken + lane.running >= perWindow then
  writeMembers()
  redis.call('ZREMRANGEBYSCORE', lane.permits, '-inf', now)
  -- Only a clock that was set back can leave a place taken for longer than a window: it counts from now on.
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', lane.permits, '(' .. (now + window), '+inf')) do
    redis.call('ZADD', lane.permits, now + window, member)
  end
  lane.running, lane.taken = redis.call('SCARD', lane.sending), redis.call('ZCARD', lane.permits)
  if lane.taken + lane.running >= perWindow then
    local first = redis.call('ZRANGE', lane.permits, 0, 0, 'WITHSCORES')
    -- Where every place is taken by a running attempt, the next reply frees one a window later; look again soon.
    return { 'wait', tostring(first[2] and (first[2] - now) or math.min(window, 1000)) }
  end
end

-- Adds up the slices of the last 24 hours, and frees those that are older. @returns their sum, and the oldest of them
local function countDay()
  writeSums()
  local used, first = 0, nil
  local slices = redis.call('HGETALL', lane.day)
  for i = 1, #slices, 2 do
    local number, sum = tonumber(slices[i]), whole(slices[i + 1])
    -- What it was nobody knows: the server does.
    if number and not sum then
      redis.call('HDEL', lane.day, slices[i])
      redis.log(redis.LOG_WARNING, 'postroom has forgotten what was damaged in ' .. lane.day)
      number = nil
    end
    -- Where the clock has jumped lately, all of them are of the last day until it is known by how much.
    if number and number < slice - DAY_SLICES and not terms.ignoreExpiry then redis.call('HDEL', lane.day, slices[i])
    elseif number then
      if number > slice + 1 then
        -- Only a clock that was set back can leave it there: it counts from now on.
        redis.call('HINCRBY', lane.day, slice, sum)
        redis.call('HDEL', lane.day, slices[i])
        number = slice
      end
      used = used + sum
      if not first or number < first then first = number end
    end
  end
  redis.call('HSET', lane.day, 'sum', used, 'summedIn', slice)
  return used, first
end
-- The sum is kept, and made anew when a slice has passed.
if not lane.used then
  local day = redis.call('HMGET', lane.day, 'sum', 'summedIn')
  local added = sums[lane.day] and sums[lane.day].sum or 0
  local sum = day[2] == tostring(slice) and whole(day[1])
  lane.used = sum and sum + added or countDay()
end
if lane.used + recipients > perDay then
  local first
  lane.used, first = countDay()
  local free = first and (first + DAY_SLICES + 1) * DAY_SLICE - now or DAY_SLICE
  if lane.used + recipients > perDay then 
    return { 'quota', tostring(math.max(free, 1000)), tostring(recipients), tostring(math.max(0, perDay - lane.used)) }
  end
end

local octets = redis.pcall('STRLEN', MIME)
-- Redis lost it: begun, it would stand in its lane's way for ever.
if type(octets) ~= 'number' or octets == 0 then return { 'gone' } end

local revision = (whole(m[7]) or lastRevision(MESSAGE)) + 1
local set = { 'status', 'sending', 'attemptToken', token, 'slice', slice, 'updatedAt', nowText, 'revision', revision }
told(set, revision, 'sending')
redis.call('HSET', MESSAGE, unpack(set))
hasWritten = true
if m[8] or m[9] then redis.call('HDEL', MESSAGE, 'dotMayHaveLeft', 'nextAttemptAt') end
put(sets, lane.sending, id, true)
lane.running = lane.running + 1
lane.used = lane.used + recipients
count(lane.day, slice, recipients)
count(lane.day, 'sum', recipients)
count(lane.counts, status .. '|' .. lane.mailbox, -1)
count(lane.counts, 'sending|' .. lane.mailbox, 1)
relist(MESSAGE, id, status, 'sending')
announce(m[13], id, MESSAGE)
changed[id] = true
return { 'go', nowText, m[10], m[11], m[12], contentOf(MIME, octets) }
end
`;

/**
 * Written before the final dot may leave; refused to whoever no longer holds the message. The mark is 1, or what has
 * become of the recipients that were refused before.
 */
const MARK_DOT = `
function steps.markDot(id, token, mark)
local MESSAGE = MESSAGES .. id
local m = redis.call('HMGET', MESSAGE, 'status', 'attemptToken')
if m[1] ~= 'sending' or m[2] ~= token then return { 'refused' } end
if not hasWritten then redis.call('HDEL', MESSAGE, 'dotMayHaveLeft') end
hasWritten = true
redis.call('HSET', MESSAGE, 'dotMayHaveLeft', mark)
return { 'marked' }
end
`;

/**
 * One checked move. Changes nothing unless the message is in one of the statuses `from` and, where they are named, in
 * that token's hands and still of that ticket. Gives back the recipients that the attempt did not use. What follows the
 * fixed arguments is set, field and value in turn.
 */
const MOVE = `
function steps.move(id, to, from, token, code, attempt, delay, window, unused, cleared, seen, ...)
local MESSAGE, MIME = MESSAGES .. id, CONTENTS .. id
delay, window, unused = tonumber(delay), tonumber(window), tonumber(unused)
local MOST_EVENTS, MOST_ATTEMPTS = 500, 100
-- What the engine still has something to do about; the rest waits for its time or for a person, or is over.
local ENGINE = { queued = 1, sending = 1, deferred = 1 }
local OVER = { sent = true, partiallySent = true, failed = true, canceled = true }

local m = redis.call('HMGET', MESSAGE, 'status', 'attemptToken', 'slice', 'ticket', 'settledBy', 'revision', 'tries', 'hooks',
  'callerId', 'acceptedAt', 'mailbox')
local status = m[1]
-- The answer was lost on its way and the step is repeated.
if token ~= '' and m[5] == token and status == to then return { 'moved', m[4] } end
if token ~= '' and not hasWritten then
  lane.taken = lane.taken - redis.call('ZREM', lane.permits, token)
  hasWritten = true
end
-- Also where the message has moved on: the server has counted this attempt now.
if window then
  -- Of an attempt whose name its record has lost, by its message's.
  put(sorted, lane.permits, token ~= '' and token or id, now + window)
  lane.taken = lane.taken + 1
end
if not status or not string.find(from, '|' .. status .. '|', 1, true) or (token ~= '' and m[2] ~= token)
  or (seen ~= '' and (whole(m[4]) or 0) ~= tonumber(seen)) then
  return { 'refused', status or '' }
end

local revision, ticket, tries = whole(m[6]) or lastRevision(MESSAGE), whole(m[4]) or 0, whole(m[7]) or 0
revision, ticket, tries = revision + 1, ticket + 1, tries + 1
local set = { 'status', to, 'updatedAt', nowText, 'revision', revision, 'ticket', ticket, ... }
local function write(field, value) set[#set + 1] = field set[#set + 1] = value end
local clear = {}
for field in string.gmatch(cleared, '%S+') do clear[#clear + 1] = field end
if token ~= '' then write('settledBy', token) end
if delay then write('nextAttemptAt', now + delay) else clear[#clear + 1] = 'nextAttemptAt' end
told(set, revision, code == '' and to or (to .. ' ' .. code))
-- Its own and that of the step to \`sending\` before it.
for extra = revision - MOST_EVENTS - 1, revision - MOST_EVENTS do
  if extra > 0 then clear[#clear + 1] = 'e' .. extra end
end
if attempt ~= '' then
  write('tries', tries)
  write('a' .. tries, attempt)
  if tries > MOST_ATTEMPTS then clear[#clear + 1] = 'a' .. (tries - MOST_ATTEMPTS) end
end
redis.call('HSET', MESSAGE, unpack(set))
hasWritten = true
if #clear > 0 then redis.call('HDEL', MESSAGE, unpack(clear)) end

if unused and unused > 0 and m[3] and redis.call('HEXISTS', lane.day, m[3]) == 1 then
  count(lane.day, m[3], -unused)
  count(lane.day, 'sum', -unused)
  if lane.used then lane.used = lane.used - unused end
end
relist(MESSAGE, id, status, to, { m[9], m[10], m[11] })
count(lane.counts, status .. '|' .. lane.mailbox, -1)
count(lane.counts, to .. '|' .. lane.mailbox, 1)
local change = (ENGINE[to] or 0) - (ENGINE[status] or 0)
if change ~= 0 then
  busy[lane.busy] = busy[lane.busy] or {}
  busy[lane.busy][lane.mailbox] = (busy[lane.busy][lane.mailbox] or 0) + change
  count(lane.about, 'left', -change)
  leaving[lane.about] = lane
end
if status == 'sending' then
  put(sets, lane.sending, id, false)
  lane.running = lane.running - 1
elseif to == 'sending' then
  put(sets, lane.sending, id, true)
  lane.running = lane.running + 1
end
-- A finished message is kept for a while to be read; its content goes at once unless a person may want it sent again.
if OVER[to] then
  redis.call('PEXPIRE', MESSAGE, KEEP_RECORD)
  if to == 'failed' then redis.call('PEXPIRE', MIME, KEEP_FAILED_CONTENT) else contents[#contents + 1] = MIME end
  put(sorted, lane.due, id, false)
else
  if OVER[status] then redis.call('PERSIST', MESSAGE) redis.call('PERSIST', MIME) end
  put(sorted, lane.due, id, now + (delay or 0) + NEXT_LOOK)
end
announce(m[8], id, MESSAGE)
changed[id] = true
return { 'moved', tostring(ticket) }
end
`;

/**
 * Any number of the steps above, in the order in which they were asked for: what a process has to write in one turn of
 * its event loop costs one command and one sync. Each is atomic and stands by itself: one that fails undoes nothing and
 * stops none of the others, and is answered `{ 'error', <message> }`.
 *
 * KEYS those of the lanes that are named, in turn. ARGV what all steps have in common, then for each its name, the number of
 * its values, and its values. The keys of messages are made here, since each argument costs both sides more than putting
 * a key together; all share one hash tag.
 */
export const STEPS = `${SHARED}
${RELIST}
${LANE}
${TERMS}
local steps = {}
${BEGIN}
${MARK_DOT}
${MOVE}
-- Why the mailbox could not be named that the next steps are about.
local unnamed
local function saidBy(failed) return type(failed) == 'table' and failed.err or tostring(failed) end
local answers, at = {}, COMMON + 1
while ARGV[at] do
  local name, first, last = ARGV[at], at + 2, at + 1 + ARGV[at + 1]
  -- Where a key of the mailbox is no set, its steps fail, and no other's.
  if name == 'lane' then
    local isNamed, why = pcall(nameLane, ARGV[first])
    unnamed = not isNamed and saidBy(why)
  elseif name == 'terms' then nameTerms(unpack(ARGV, first, last))
  else
    local isDone, answer = pcall(steps[name], unpack(ARGV, first, last))
    answers[#answers + 1] = isDone and answer or { 'error', unnamed or saidBy(answer) }
  end
  at = last + 1
end
writeMembers()
writeSums()
if #contents > 0 then redis.call('DEL', unpack(contents)) end
local told = {}
for id in pairs(changed) do told[#told + 1] = id end
if #told > 0 then redis.call('PUBLISH', CHANGED, table.concat(told, ' ')) end
return answers
`;
