import type { Redis } from 'ioredis';
import type { MailboxStore, StoredHold } from '../gateway/ports.ts';
import type { Keys } from './keys.ts';
import type { Scripted } from './redis.ts';

export function mailboxStore(redis: Redis & Scripted, keys: Keys): MailboxStore {
  return {
    async hold(mailbox: string): Promise<StoredHold | undefined> {
      const hold = await redis.hget(keys.mailbox(mailbox), 'hold');
      return hold ? (JSON.parse(hold) as StoredHold) : undefined;
    },
    async setHold(mailbox: string, hold: StoredHold): Promise<void> {
      await redis.hset(keys.mailbox(mailbox), 'hold', JSON.stringify(hold));
      await redis.publish(keys.changed, `mailbox:${mailbox}`);
    },
    async clearHold(mailbox: string): Promise<void> {
      await redis.hdel(keys.mailbox(mailbox), 'hold');
      await redis.publish(keys.changed, `mailbox:${mailbox}`);
    },
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
