import type { Redis } from 'ioredis';
import type { Charge, Cost, Rate } from '../gateway/api.ts';
import type { Keys } from './keys.ts';

/**
 * The generic cell rate algorithm, in microseconds of Redis's clock: of a caller, how long all that was used takes to grow
 * back, and since when. The time when it will have grown back would say the same in one number, but where the clock was
 * set ahead for a moment, it would lock the caller out for as long as that had been. More than a whole burst at once is let through when nothing else is used, and must then
 * grow back like everything: else it could never be.
 *
 * KEYS: rate. ARGV: microseconds a unit, burst, units, units of this request that are paid already.
 */
const CHARGE = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local unit, burst, units, paid = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local since, before = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+)$')
local used = since and math.max(0, before - math.max(0, now - since)) or 0
local room = burst * unit
local after = used + units * unit
local admitted = after <= room or used <= paid * unit
if admitted and units > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f %.0f', now, after), 'PX', math.ceil(after / 1000) + 1)
  used = after
end
local wait = 0
if not admitted then wait = math.min(after - room, used - paid * unit) end
return {admitted and 1 or 0, math.max(0, math.floor((room - used) / unit)), math.ceil(used / 1000), math.ceil(wait / 1000)}`;

interface Charging {
  chargeCaller(...args: string[]): Promise<[number, number, number, number]>;
}

const MINUTE_MICROSECONDS = 60_000_000;

/** Charges a caller for what it asks, over all processes: one round trip. */
export function rates(redis: Redis, keys: Keys) {
  redis.defineCommand('chargeCaller', { numberOfKeys: 1, lua: CHARGE });
  const scripted = redis as unknown as Charging;
  return async (callerId: string, { perMinute, burst }: Rate, { units, further }: Cost): Promise<Charge> => {
    const numbers = [MINUTE_MICROSECONDS / perMinute, burst, units, further ? 1 : 0].map(String);
    const [admitted, left, resetMilliseconds, retryMilliseconds] = await scripted.chargeCaller(
      keys.rate(callerId),
      ...numbers,
    );
    return { admitted: admitted === 1, left, resetMilliseconds, retryMilliseconds };
  };
}
