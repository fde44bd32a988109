/**
 * Part of other scripts: `announce(hooks, id, key)` puts the record, as the move left it, into the webhooks' outbox. The
 * field `hooks` is that outbox's key in the records of messages whose caller has any; all that others pay is that look.
 */
export const ANNOUNCE = `
local function announce(hooks, id, key)
  if hooks then redis.call('XADD', hooks, '*', 'id', id, unpack(redis.call('HGETALL', key))) end
end
`;

/** The atomic steps of webhooks, in Lua: what is written to an endpoint must not bring back one that was deleted. */

/** Sets and clears fields: KEYS webhook; ARGV an object of fields, a list of fields to clear, both JSON. */
export const CHANGE_WEBHOOK = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for field, value in pairs(cjson.decode(ARGV[1])) do redis.call('HSET', KEYS[1], field, value) end
for _, field in ipairs(cjson.decode(ARGV[2])) do redis.call('HDEL', KEYS[1], field) end
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
