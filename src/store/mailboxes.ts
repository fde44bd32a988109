import type { Redis } from 'ioredis';
import type { MailboxStore, StoredHold } from '../gateway/ports.ts';
import { STATUSES, type Status } from '../mail/status.ts';
import type { Keys } from './keys.ts';
import { recipientsSince } from './messages.ts';
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
    async holdsOf(mailbox) {
      const holdKeys = await redis.hget(keys.mailbox(mailbox), 'holdKeys');
      return this.holds(holdKeys ? JSON.parse(holdKeys) : [`mailbox:${mailbox}`]);
    },
    async counts(mailbox) {
      const statuses = Object.keys(STATUSES) as Status[];
      const values = await redis.hmget(keys.counts, ...statuses.map((status) => `${status}|${mailbox}`));
      return Object.fromEntries(
        statuses.flatMap((status, i) => (Number(values[i]) > 0 ? [[status, Number(values[i])]] : [])),
      );
    },
    async usage(mailbox) {
      const now = await this.now();
      const [taken, running, day] = await Promise.all([
        redis.zcount(keys.permits(mailbox), String(now), '+inf'),
        redis.zcard(keys.flights(mailbox)),
        redis.hgetall(keys.day(mailbox)),
      ]);
      return { inWindow: taken + running, recipientsToday: recipientsSince(day, now) };
    },
    async metrics() {
      const [counts, holds] = await Promise.all([redis.hgetall(keys.counts), redis.hgetall(keys.holds)]);
      return {
        messages: Object.entries(counts).map(([field, count]) => {
          const [status, ...mailbox] = field.split('|');
          return { mailbox: mailbox.join('|'), status: status as Status, count: Number(count) };
        }),
        holds: Object.entries(holds).map(([key, hold]) => ({
          key,
          code: (JSON.parse(hold) as StoredHold).failure.code,
        })),
      };
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
