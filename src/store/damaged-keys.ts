import type { Redis } from 'ioredis';
import type { DamagedKey } from '../gateway/ports.ts';
import type { Keys } from './keys.ts';

/** What Redis's TYPE says of a key. */
type Kind = 'string' | 'hash' | 'set' | 'zset' | 'list';

/**
 * The keys of a mailbox, and those that all have in common, that hold something else than Postroom keeps there. Redis
 * refuses every command on such a key (WRONGTYPE) and does not name it.
 *
 * @param mailbox those in common only, if absent
 */
export async function damagedKeys(redis: Redis, keys: Keys, mailbox?: string): Promise<DamagedKey[]> {
  const expected = [...(mailbox === undefined ? [] : ofMailbox(keys, mailbox)), ...common(keys)];
  const found = await Promise.all(expected.map(([key]) => redis.type(key)));
  return expected.flatMap(([key, should], index) => {
    const holds = found[index] as string;
    return holds === should || holds === 'none' ? [] : [{ key, holds, should }];
  });
}

function ofMailbox(keys: Keys, mailbox: string): [string, Kind][] {
  const queue = (name: string) => `${keys.bull}:${mailbox}:${name}`;
  return [
    [keys.mailbox(mailbox), 'hash'],
    [keys.sending(mailbox), 'set'],
    [keys.permits(mailbox), 'zset'],
    [keys.day(mailbox), 'hash'],
    [keys.places(mailbox), 'zset'],
    [keys.scheduledOf(mailbox), 'zset'],
    [keys.lease(mailbox), 'string'],
    [keys.owner(mailbox), 'string'],
    // As BullMQ keeps its queues, read off its scripts.
    [queue('wait'), 'list'],
    [queue('active'), 'list'],
    [queue('prioritized'), 'zset'],
    [queue('delayed'), 'zset'],
    [queue('marker'), 'zset'],
    [queue('meta'), 'hash'],
    [queue('stalled'), 'set'],
  ];
}

function common(keys: Keys): [string, Kind][] {
  return [
    [keys.busy, 'zset'],
    [keys.due, 'zset'],
    [keys.scheduled, 'zset'],
    [keys.counts, 'hash'],
    [keys.holds, 'hash'],
    [keys.callers, 'set'],
    [keys.apiKeys, 'hash'],
    [keys.apiKeyDigests, 'hash'],
    [keys.apiKeyUses, 'hash'],
  ];
}
