import type { Redis } from 'ioredis';
import type { MailboxStore, StoredHold } from '../gateway/ports.ts';
import type { Keys } from './keys.ts';
import type { Scripted } from './redis.ts';

export function mailboxStore(redis: Redis & Scripted, keys: Keys): MailboxStore {
  return {
    async holds(holdKeys) {
      const values = await redis.hmget(keys.holds, ...holdKeys);
      const held = holdKeys.flatMap((key, index) => {
        const json = values[index];
        return json ? [[key, JSON.parse(json) as StoredHold] as const] : [];
      });
      return new Map(held);
    },
    async setHold(key, hold) {
      await redis.hset(keys.holds, key, JSON.stringify(hold));
      await redis.publish(keys.changed, `hold:${key}`);
    },
    async clearHold(key) {
      await redis.hdel(keys.holds, key);
      await redis.publish(keys.changed, `hold:${key}`);
    },
    async describe(mailbox, holdKeys) {
      await redis.hset(keys.mailbox(mailbox), 'holdKeys', JSON.stringify(holdKeys));
    },
    claimTrial: async (key, owner, milliseconds) =>
      (await redis.takeLease(keys.trial(key), `${keys.trial(key)}:last`, owner, String(milliseconds))) !== 0,
    endTrial: (key, owner) => redis.releaseLease(keys.trial(key), owner),
    async now(): Promise<number> {
      const [seconds, microseconds] = await redis.time();
      return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
    },
    takeLease: async (mailbox: string, id: string, milliseconds: number): Promise<'taken' | 'renewed' | undefined> => {
      const answer = await redis.takeLease(keys.lease(mailbox), keys.owner(mailbox), id, String(milliseconds));
      return answer === 1 ? 'taken' : answer === 2 ? 'renewed' : undefined;
    },
    releaseLease: (mailbox: string, id: string) => redis.releaseLease(keys.lease(mailbox), id),
    landOrphans: (mailbox: string, windowMilliseconds: number) =>
      redis.landOrphans(keys.flights(mailbox), keys.permits(mailbox), String(windowMilliseconds)),
    busy: () => redis.zrange(keys.busy, '0', '-1'),
    isBusy: async (mailbox: string) => (await redis.zscore(keys.busy, mailbox)) !== null,
    wake: (mailbox: string) => redis.publish(keys.wake, mailbox),
  };
}
