import type { Redis } from 'ioredis';
import { type AdmissionStore, LEFT_BEHIND_MILLISECONDS } from '../gateway/admission.ts';
import type { Keys } from './keys.ts';
import { DAY_SLICE, DAY_SLICES } from './messages.ts';
import type { Scripted } from './redis.ts';

/** A doctor that dies at its work; one that lives leaves, and its waits come to less than this. */
const VISIT_MILLISECONDS = 600_000;

export function admissionStore(redis: Redis & Scripted, keys: Keys): AdmissionStore {
  async function take(mailbox: string, ...args: (string | number)[]): Promise<boolean> {
    return (await redis.takePlace(keys.places(mailbox), keys.lease(mailbox), ...args)) === 1;
  }
  return {
    takePlace: ({ mailbox, place, limit, lease, open }) =>
      take(mailbox, place, lease, limit, LEFT_BEHIND_MILLISECONDS, VISIT_MILLISECONDS, ...open),
    visit: ({ mailbox, place, limit }) => take(mailbox, place, '', limit, VISIT_MILLISECONDS, VISIT_MILLISECONDS),
    places: (mailbox) => redis.zrange(keys.places(mailbox), '0', '-1'),
    leavePlace: (mailbox, ...places) => redis.zrem(keys.places(mailbox), ...places),
    async permitVisitor(mailbox, token, { windowMilliseconds, perWindow, recipientsPerDay }, recipients) {
      const names = [keys.permits(mailbox), keys.sending(mailbox), keys.day(mailbox)] as const;
      const limits = [windowMilliseconds, perWindow, recipientsPerDay, recipients, DAY_SLICE, DAY_SLICES];
      const wait = await redis.permitVisitor(...names, token, ...limits);
      if (wait < 0) return 'quota';
      return wait === 0 ? 'go' : wait;
    },
    keepPermit: (mailbox, token, { windowMilliseconds }) =>
      redis.keepPermit(keys.permits(mailbox), token, windowMilliseconds),
  };
}
