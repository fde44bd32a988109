/**
 * What is taken of a mailbox's window, in Lua, by its key of permits: how many places, and when the first of them is free
 * again; empty where none is. Those that run are not among them. Were the key damaged, it would be no reason to fail.
 */
export const WINDOW_USE = `
local function windowUse(permits)
  local time = redis.call('TIME')
  local after = string.format('(%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  local taken = redis.pcall('ZCOUNT', permits, after, '+inf')
  if type(taken) ~= 'number' or taken == 0 then return '' end
  local first = redis.call('ZRANGEBYSCORE', permits, after, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return taken .. ' ' .. first[2]
end
`;
