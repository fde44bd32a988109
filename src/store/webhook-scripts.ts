import { ASIDE } from './number-scripts.ts';

/**
 * What waits in the outbox at most: some 150 MB where messages have a few recipients. While a worker runs it is nearly
 * empty; without one nothing empties it, and what Redis holds beyond its memory would stop the mail itself.
 */
export const MOST_IN_OUTBOX = 100_000;

/**
 * Part of other scripts, which use its `aside` as well: `announce(hooks, id, key)` puts the record, as the move left it,
 * into the webhooks' outbox. The field `hooks` is that outbox's key in the records of messages whose caller has any; all
 * that others pay is that look. When the outbox is full, each endpoint that wanted the event counts it instead. Their keys
 * are made here, where the caller is known; all share one hash tag. Whatever is wrong there costs the message nothing.
 */
export const ANNOUNCE = `${ASIDE}
local function dropUntold(hooks, key)
  local m = redis.call('HMGET', key, 'callerId', 'status', 'fixed')
  local prefix = string.sub(hooks, 1, -(#':webhook-outbox' + 1))
  local time = redis.call('TIME')
  local at = time[1] * 1000 + math.floor(time[2] / 1000)
  local only = cjson.decode(m[3]).webhooks
  local named = {}
  for _, hook in ipairs(only or {}) do named[hook] = true end
  for _, hook in ipairs(redis.call('ZRANGE', prefix .. ':webhooks-of:' .. m[1], 0, -1)) do
    local wanted = redis.call('HGET', prefix .. ':webhook:' .. hook, 'events') or ''
    if (not only or named[hook]) and string.find(wanted, '"message.' .. m[2] .. '"', 1, true) then
      redis.call('HINCRBY', prefix .. ':webhook:' .. hook, 'dropped', 1)
      redis.call('HSET', prefix .. ':webhook:' .. hook, 'droppedAt', string.format('%.0f', at))
      redis.call('HINCRBY', prefix .. ':webhook-dropped', 'outboxFull', 1)
    end
  end
end
local function announce(hooks, id, key)
  if not hooks then return end
  if (aside('XLEN', hooks) or 0) >= ${MOST_IN_OUTBOX} then
    local isCounted, why = pcall(dropUntold, hooks, key)
    if not isCounted then
      local told = type(why) == 'table' and why.err or tostring(why)
      redis.log(redis.LOG_WARNING, 'postroom could not count that ' .. id .. ' is not told: ' .. told)
    end
    return
  end
  aside('XADD', hooks, '*', 'id', id, unpack(redis.call('HGETALL', key)))
end
`;

/** The atomic steps of webhooks, in Lua: what is written to an endpoint must not bring back one that was deleted. */

/**
 * A new endpoint, unless its caller has so many: KEYS webhook, all, those of its caller; ARGV id, an object of fields in
 * JSON, the most of one caller, the channel. Counted in the step that adds it, or many at a time would all find room.
 */
export const CREATE_WEBHOOK = `
-- The answer was lost on its way and the step is repeated.
if redis.call('EXISTS', KEYS[1]) == 1 then return 1 end
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[3]) then return 0 end
local fields = cjson.decode(ARGV[2])
for field, value in pairs(fields) do redis.call('HSET', KEYS[1], field, value) end
redis.call('HSET', KEYS[2], ARGV[1], fields.callerId)
redis.call('ZADD', KEYS[3], fields.createdAt, ARGV[1])
redis.call('PUBLISH', ARGV[4], 'callers')
return 1
`;

/**
 * Other secrets, if it has those that they were made from: KEYS webhook; ARGV those, these, as JSON. Answers 1; 0 where
 * there is no such endpoint; 2 where it has others.
 */
export const CHANGE_SECRETS = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local present = redis.call('HGET', KEYS[1], 'secrets')
-- Said again, because the answer was lost, it is so already.
if present ~= ARGV[1] and present ~= ARGV[2] then return 2 end
redis.call('HSET', KEYS[1], 'secrets', ARGV[2])
return 1
`;

/**
 * Sets and clears fields: KEYS webhook; ARGV an object of fields, a list of fields to clear, both JSON, and who asks:
 * \`caller\` or \`operator\`. What an operator has disabled only an operator can enable. Answers 1; 0 where there is no
 * such endpoint; 2 where the caller may not.
 */
export const CHANGE_WEBHOOK = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local set, clear = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])
local switches = set.disabled ~= nil
for _, field in ipairs(clear) do switches = switches or field == 'disabled' end
if switches and ARGV[3] == 'caller' and redis.call('HGET', KEYS[1], 'disabled') == 'byOperator' then return 2 end
for field, value in pairs(set) do redis.call('HSET', KEYS[1], field, value) end
for _, field in ipairs(clear) do redis.call('HDEL', KEYS[1], field) end
return 1
`;

/** Counts events that were not told: KEYS webhook, counters; ARGV how many, milliseconds at which, the reason. */
export const DROP_EVENTS = `
redis.call('HINCRBY', KEYS[2], ARGV[3], ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], 'dropped', ARGV[1])
redis.call('HSET', KEYS[1], 'droppedAt', ARGV[2])
return 1
`;

/**
 * Notes a try: KEYS webhook, its deliveries; ARGV the delivery, milliseconds at which it was made, \`delivered\`,
 * \`failed\` or \`gone\`, its failure, milliseconds of failing after which it is disabled, how many tries are kept, for how
 * many milliseconds. Answers why it has disabled the endpoint, or nothing.
 */
export const NOTE_DELIVERY = `
if redis.call('EXISTS', KEYS[1]) == 0 then return '' end
local at = tonumber(ARGV[2])
redis.call('LPUSH', KEYS[2], ARGV[1])
redis.call('LTRIM', KEYS[2], 0, ARGV[6] - 1)
redis.call('PEXPIRE', KEYS[2], ARGV[7])
if ARGV[3] == 'delivered' then
  redis.call('HSET', KEYS[1], 'lastSuccessAt', ARGV[2], 'failures', 0)
  redis.call('HDEL', KEYS[1], 'failingSince')
  return ''
end
redis.call('HSET', KEYS[1], 'lastFailure', ARGV[4])
redis.call('HINCRBY', KEYS[1], 'failures', 1)
redis.call('HSETNX', KEYS[1], 'failingSince', ARGV[2])
if redis.call('HEXISTS', KEYS[1], 'disabled') == 1 then return '' end
local failingFor = at - tonumber(redis.call('HGET', KEYS[1], 'failingSince'))
local because = ARGV[3] == 'gone' and 'gone' or (failingFor >= tonumber(ARGV[5]) and 'failing')
if not because then return '' end
redis.call('HSET', KEYS[1], 'disabled', because, 'disabledAt', ARGV[2])
return because
`;
