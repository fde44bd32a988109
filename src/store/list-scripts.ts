import { LISTED_STATUSES } from '../gateway/lists.ts';

/**
 * Part of the steps of delivering: `relist(key, id, from, to, about)` keeps the caller's lists of the exceptional
 * statuses, and its counts. A message that is accepted, queued, being sent and sent is on none of the lists and is
 * counted once, when it is sent. `about` is the record's `callerId`, `acceptedAt` and `mailbox`, where they are known.
 * The names of the lists are made from the message's key, since whose message it is is only known once it is read (all
 * share one hash tag). Where a record does not say when it was accepted, it is listed under `now`.
 */
export const RELIST = `
local LISTED = '|${LISTED_STATUSES.join('|')}|'
local function isListed(status) return string.find(LISTED, '|' .. status .. '|', 1, true) end
local function relist(key, id, from, to, about)
  local wasListed, isOnList = isListed(from), isListed(to)
  if not wasListed and not isOnList and to ~= 'sent' then return end
  about = about or redis.call('HMGET', key, 'callerId', 'acceptedAt', 'mailbox')
  local prefix = string.sub(key, 1, -1 - #('message:' .. id))
  local counts = prefix .. 'counts:' .. about[1]
  if wasListed then
    aside('ZREM', prefix .. 'list:' .. from .. ':' .. about[1], id)
    count(counts, from .. '|' .. about[3], -1)
  end
  if isOnList then aside('ZADD', prefix .. 'list:' .. to .. ':' .. about[1], whole(about[2]) or now, id) end
  if isOnList or to == 'sent' then count(counts, to .. '|' .. about[3], 1) end
end
`;

/**
 * How many messages a caller has, as `status|mailbox` and the number in turn: KEYS its counts; ARGV caller, what the keys
 * of messages begin with, and what those of the messages begin with that are being sent. Of these a mailbox has a few.
 */
export const COUNT_OWN = `
local counted = redis.call('HGETALL', KEYS[1])
for i = 1, #counted, 2 do
  local mailbox = string.match(counted[i], '^accepted|(.*)$')
  local sending = 0
  for _, id in ipairs(mailbox and redis.call('SMEMBERS', ARGV[3] .. mailbox) or {}) do
    if redis.call('HGET', ARGV[2] .. id, 'callerId') == ARGV[1] then sending = sending + 1 end
  end
  if sending > 0 then
    counted[#counted + 1] = 'sending|' .. mailbox
    counted[#counted + 1] = tostring(sending)
  end
end
return counted
`;

/** Forgets a caller without messages: KEYS list of all, callers, counts; ARGV caller. One step, since a message may come meanwhile. */
export const FORGET_CALLER = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('DEL', KEYS[3])
return redis.call('SREM', KEYS[2], ARGV[1])
`;

/** The records of these messages as one answer, which costs a reader half of what many answers do: KEYS messages. */
export const READ_RECORDS = `
local found = {}
for i, key in ipairs(KEYS) do
  local m = redis.pcall('HGETALL', key)
  -- What is no record at all keeps nobody from the others.
  found[i] = m.err and {} or m
end
return found
`;
