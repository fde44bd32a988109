import { LISTED_STATUSES } from '../gateway/lists.ts';

/**
 * Part of other scripts: `relist(id, from, to)` keeps the caller's lists of the exceptional statuses. A message that is
 * accepted, queued, being sent and sent is on none of them and pays nothing. Needs MESSAGE, from whose name those of the
 * lists are made, since whose message it is is only known once it is read (all share one hash tag).
 */
export const RELIST = `
local LISTED = '|${LISTED_STATUSES.join('|')}|'
local function isListed(status) return string.find(LISTED, '|' .. status .. '|', 1, true) end
local function relist(id, from, to)
  if not isListed(from) and not isListed(to) then return end
  local about = redis.call('HMGET', MESSAGE, 'callerId', 'acceptedAt')
  local prefix = string.sub(MESSAGE, 1, -1 - #('message:' .. id))
  if isListed(from) then redis.call('ZREM', prefix .. 'list:' .. from .. ':' .. about[1], id) end
  if isListed(to) then redis.call('ZADD', prefix .. 'list:' .. to .. ':' .. about[1], about[2], id) end
end
`;

/** Forgets a caller without messages: KEYS list of all, callers; ARGV caller. One step, since a message may come meanwhile. */
export const FORGET_CALLER = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return redis.call('SREM', KEYS[2], ARGV[1])
`;

/** The records of these messages as one answer, which costs a reader half of what many answers do: KEYS messages. */
export const READ_RECORDS = `
local found = {}
for i, key in ipairs(KEYS) do found[i] = redis.call('HGETALL', key) end
return found
`;
