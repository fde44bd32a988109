import { hash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { WRITTEN_AT_ONCE } from '../gateway/accept.ts';
import type { Accepted, Begin, Begun, Jumped, MessageStore, Move, Moved, NewMessage } from '../gateway/ports.ts';
import type { MessageRecord, RecipientState } from '../mail/message.ts';
import { isFinal, mayMoveTo, type Status } from '../mail/status.ts';
import { acceptScript } from './accept-script.ts';
import { whileAwaited } from './awaited.ts';
import type { Keys } from './keys.ts';
import { whenThereIsRoom } from './on-the-way.ts';
import { inOneTurn } from './one-turn.ts';
import {
  attemptedOf,
  attemptsOf,
  compactFixed,
  eventsOf,
  freshRecord,
  pairs,
  parsed,
  RESOLVED,
  recordOf,
  standingOf,
  wholeIn,
} from './records.ts';
import type { Scripted } from './redis.ts';
import { readContent, stageContent } from './staged-content.ts';
import { type LaneOfSteps, stepsTogether } from './steps.ts';
import { holdOf } from './stored-hold.ts';

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
/** For so many milliseconds new messages wait for those before them; a disk that is busy takes less. */
const PATIENCE = 20;
/** So many new messages wait for none: without it fifty callers' soon went all together, and a tenth fewer in a second. */
const CROWD = 20;
/** The rolling day is counted in slices, each freed when all of it is older than 24 hours: never too early. */
export const DAY_SLICE = 600_000;
export const DAY_SLICES = 144;

/**
 * Message records, their content and every move they make. Throws what ioredis throws when Redis cannot be asked.
 *
 * @param firstJobs how accepting adds the job of a message that is to go now (see `acceptScript`); if absent, it does not
 */
export function messageStore(
  redis: Redis & Scripted,
  keys: Keys,
  retention: Retention,
  firstJobs?: string,
): MessageStore {
  redis.defineCommand('acceptMessages', { numberOfKeys: 4, lua: acceptScript(firstJobs) });
  const lanes = new Map<string, LaneOfSteps>();
  const laneOf = (mailbox: string): LaneOfSteps => {
    const known = lanes.get(mailbox);
    if (known) return known;
    const made = { mailbox, keys: laneKeys(keys, mailbox) };
    lanes.set(mailbox, made);
    return made;
  };
  const keepRecord = String(retention.recordMilliseconds);
  const keepFailedContent = String(retention.failedContentMilliseconds);
  const slices = [String(DAY_SLICE), String(DAY_SLICES)];
  const step = stepsTogether(redis, [
    keys.message(''),
    keys.mime(''),
    keys.changed,
    ...slices,
    String(NEXT_LOOK),
    keepRecord,
    keepFailedContent,
  ]);

  const common = JSON.stringify({
    lifetime: retention.lifetimeMilliseconds,
    firstLook: FIRST_LOOK,
    idempotencyLifetime: retention.idempotencyMilliseconds,
    lists: keys.list({ kind: 'all', callerId: '' }),
    callers: keys.callers,
    counts: keys.countsOf(''),
    message: keys.message(''),
    mime: keys.mime(''),
    mailbox: keys.mailbox(''),
    permits: keys.permits(''),
    queues: `${keys.bull}:`,
    wake: keys.wake,
    webhooksOf: keys.webhooks.ofCaller(''),
    outbox: keys.webhooks.outbox,
  });

  /** All that came in one turn, by one script. */
  const write = inOneTurn(
    ({ mime }: NewMessage) => mime.length + 1_000,
    (messages) => {
      const contents: (string | Buffer)[] = [];
      for (const { fixed, mime } of messages) contents.push(compactFixed(fixed), mime);
      const orders = JSON.stringify(messages.map((message) => orderOf(message, keys)));
      const scriptKeys = [keys.due, keys.busy, keys.counts, keys.holds];
      return whileAwaited(
        redis,
        (until) => redis.acceptMessages(...scriptKeys, common, orders, String(until ?? ''), ...contents),
        (answers) => ({ at: wholeIn(answers.at(-1)?.[0] ?? undefined), isLate: answers[0]?.[0] === 'late' }),
      );
    },
    PATIENCE,
    CROWD,
  );

  async function accept(message: NewMessage): Promise<Accepted> {
    const { id, mime } = message;
    const isLarge = mime.length >= WRITTEN_AT_ONCE;
    const written = isLarge ? { ...message, mime: await stageContent(redis, keys, id, mime) } : message;
    const [kind, detail, second, third, hold] = await whenThereIsRoom(redis, written.mime.length, () => write(written));
    const first = detail ?? '';
    if (kind === 'error') throw new Error(`Redis did not take ${id}: ${first}`);
    if (kind === 'gone') throw new Error(`The content of ${message.id} was not kept until it could be accepted`);
    if (kind === 'accepted') {
      const record = freshRecord(message, Number(first), Number(second), standingOf(third ?? ''));
      return hold ? { kind: 'accepted', record, hold: holdOf(hold) } : { kind: 'accepted', record };
    }
    if (kind === 'conflict') return { kind: 'conflict', id: first };
    return replayed(first, second);
  }

  const replayed = async (id: string, hold: string | null | undefined) => replayedAs(id, await find(id), hold);

  /** What was answered to this key before; undefined for a new key. */
  async function replay(callerId: string, key: string, fingerprint: string): Promise<Accepted | undefined> {
    const [known, id, hold] = await redis.hmget(idempotencyKeyOf(keys, callerId, key), 'fingerprint', 'id', 'hold');
    if (!known || !id) return undefined;
    return known === fingerprint ? replayed(id, hold) : { kind: 'conflict', id };
  }

  async function find(id: string): Promise<MessageRecord | undefined> {
    return recordOf(id, await redis.hgetall(keys.message(id)));
  }

  async function findMany(ids: string[]): Promise<(MessageRecord | undefined)[]> {
    const found = ids.length > 0 ? await redis.readRecords(ids.length, ...ids.map(keys.message)) : [];
    return found.map((fields, index) => recordOf(ids[index] ?? '', pairs(fields)));
  }

  async function findWithSurroundings(id: string) {
    const found = await redis.readMessage(keys.message(id), keys.prefix);
    const fields = found && pairs(found[0]);
    const record = fields ? recordOf(id, fields) : undefined;
    if (!found || !fields || !record) return undefined;
    const [, hold, left, use, today] = found;
    return {
      record,
      attempts: attemptsOf(fields),
      ahead: Math.max(0, (wholeIn(fields.place) ?? 1) - 1 - (Number(left) || 0)),
      windowUse: standingOf(`0 ${use}`).windowAtFirst,
      recipientsToday: wholeIn(today) ?? 0,
      ...(hold && { hold: holdOf(hold) }),
    };
  }

  async function timeline(id: string) {
    const fields = await redis.hgetall(keys.message(id));
    const record = recordOf(id, fields);
    return record && { callerId: record.callerId, mailbox: record.mailbox, events: eventsOf(record, fields) };
  }

  async function begin(request: Begin): Promise<Begun | Jumped> {
    const { id, mailbox, pace } = request;
    const terms = [
      request.lease,
      request.ignoreExpiry ? '1' : '0',
      String(pace.windowMilliseconds),
      String(pace.perWindow),
      String(pace.recipientsPerDay),
      ...request.holdKeys,
    ];
    const expected = request.expectedNow === undefined ? '' : String(Math.round(request.expectedNow));
    const values = [id, String(request.ticket), request.token, request.trial ? '1' : '0', expected];
    return permitOf(id, await step({ name: 'begin', lane: laneOf(mailbox), terms, values }));
  }

  async function move(request: Move): Promise<Moved> {
    const { id, mailbox, to, flight, delayMilliseconds: delay } = request;
    const values = [
      id,
      to,
      `|${(request.from ?? mayMoveTo(to)).join('|')}|`,
      request.token ?? '',
      request.failure?.code ?? (request.resolved ? RESOLVED : ''),
      request.attempt ? JSON.stringify(request.attempt) : '',
      delay === undefined ? '' : String(Math.round(delay)),
      flight?.counted ? String(flight.windowMilliseconds) : '',
      flight ? String(flight.unusedRecipients) : '',
      clearedBy(request),
      request.ticket === undefined ? '' : String(request.ticket),
      ...fieldsOf(request),
    ];
    const answer = await step({ name: 'move', lane: laneOf(mailbox), values });
    return movedOf(answer.map(String));
  }

  return {
    accept,
    replay,
    find,
    findMany,
    findWithSurroundings,
    timeline,
    begin,
    move,
    content: (id) => readContent(redis, keys, id),
    hasContent: async (id) => (await redis.exists(keys.mime(id))) === 1,
    async markDot(id: string, token: string, refused: RecipientState[] = []) {
      const mark = refused.length > 0 ? JSON.stringify(refused) : '1';
      const [answer] = await step({ name: 'markDot', values: [id, token, mark] });
      return String(answer) === 'marked';
    },
    async sending(mailbox: string, lease: string) {
      const found = await redis.sendingOf(keys.sending(mailbox), keys.lease(mailbox), keys.message(''), lease);
      return found === 0 ? undefined : Object.entries(pairs(found)).map(([id, token]) => ({ id, token }));
    },
    async reticket(id: string, ticket: number): Promise<number | undefined> {
      return (await redis.reticket(keys.message(id), keys.due, String(ticket), id)) || undefined;
    },
    claimDue: (limit: number, milliseconds: number) => redis.claimDue(keys.due, limit, milliseconds),
    postpone: (id: string, ticket: number, at: number) =>
      redis.postponeLook(keys.message(id), keys.due, id, String(ticket), at),
    leave: (id: string) =>
      redis.leaveMessage(
        keys.message(id),
        keys.mime(id),
        keys.due,
        id,
        keys.sending(''),
        keepRecord,
        keepFailedContent,
      ),
  };
}

/** What the script needs to know of a message. */
function orderOf(message: NewMessage, keys: Keys): object {
  const { id, mailbox, callerId, fixed, expiresAt, lifetimeMilliseconds, idempotency } = message;
  return {
    id,
    mailbox,
    callerId,
    recipients: String(fixed.envelope.recipients.length),
    priority: fixed.priority,
    expiresAt,
    lifetime: lifetimeMilliseconds,
    idempotency: idempotency && idempotencyKeyOf(keys, callerId, idempotency.key),
    fingerprint: idempotency?.fingerprint,
    bytes: fixed.bytes,
    untold: isUntold(message),
  };
}

/** Its caller wants no webhook told of it, whichever it has: true, or absent, which costs nothing to write. */
export function isUntold({ fixed }: Pick<NewMessage, 'fixed'>): true | undefined {
  return fixed.webhooks?.length === 0 || undefined;
}

/** @param hold that of the first answer, as JSON */
export function replayedAs(id: string, record: MessageRecord | undefined, hold: string | null | undefined): Accepted {
  // The entry outlives the message only if retention is set shorter than the idempotency window.
  if (!record) return { kind: 'conflict', id };
  return { kind: 'replayed', record, ...(hold && { hold: holdOf(hold) }) };
}

export function idempotencyKeyOf(keys: Keys, callerId: string, key: string): string {
  return keys.idempotency(callerId, hash('sha256', key, 'hex'));
}

/** What a script that moves a message answers. */
export function movedOf([kind, detail]: string[]): Moved {
  if (kind === 'moved') return { moved: true, ticket: Number(detail) };
  return { moved: false, status: (detail || undefined) as Status | undefined };
}

/** In the order in which the script `STEPS` takes them. */
function laneKeys(keys: Keys, mailbox: string): string[] {
  return [
    keys.counts,
    keys.sending(mailbox),
    keys.permits(mailbox),
    keys.day(mailbox),
    keys.lease(mailbox),
    keys.holds,
    keys.due,
    keys.busy,
    keys.mailbox(mailbox),
  ];
}

/** What a move replaces of the record, as field and value in turn. */
function fieldsOf({ recipients, failure, attempts, interruptions, expiresAt }: Move): string[] {
  const fields: string[] = [];
  if (recipients) {
    const pending = recipients.filter((each) => !isFinal(each.status)).length;
    fields.push('recipients', JSON.stringify(recipients), 'pending', String(pending));
  }
  if (failure) fields.push('failure', JSON.stringify(failure));
  if (attempts !== undefined) fields.push('attempts', String(attempts));
  if (interruptions !== undefined) fields.push('interruptions', String(interruptions));
  if (expiresAt !== undefined) fields.push('expiresAt', String(expiresAt));
  return fields;
}

function clearedBy({ to, clearFailure }: Move): string {
  const failure = clearFailure ? 'failure ' : '';
  // An attempt that was given up as unconfirmed may still learn its outcome: it keeps its claim.
  return to === 'unconfirmed' ? failure : `${failure}attemptToken slice dotMayHaveLeft`;
}

function permitOf(id: string, [kind, detail, fixed, recipients, attempts, mime]: (Buffer | null)[]): Begun | Jumped {
  const name = String(kind);
  if (name === 'jumped') return { kind: name, now: Number(String(detail)) };
  if (name === 'wait') return { kind: 'wait', milliseconds: Number(String(detail)) };
  if (name === 'quota') {
    const [milliseconds, needed, left] = [detail, fixed, recipients].map((text) => Number(String(text)));
    return { kind: 'quota', milliseconds, recipients: needed, left } as Extract<Begun, { kind: 'quota' }>;
  }
  if (name !== 'go') return { kind: name as 'void' | 'held' | 'overDay' | 'expired' | 'gone' | 'lost' | 'damaged' };
  const record = parsed(() => attemptedOf(id, String(fixed), recipients, attempts));
  if (!record) return { kind: 'damaged' };
  return { kind: 'go', record, ...(mime && { mime }), startedAt: Number(String(detail)) };
}

/** Recipients of the last 24 hours, by slices: counted as the permit counts them. */
export function recipientsSince(day: Record<string, string>, now: number): number {
  const oldest = Math.floor(now / DAY_SLICE) - DAY_SLICES;
  // Of the fields that are no slice, Number makes NaN, which is never as great.
  return Object.entries(day).reduce(
    (sum, [slice, count]) => (Number(slice) >= oldest ? sum + (wholeIn(count) ?? 0) : sum),
    0,
  );
}
