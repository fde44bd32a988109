import type { Redis } from 'ioredis';
import type { LaneOwner, MailboxStore } from '../gateway/ports.ts';
import { STATUSES, type Status } from '../mail/status.ts';
import { isTestLane, mailboxOf, TEST_HOLDS } from '../mail/test-lane.ts';
import { damagedKeys } from './damaged-keys.ts';
import type { Keys } from './keys.ts';
import { recipientsSince } from './messages.ts';
import { wholeIn } from './records.ts';
import type { Scripted } from './redis.ts';
import { holdOf } from './stored-hold.ts';

/** As CLAIM_TRIAL reads it. */
function nameOf({ lease, mailbox }: LaneOwner): string {
  return `${lease} ${mailbox}`;
}

/** Undefined where nothing is known, or nothing that can be read. */
function keysIn(json: string | null): string[] | undefined {
  try {
    const holdKeys: unknown = json ? JSON.parse(json) : undefined;
    return Array.isArray(holdKeys) && holdKeys.length > 0 ? holdKeys.map(String) : undefined;
  } catch {
    return undefined;
  }
}

/** Of Redis's errors the first word is the code. */
const isWrongType = (error: unknown) => error instanceof Error && error.message.startsWith('WRONGTYPE ');

export function mailboxStore(redis: Redis & Scripted, keys: Keys): MailboxStore {
  /** Readers listen for what changes in messages; the engine, which need not hear of every message, for its own. */
  async function tellOfHold(key: string): Promise<void> {
    await Promise.all([redis.publish(keys.changed, `hold:${key}`), redis.publish(keys.wake, `hold:${key}`)]);
  }

  /** @param hold as JSON; empty where it ends */
  async function writeEnginesHold(key: string, hold: string): Promise<boolean> {
    const isWritten = (await redis.writeEnginesHold(keys.holds, key, hold)) === 1;
    if (isWritten) await tellOfHold(key);
    return isWritten;
  }

  return {
    async holds(holdKeys) {
      const values = await redis.hmget(keys.holds, ...holdKeys);
      const held = holdKeys.flatMap((key, index) => {
        const json = values[index];
        return typeof json === 'string' ? [[key, holdOf(json)] as const] : [];
      });
      return new Map(held);
    },
    async holdsOf(mailbox) {
      // Whoever lists messages must not fail because of one mailbox. Its page says what is wrong (see `usage`).
      const holdKeys = await redis.hget(keys.mailbox(mailbox), 'holdKeys').catch((error) => {
        if (isWrongType(error)) return null;
        throw error;
      });
      return this.holds(keysIn(holdKeys) ?? [`mailbox:${mailbox}`]);
    },
    async counts(mailbox) {
      const statuses = Object.keys(STATUSES) as Status[];
      const values = await redis.hmget(keys.counts, ...statuses.map((status) => `${status}|${mailbox}`));
      return Object.fromEntries(
        statuses.flatMap((status, i) => {
          const count = wholeIn(values[i] ?? undefined);
          return count ? [[status, count]] : [];
        }),
      );
    },
    async usage(mailbox) {
      const now = await this.now();
      const [taken, running, day, [, nextFreeAt]] = await Promise.all([
        redis.zcount(keys.permits(mailbox), String(now), '+inf'),
        redis.scard(keys.sending(mailbox)),
        redis.hgetall(keys.day(mailbox)),
        redis.zrangebyscore(keys.permits(mailbox), String(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1),
        // Only so that this is refused like the others where that key is damaged.
        redis.hexists(keys.mailbox(mailbox), 'holdKeys'),
      ]);
      return {
        now,
        inWindow: taken + running,
        nextFreeAt: nextFreeAt === undefined ? undefined : Number(nextFreeAt),
        recipientsToday: recipientsSince(day, now),
      };
    },
    async metrics() {
      const [counts, holds, busy] = await Promise.all([
        redis.hgetall(keys.counts),
        redis.hgetall(keys.holds),
        redis.zrange(keys.busy, '0', '-1'),
      ]);
      const real = busy.filter((lane) => !isTestLane(lane));
      const driven = await Promise.all(real.map((mailbox) => this.isDriven(mailbox)));
      return {
        driven: real.map((mailbox, index) => ({ mailbox, driven: driven[index] as boolean })),
        messages: Object.entries(counts).map(([field, count]) => {
          const [status, ...rest] = field.split('|');
          const lane = rest.join('|');
          const test = isTestLane(lane) && { test: true as const };
          return { mailbox: mailboxOf(lane), status: status as Status, count: wholeIn(count) ?? 0, ...test };
        }),
        holds: Object.entries(holds).map(([key, hold]) => ({
          key,
          code: holdOf(hold).failure.code,
          ...(key.startsWith(TEST_HOLDS) && { test: true as const }),
        })),
      };
    },
    damagedKeys: (mailbox) => damagedKeys(redis, keys, mailbox),
    async setHold(key, hold) {
      await redis.hset(keys.holds, key, JSON.stringify(hold));
      await tellOfHold(key);
    },
    async releaseHolds(mailbox) {
      const released = await redis.releaseHolds(keys.holds, keys.busy, keys.mailbox(mailbox), mailbox);
      for (const key of released) await tellOfHold(key);
      return released;
    },
    beginHold: (key, hold) => writeEnginesHold(key, JSON.stringify(hold)),
    endHold: (key) => writeEnginesHold(key, ''),
    async forgetHolds(overdueMilliseconds) {
      for (const key of await redis.forgetHolds(keys.holds, overdueMilliseconds)) await tellOfHold(key);
    },
    async describe(mailbox, holdKeys) {
      const names = [keys.mailbox(mailbox), keys.holds] as const;
      const ended = await redis.describeMailbox(...names, keys.lease(''), JSON.stringify(holdKeys), ...holdKeys);
      for (const key of ended) await tellOfHold(key);
      return ended;
    },
    async claimTrial(key, by, milliseconds) {
      return (await redis.claimTrial(keys.trial(key), nameOf(by), milliseconds, keys.lease(''))) === 1;
    },
    endTrial: (key, by) => redis.releaseLease(keys.trial(key), nameOf(by)),
    async now(): Promise<number> {
      const [seconds, microseconds] = await redis.time();
      return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
    },
    async takeLease(mailbox, id, milliseconds) {
      const [answer] = await this.takeLeases([{ mailbox, id }], milliseconds);
      return answer;
    },
    async takeLeases(wanted, milliseconds) {
      if (wanted.length === 0) return [];
      const names = wanted.flatMap(({ mailbox }) => [keys.lease(mailbox), keys.owner(mailbox)]);
      const ids = wanted.map(({ id }) => id);
      const answers = await redis.takeLeases(names.length, ...names, String(milliseconds), ...ids);
      return answers.map((answer) => (answer === 1 ? 'taken' : answer === 2 ? 'renewed' : undefined));
    },
    releaseLease: (mailbox: string, id: string) => redis.releaseLease(keys.lease(mailbox), id),
    async look(leaseMilliseconds) {
      const found = await redis.lookForWork(keys.busy, keys.lease(''), leaseMilliseconds);
      return Array.from({ length: found.length / 2 }, (_, i) => ({
        mailbox: String(found[2 * i]),
        isDriven: found[2 * i + 1] === 1,
      }));
    },
    isBusy: async (mailbox: string) => (await redis.zscore(keys.busy, mailbox)) !== null,
    isDriven: async (mailbox: string) => (await redis.exists(keys.lease(mailbox))) === 1,
    wake: (mailbox: string) => redis.publish(keys.wake, mailbox),
  };
}
