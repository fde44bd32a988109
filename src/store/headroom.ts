import type { Redis } from 'ioredis';
import type { Load } from '../gateway/headroom.ts';
import type { Keys } from './keys.ts';
import { HOLDS_CONCERNING } from './lasting-hold.ts';
import { DAY_SLICE, DAY_SLICES } from './messages.ts';
import { WHOLE } from './number-scripts.ts';
import type { Scripted } from './redis.ts';

/** A step that holds nobody else up for long. */
const AT_A_TIME = 50;

/** What these mailboxes have to do at present. */
export async function readLoads(redis: Redis & Scripted, keys: Keys, ids: string[]): Promise<Map<string, Load>> {
  const loads = new Map<string, Load>();
  for (let at = 0; at < ids.length; at += AT_A_TIME) {
    const some = ids.slice(at, at + AT_A_TIME);
    const answer = await redis.mailboxLoads(keys.holds, keys.prefix, DAY_SLICE, DAY_SLICES, ...some);
    for (const [index, id] of some.entries()) {
      const [held = 0, waiting = 0, inWindow = 0, recipientsToday = 0] = answer[index] ?? [];
      loads.set(id, { held: held === 1, waiting: Math.max(0, waiting), inWindow, recipientsToday });
    }
  }
  return loads;
}

/**
 * KEYS holds; ARGV prefix, length of a slice of the day, slices of a day, mailboxes. Of each: is it held, messages in
 * its lane, places taken in its window, recipients of the last 24 hours.
 */
export const LOADS = `${HOLDS_CONCERNING}${WHOLE}
local function key(kind, name) return ARGV[1] .. ':' .. kind .. ':' .. name end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local oldest = math.floor(now / ARGV[2]) - ARGV[3]
local loads = {}
for i = 4, #ARGV do
  local about = redis.call('HMGET', key('mailbox', ARGV[i]), 'holdKeys', 'accepted', 'left')
  local held = 0
  for _, hold in ipairs(holdsConcerning(ARGV[i], about[1])) do
    if redis.call('HEXISTS', KEYS[1], hold) == 1 then held = 1 end
  end
  local used, slices = 0, redis.call('HGETALL', key('day', ARGV[i]))
  for j = 1, #slices, 2 do
    local slice = tonumber(slices[j])
    if slice and slice >= oldest then used = used + (whole(slices[j + 1]) or 0) end
  end
  local waiting = (whole(about[2]) or 0) - (whole(about[3]) or 0)
  table.insert(loads, { held, waiting, redis.call('ZCOUNT', key('permits', ARGV[i]), now, '+inf'), used })
end
return loads
`;
