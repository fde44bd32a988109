import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Failure } from '../failure/failure.ts';
import type {
  Accepted,
  Begin,
  FixedPart,
  MessageStore,
  Move,
  Moved,
  MoveTold,
  NewMessage,
  Permit,
} from '../gateway/ports.ts';
import type { Hold } from '../gateway/view.ts';
import type { Attempt, MessageRecord, RecipientState } from '../mail/message.ts';
import { isFinal, mayMoveTo, type Status } from '../mail/status.ts';
import type { Keys } from './keys.ts';
import type { Scripted } from './redis.ts';

export interface Retention {
  recordMilliseconds: number;
  /** Content of failed messages, so that a person can have them sent again. */
  failedContentMilliseconds: number;
  idempotencyMilliseconds: number;
  /** Given up after this long where the caller names no time. */
  lifetimeMilliseconds: number;
}

/** When the sweeper first looks whether an accepted message has its job. */
const FIRST_LOOK = 15_000;
/** How long after its time the sweeper looks after a message that should have moved on by itself. */
const NEXT_LOOK = 30_000;
/** More than the deadline of the longest transaction. */
const LONGEST_ATTEMPT = 3_600_000;
/** The rolling day is counted in slices, each freed when all of it is older than 24 hours: never too early. */
const DAY_SLICE = 600_000;
const DAY_SLICES = 144;

/** Message records, their content and every move they make. Throws what ioredis throws when Redis cannot be asked. */
export function messageStore(redis: Redis & Scripted, keys: Keys, retention: Retention): MessageStore {
  const kept = { record: retention.recordMilliseconds, content: 0 };
  const retain = {
    sent: kept,
    partiallySent: kept,
    canceled: kept,
    failed: { ...kept, content: retention.failedContentMilliseconds },
  };

  function scriptKeys(id: string, mailbox: string, idempotencyKey = keys.message(id)): string[] {
    return [
      keys.message(id),
      keys.mime(id),
      keys.attempts(id),
      keys.events(id),
      keys.due,
      keys.busy,
      keys.counts,
      keys.sending(mailbox),
      keys.permits(mailbox),
      keys.flights(mailbox),
      keys.day(mailbox),
      keys.mailbox(mailbox),
      keys.lease(mailbox),
      idempotencyKey,
      keys.holds,
    ];
  }

  const idempotencyKeyOf = (callerId: string, key: string) =>
    keys.idempotency(callerId, createHash('sha256').update(key).digest('hex'));

  async function accept(message: NewMessage): Promise<Accepted> {
    const { id, mailbox, callerId, fixed, idempotency } = message;
    const order = {
      id,
      mailbox,
      callerId,
      changed: keys.changed,
      recipients: fixed.envelope.recipients.length,
      lifetime: retention.lifetimeMilliseconds,
      firstLook: FIRST_LOOK,
      ...(message.expiresAt !== undefined && { expiresAt: message.expiresAt }),
      ...(message.hooked && { hooks: keys.webhooks.outbox }),
      ...(idempotency && {
        fingerprint: idempotency.fingerprint,
        idempotencyLifetime: retention.idempotencyMilliseconds,
      }),
    };
    const idempotencyKey = idempotency && idempotencyKeyOf(callerId, idempotency.key);
    const [kind, first, second, third] = await redis.acceptMessageBuffer(
      ...scriptKeys(id, mailbox, idempotencyKey),
      JSON.stringify(order),
      JSON.stringify(fixed),
      message.mime,
    );
    if (String(kind) === 'accepted')
      return { kind: 'accepted', record: freshRecord(message, Number(first), Number(second), Number(third)) };
    if (String(kind) === 'conflict') return { kind: 'conflict', id: String(first) };
    return replayed(String(first));
  }

  async function replayed(id: string): Promise<Accepted> {
    const record = await find(id);
    // The entry outlives the message only if retention is set shorter than the idempotency window.
    return record ? { kind: 'replayed', record } : { kind: 'conflict', id };
  }

  /** What was answered to this key before; undefined for a new key. */
  async function replay(callerId: string, key: string, fingerprint: string): Promise<Accepted | undefined> {
    const [known, id] = await redis.hmget(idempotencyKeyOf(callerId, key), 'fingerprint', 'id');
    if (!known || !id) return undefined;
    return known === fingerprint ? replayed(id) : { kind: 'conflict', id };
  }

  async function find(id: string): Promise<MessageRecord | undefined> {
    return recordOf(id, await redis.hgetall(keys.message(id)));
  }

  async function findWithSurroundings(id: string) {
    const found = await redis.readMessage(keys.message(id), keys.attempts(id), keys.prefix);
    const fields = found && pairs(found[0]);
    const record = fields ? recordOf(id, fields) : undefined;
    if (!found || !fields || !record) return undefined;
    const [, attempts, hold, left] = found;
    return {
      record,
      attempts: attempts.map((each, index) => ({ ...(JSON.parse(each) as Attempt), number: index + 1 })),
      ahead: Math.max(0, Number(fields.place) - 1 - Number(left)),
      ...(hold && { hold: JSON.parse(hold) as Hold }),
    };
  }

  async function timeline(id: string) {
    const found = await redis
      .multi()
      .hmget(keys.message(id), 'callerId', 'revision')
      .lrange(keys.events(id), 0, -1)
      .exec();
    const [[, about] = [], [, told] = []] = found ?? [];
    const [callerId, revision] = (about ?? []) as (string | null)[];
    if (!callerId || !revision) return undefined;
    const events = ((told ?? []) as string[]).map((each) => JSON.parse(each) as MoveTold);
    // Each move is told once, so that the last one's number is the revision, also where the first ones are not kept.
    const earlier = Number(revision) - events.length;
    return { callerId, events: events.map((each, index) => ({ ...each, number: earlier + index + 1 })) };
  }

  async function begin(request: Begin): Promise<Permit> {
    const { id, mailbox, pace } = request;
    const order = {
      id,
      mailbox,
      changed: keys.changed,
      ticket: request.ticket,
      token: request.token,
      lease: request.lease,
      trial: request.trial,
      holdKeys: request.holdKeys,
      ignoreExpiry: request.ignoreExpiry,
      window: pace.windowMilliseconds,
      perWindow: pace.perWindow,
      perDay: pace.recipientsPerDay,
      daySlice: DAY_SLICE,
      daySlices: DAY_SLICES,
      longestAttempt: LONGEST_ATTEMPT,
    };
    const answer = await redis.beginAttemptBuffer(...scriptKeys(id, mailbox), JSON.stringify(order));
    return permitOf(id, answer);
  }

  async function move(request: Move): Promise<Moved> {
    const { id, mailbox, to, flight } = request;
    const pending = request.recipients?.filter((each) => !isFinal(each.status)).length;
    const order = {
      id,
      mailbox,
      to,
      changed: keys.changed,
      from: request.from ?? mayMoveTo(to),
      nextLook: NEXT_LOOK,
      retain,
      set: {
        ...(request.recipients && { recipients: JSON.stringify(request.recipients), pending }),
        ...(request.failure && { failure: JSON.stringify(request.failure) }),
        ...(request.attempts !== undefined && { attempts: request.attempts }),
        ...(request.expiresAt !== undefined && { expiresAt: request.expiresAt }),
      },
      clear: [
        ...(request.clearFailure ? ['failure'] : []),
        // An attempt that was given up as unconfirmed may still learn its outcome: it keeps its claim.
        ...(to === 'unconfirmed' ? [] : ['attemptToken', 'slice', 'dotMayHaveLeft']),
      ],
      ...(request.token !== undefined && { token: request.token }),
      ...(request.delayMilliseconds !== undefined && { delay: Math.round(request.delayMilliseconds) }),
      ...(request.attempt && { attempt: JSON.stringify(request.attempt) }),
      ...(request.failure && { event: { code: request.failure.code } }),
      ...(flight && {
        flight: { counted: flight.counted, window: flight.windowMilliseconds, unused: flight.unusedRecipients },
      }),
    };
    const [kind, ticket] = await redis.moveMessage(...scriptKeys(id, mailbox), JSON.stringify(order));
    if (kind === 'moved') return { moved: true, ticket: Number(ticket) };
    return { moved: false, status: (ticket || undefined) as Status | undefined };
  }

  return {
    accept,
    replay,
    find,
    findWithSurroundings,
    timeline,
    begin,
    move,
    hasContent: async (id) => (await redis.exists(keys.mime(id))) === 1,
    markDot: async (id: string, token: string) => (await redis.markDot(keys.message(id), token)) === 1,
    sending: (mailbox: string) => redis.smembers(keys.sending(mailbox)),
    async reticket(id: string, ticket: number): Promise<number | undefined> {
      return (await redis.reticket(keys.message(id), keys.due, String(ticket), id)) || undefined;
    },
    async due(limit: number): Promise<string[]> {
      const [seconds, microseconds] = await redis.time();
      const now = Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
      return redis.zrangebyscore(keys.due, '-inf', now, 'LIMIT', 0, limit);
    },
    postpone: (id: string, at: number) => redis.zadd(keys.due, 'XX', at, id),
    forget: (id: string) => redis.zrem(keys.due, id),
  };
}

function freshRecord(message: NewMessage, acceptedAt: number, expiresAt: number, aheadAtFirst: number): MessageRecord {
  const { id, callerId, mailbox, fixed } = message;
  return {
    ...fixed,
    id,
    callerId,
    mailbox,
    status: 'queued',
    revision: 1,
    acceptedAt,
    updatedAt: acceptedAt,
    expiresAt,
    attempts: 0,
    ticket: 1,
    aheadAtFirst,
    recipients: allQueued(fixed),
  };
}

/** A record as Redis keeps it; undefined where it is none. */
export function recordOf(id: string, fields: Record<string, string>): MessageRecord | undefined {
  if (!fields.fixed || !fields.status) return undefined;
  const fixed = JSON.parse(fields.fixed) as FixedPart;
  const recipients = fields.recipients ? (JSON.parse(fields.recipients) as RecipientState[]) : allQueued(fixed);
  return {
    ...fixed,
    id,
    callerId: fields.callerId ?? '',
    mailbox: fields.mailbox ?? '',
    status: fields.status as Status,
    revision: Number(fields.revision),
    acceptedAt: Number(fields.acceptedAt),
    updatedAt: Number(fields.updatedAt),
    expiresAt: Number(fields.expiresAt),
    attempts: Number(fields.attempts),
    ticket: Number(fields.ticket),
    aheadAtFirst: Number(fields.aheadAtFirst),
    recipients,
    ...(fields.nextAttemptAt && { nextAttemptAt: Number(fields.nextAttemptAt) }),
    ...(fields.failure && { failure: JSON.parse(fields.failure) as Failure }),
    ...(fields.attemptToken && { attemptToken: fields.attemptToken }),
    ...(fields.dotMayHaveLeft && { dotMayHaveLeft: true }),
  };
}

function allQueued(fixed: FixedPart): RecipientState[] {
  return fixed.envelope.recipients.map((address) => ({ address, status: 'queued' }));
}

function permitOf(id: string, [kind, detail, fields, mime]: (Buffer | Buffer[])[]): Permit {
  const name = String(kind);
  if (name === 'wait' || name === 'quota') return { kind: name, milliseconds: Number(String(detail)) };
  if (name !== 'go') return { kind: name as 'void' | 'held' | 'expired' | 'lost' };
  const record = recordOf(id, pairs(fields as Buffer[]));
  if (!record || !Buffer.isBuffer(mime)) throw new Error(`Message ${id} has no content`);
  return { kind: 'go', record, mime, startedAt: Number(String(detail)) };
}

export function pairs(flat: (Buffer | string)[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) fields[String(flat[i])] = String(flat[i + 1]);
  return fields;
}

/** Recipients of the last 24 hours, by slices: counted as the permit counts them. */
export function recipientsSince(day: Record<string, string>, now: number): number {
  const oldest = Math.floor(now / DAY_SLICE) - DAY_SLICES;
  return Object.entries(day).reduce((sum, [slice, count]) => (Number(slice) >= oldest ? sum + Number(count) : sum), 0);
}
