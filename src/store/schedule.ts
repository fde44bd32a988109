import type { Redis } from 'ioredis';
import type { MessageStore } from '../gateway/ports.ts';
import type { NewScheduled, Released, ScheduleStore } from '../gateway/schedule.ts';
import type { Priority } from '../mail/message.ts';
import { whileAwaited } from './awaited.ts';
import type { Keys } from './keys.ts';
import { idempotencyKeyOf, isUntold, movedOf, type Retention, replayedAs } from './messages.ts';
import { whenThereIsRoom } from './on-the-way.ts';
import { scheduledRecord, wholeIn } from './records.ts';
import type { Scripted } from './redis.ts';
import { stageContent } from './staged-content.ts';

/** How soon the sweeper looks whether a message that was queued has its job. */
const FIRST_LOOK = 5_000;
/** So many messages at a time, of so many mailboxes: a step that holds nobody else up for long. */
const MAILBOXES = 20;
const MESSAGES = 100;

/** Scheduled messages: a set of them by time for each mailbox, and an index of the mailboxes. */
export function scheduleStore(
  redis: Redis & Scripted,
  keys: Keys,
  retention: Retention,
  messages: Pick<MessageStore, 'find'>,
): ScheduleStore {
  async function accept(message: NewScheduled) {
    const { id, callerId, fixed, idempotency } = message;
    const lifetime = message.expiresAt === undefined ? lifetimeOf(message, retention) : undefined;
    const expiresAt = message.expiresAt ?? message.sendAt + lifetimeOf(message, retention);
    const order = {
      id,
      callerId,
      mailbox: message.mailbox,
      recipients: fixed.envelope.recipients.length,
      bytes: fixed.bytes,
      priority: fixed.priority,
      sendAt: message.sendAt,
      expiresAt,
      lifetime,
      dateAt: placeOfDate(message),
      untold: isUntold(message),
      ...(idempotency && {
        fingerprint: idempotency.fingerprint,
        idempotencyLifetime: retention.idempotencyMilliseconds,
      }),
    };
    const idempotencyKey = idempotency ? idempotencyKeyOf(keys, callerId, idempotency.key) : keys.message(id);
    const mime = await stageContent(redis, keys, id, message.mime);
    const ask = (awaitedUntil: number | undefined) =>
      redis.scheduleMessage(
        keys.message(id),
        keys.mime(id),
        idempotencyKey,
        keys.prefix,
        JSON.stringify({ ...order, awaitedUntil }),
        JSON.stringify(fixed),
        mime,
      );
    const [kind, detail, hold] = await whenThereIsRoom(redis, mime.length, () => whileAwaited(redis, ask, timeOf));
    if (kind === 'gone') throw new Error(`The content of ${id} was not kept until it could be accepted`);
    if (kind === 'accepted') {
      const record = scheduledRecord(message, Number(detail), expiresAt);
      return { kind: 'accepted' as const, record };
    }
    if (kind === 'conflict') return { kind: 'conflict' as const, id: detail };
    return replayedAs(detail, await messages.find(detail), hold);
  }

  return {
    accept,
    async reschedule(id, { sendAt, expiresAt, date }) {
      const answer = await redis.rescheduleMessage(keys.message(id), keys.prefix, id, sendAt, expiresAt, date);
      return movedOf(answer);
    },
    async expedite(id, wish) {
      const order = JSON.stringify({ ...wish, look: FIRST_LOOK });
      return movedOf(await redis.expediteMessage(keys.message(id), keys.prefix, id, order));
    },
    async releaseDue(asOf) {
      const answer = await redis.releaseDue(
        keys.scheduled,
        keys.prefix,
        Math.floor(asOf),
        MAILBOXES,
        MESSAGES,
        FIRST_LOOK,
      );
      return releasedOf(answer);
    },
  };
}

function timeOf([kind, detail]: [string, string, (string | null)?]) {
  const isLate = kind === 'late';
  return { at: isLate || kind === 'accepted' ? Number(detail) : undefined, isLate };
}

function lifetimeOf({ lifetimeMilliseconds }: NewScheduled, retention: Retention): number {
  return lifetimeMilliseconds ?? retention.lifetimeMilliseconds;
}

/** Where in the content the Date field says `sendAt`; undefined where it says another time: then it is not ours. */
function placeOfDate({ mime, date }: NewScheduled): number | undefined {
  if (date === undefined) return undefined;
  const end = mime.indexOf('\r\n\r\n');
  const at = mime.indexOf(`\r\nDate: ${date}\r\n`);
  return at >= 0 && at < end ? at + '\r\nDate: '.length : undefined;
}

function releasedOf([now, next, queued]: [string, string, string[][]]): Released {
  return {
    now: Number(now),
    next: next === '' ? undefined : Number(next),
    queued: queued.map(([messageId = '', mailbox = '', number, priority, expiresAt]) => ({
      mailbox,
      ticket: { messageId, number: Number(number), priority: priority as Priority },
      // Where it does not say, the sweeper shall look now.
      expiresAt: wholeIn(expiresAt) ?? Number(now),
    })),
  };
}
