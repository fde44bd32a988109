/** What puts right what is left behind, in Lua. Each goes by what Redis says now. */
import { HOLD_IN } from './lasting-hold.ts';

/**
 * Looks again at this time, unless the message has moved on since it was read: then its own time stands. KEYS message,
 * due; ARGV id, ticket, milliseconds since the epoch.
 */
export const POSTPONE = `
if redis.call('HGET', KEYS[1], 'ticket') ~= ARGV[2] then return 0 end
return redis.call('ZADD', KEYS[2], 'XX', ARGV[3], ARGV[1])
`;

/**
 * Ends the looking at a message about which there is nothing more to do. KEYS message, content, due; ARGV id, what the
 * keys of the mailboxes' sets of messages that are being sent begin with, milliseconds for which a record is kept, and
 * the content of a failed one.
 *
 * The step by which a message ends sees to all of this itself. But it undoes nothing where it fails on the way, as it does
 * where a key beside the record's was damaged; and Redis may have lost the one and not the other.
 */
export const LEAVE = `
local MESSAGE, MIME, DUE = KEYS[1], KEYS[2], KEYS[3]
local m = redis.call('HMGET', MESSAGE, 'status', 'mailbox')
local status = m[1]
local OVER = { sent = true, partiallySent = true, failed = true, canceled = true }
if status and status ~= 'unconfirmed' and not OVER[status] then return 0 end
redis.call('ZREM', DUE, ARGV[1])
-- A person may still have it sent.
if status == 'unconfirmed' then return 1 end
-- Nobody knows any more what it was.
if not status then return redis.call('DEL', MIME) end
redis.call('SREM', ARGV[2] .. (m[2] or ''), ARGV[1])
if redis.call('PTTL', MESSAGE) == -1 then redis.call('PEXPIRE', MESSAGE, ARGV[3]) end
if status ~= 'failed' then redis.call('DEL', MIME)
elseif redis.call('PTTL', MIME) == -1 then redis.call('PEXPIRE', MIME, ARGV[4]) end
return 1
`;

/**
 * Takes those out of the set of a mailbox's messages that are being sent which are not: each would take a place of the
 * window for ever. KEYS sending, lease; ARGV what the keys of messages begin with, lease. Answers those that are, and the
 * token of each one's attempt, in turn; 0 where somebody else has the lease, whose they may be.
 */
export const SENDING = `
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
local found = {}
for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  -- Of what is no record at all, an error.
  local m = redis.pcall('HMGET', ARGV[1] .. id, 'status', 'attemptToken')
  if m[1] == 'sending' then
    found[#found + 1] = id
    found[#found + 1] = m[2] or ''
  else redis.call('SREM', KEYS[1], id) end
end
return found
`;

/**
 * Forgets holds whose next try is overdue for so long that nobody has anything to send who would make it: of a mailbox, a
 * tenant or a server that is not configured any more, most likely. An operator's hold stays. KEYS holds; ARGV
 * milliseconds. Answers their keys.
 */
export const FORGET_HOLDS = `${HOLD_IN}
local time = redis.call('TIME')
local overdue = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
local forgotten, holds = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #holds, 2 do
  local hold = holdIn(holds[i + 1])
  -- One that is damaged ends when it is tried out.
  local isKnown = hold and type(hold.nextProbeAt) == 'number'
  if isKnown and not isPersons(hold) and hold.nextProbeAt < overdue then
    redis.call('HDEL', KEYS[1], holds[i])
    forgotten[#forgotten + 1] = holds[i]
  end
end
return forgotten
`;
