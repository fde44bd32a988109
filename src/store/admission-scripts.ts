import { ADD, WHOLE } from './number-scripts.ts';

/**
 * A place among the connections of a mailbox: KEYS places, lease; ARGV place, lease or '' for a visitor, limit,
 * milliseconds, the most milliseconds that any place has, then what else this owner has open.
 *
 * An owner's places have the score 0 and last as long as its lease; a visitor's have the time they end at. What an owner
 * left that has the lease no more may still be open, since a process that sleeps closes nothing: it counts for that many
 * milliseconds more. What this owner has not named is closed.
 */
export const TAKE_PLACE = `
local place, lease, limit, milliseconds, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local holder = redis.call('GET', KEYS[2]) or ''
-- Taken before perhaps, by a step whose answer was lost: nothing will be opened in it, and nobody would leave it.
if lease ~= '' and holder ~= lease then redis.call('ZREM', KEYS[1], place) return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local open = {}
for i = 6, #ARGV do open[ARGV[i]] = true end
open[place] = true
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(0', now)
local taken, mine = 0, false
local places = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #places, 2 do
  local each, untilWhen = places[i], tonumber(places[i + 1])
  local isHolders = string.sub(each, 1, #holder + 1) == holder .. '/'
  if isHolders and lease ~= '' and not open[each] then redis.call('ZREM', KEYS[1], each)
  else
    taken = taken + 1
    mine = mine or each == place
    if untilWhen == 0 and not isHolders then redis.call('ZADD', KEYS[1], now + milliseconds, each) end
    -- Only a clock that was set back can leave it for longer: it counts from now on.
    if untilWhen > now + most then redis.call('ZADD', KEYS[1], now + most, each) end
  end
end
-- The answer was lost on its way and the step is repeated.
if mine then return 1 end
if taken >= limit then return 0 end
redis.call('ZADD', KEYS[1], lease == '' and now + milliseconds or 0, place)
return 1
`;

/**
 * Leave for a message that no lane sends, from the same window and the same day as theirs: KEYS permits, sending, day;
 * ARGV token, milliseconds of the window, messages in it, recipients in a day, of this message, milliseconds of a slice,
 * slices in a day. Answers 0, or the milliseconds until it is worth asking again, or -1 where the day is used up.
 */
export const VISIT_PERMIT = `${WHOLE}${ADD}
local PERMITS, SENDING, DAY = KEYS[1], KEYS[2], KEYS[3]
local token, window, perWindow, perDay = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local recipients, daySlice, daySlices = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('ZSCORE', PERMITS, token) then return 0 end
redis.call('ZREMRANGEBYSCORE', PERMITS, '-inf', now)
if redis.call('ZCARD', PERMITS) + redis.call('SCARD', SENDING) >= perWindow then
  local first = redis.call('ZRANGE', PERMITS, 0, 0, 'WITHSCORES')
  return math.max(1, math.ceil(first[2] and (first[2] - now) or math.min(window, 1000)))
end
local slice, used = math.floor(now / daySlice), 0
local slices = redis.call('HGETALL', DAY)
for i = 1, #slices, 2 do
  local number = tonumber(slices[i])
  if number and number >= slice - daySlices then used = used + (whole(slices[i + 1]) or 0) end
end
if used + recipients > perDay then return -1 end
redis.call('ZADD', PERMITS, now + window, token)
add(DAY, slice, recipients)
if redis.call('HEXISTS', DAY, 'sum') == 1 then add(DAY, 'sum', recipients) end
return 0
`;

/** Counts it for a window from now: while it has no reply, and once more when it has. KEYS permits; ARGV token, window. */
export const KEEP_PERMIT = `
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])
return 1
`;
