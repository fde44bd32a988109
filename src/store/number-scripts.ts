/**
 * `aside(command, key, ...)`: for what only tells of messages. What is wrong with that key must not cost those messages
 * anything whose records are written: it is told in Redis's log. Raises where memory is full, as `add` does.
 */
export const ASIDE = `
local function aside(command, key, ...)
  local answer = redis.pcall(command, key, ...)
  if type(answer) ~= 'table' or not answer.err then return answer end
  if string.sub(answer.err, 1, 4) == 'OOM ' then error(answer) end
  redis.log(redis.LOG_WARNING, 'postroom could not write down in ' .. key .. ': ' .. tostring(answer.err))
end
`;

/**
 * Numbers in hashes, in Lua. Somebody may have written something else there: that one number is then read as missing, or
 * counted anew, and costs nobody else anything.
 *
 * `whole(text)`: the number that it says, as `wholeIn` reads it; nil where it says none.
 */
export const WHOLE = `
local function whole(text)
  local number = text and #text <= 16 and string.match(text, '^%d+$') and tonumber(text)
  return number and number <= 8.64e15 and number or nil
end
`;

/** `lastRevision(key)`: of a record that does not say it, the number of the last move in its timeline. */
export const LAST_REVISION = `
local function lastRevision(key)
  local last = 1
  for _, field in ipairs(redis.call('HKEYS', key)) do
    last = math.max(last, whole(string.match(field, '^e(%d+)$')) or 0)
  end
  return last
end
`;

/**
 * `add(key, field, by)`: adds to a number, and gives what it is then. One that is damaged counts from 0 on, and Redis's log
 * says so, once. Of a key that is no hash nothing is changed; false. Raises where memory is full, which is nothing that is
 * wrong with this number: whoever begins with it must not go on as if it were counted.
 */
export const ADD = `
local function add(key, field, by)
  local sum = redis.pcall('HINCRBY', key, field, by)
  if type(sum) == 'number' then return sum end
  if string.sub(sum.err, 1, 4) == 'OOM ' then error(sum) end
  redis.log(redis.LOG_WARNING, 'postroom could not count ' .. field .. ' in ' .. key .. ': ' .. tostring(sum.err))
  -- Whatever else is wrong (a key that is no hash) has a code of its own.
  if string.sub(sum.err, 1, 4) ~= 'ERR ' then return false end
  redis.pcall('HDEL', key, field)
  sum = redis.pcall('HINCRBY', key, field, by)
  return type(sum) == 'number' and sum
end
`;

/**
 * `standing(about, busy, mailbox)`: how many messages a mailbox was given, and with how many it is done. Their difference is
 * what it has to do, which `busy` says, too: by that one that is damaged is put right.
 */
export const STANDING = `
local function standing(about, busy, mailbox)
  local known = redis.pcall('HMGET', about, 'accepted', 'left')
  if known.err then return 0, 0 end
  local accepted, left = whole(known[1] or '0'), whole(known[2] or '0')
  if accepted and left then return accepted, left end
  local waiting = tonumber(redis.call('ZSCORE', busy, mailbox) or 0)
  left = left or math.max(0, (accepted or 0) - waiting)
  redis.call('HSET', about, 'accepted', left + waiting, 'left', left)
  redis.log(redis.LOG_WARNING, 'postroom has put right what was damaged in ' .. about)
  return left + waiting, left
end
`;
