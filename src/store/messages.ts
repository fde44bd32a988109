import { hash } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Failure } from '../failure/failure.ts';
import { WRITTEN_AT_ONCE } from '../gateway/accept.ts';
import type {
  Accepted,
  Attempted,
  Begin,
  Begun,
  FixedPart,
  Jumped,
  MessageStore,
  Move,
  Moved,
  MoveTold,
  NewMessage,
} from '../gateway/ports.ts';
import type { NewScheduled } from '../gateway/schedule.ts';
import type { Attempt, Envelope, MessageRecord, RecipientState } from '../mail/message.ts';
import { isFinal, mayMoveTo, type Status } from '../mail/status.ts';
import { acceptScript } from './accept-script.ts';
import type { Keys } from './keys.ts';
import { whenThereIsRoom } from './on-the-way.ts';
import { inOneTurn } from './one-turn.ts';
import type { Scripted } from './redis.ts';
import { readContent, stageContent } from './staged-content.ts';
import { areSame, type LaneOfSteps, stepsTogether } from './steps.ts';
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
      return redis.acceptMessages(keys.due, keys.busy, keys.counts, keys.holds, common, orders, ...contents);
    },
    PATIENCE,
    CROWD,
  );

  async function accept(message: NewMessage): Promise<Accepted> {
    const { id, mime } = message;
    const isLarge = mime.length >= WRITTEN_AT_ONCE;
    const written = isLarge ? { ...message, mime: await stageContent(redis, keys, id, mime) } : message;
    const [kind, detail, second, third, hold] = await whenThereIsRoom(written.mime.length, () => write(written));
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
    const [, hold, left, use] = found;
    return {
      record,
      attempts: attemptsOf(fields),
      ahead: Math.max(0, Number(fields.place) - 1 - Number(left)),
      windowUse: standingOf(`0 ${use}`).windowAtFirst,
      ...(hold && { hold: holdOf(hold) }),
    };
  }

  async function timeline(id: string) {
    const fields = await redis.hgetall(keys.message(id));
    const { callerId, mailbox = '' } = fields;
    return callerId ? { callerId, mailbox, events: eventsOf(fields) } : undefined;
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
    async markDot(id: string, token: string) {
      const [answer] = await step({ name: 'markDot', values: [id, token] });
      return String(answer) === 'marked';
    },
    sending: (mailbox: string) => redis.sendingOf(keys.sending(mailbox), keys.message('')),
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

/**
 * Without what most messages leave as it is, and without an envelope that the addresses tell: a third is left. Member by
 * member, since going on from a copy of all the rest costs three times as much.
 */
function compactFixed(fixed: FixedPart): string {
  const { envelope, to } = fixed;
  const isTold = !envelope.needs && envelope.reversePath === fixed.from && areSame(envelope.recipients, to);
  const kept: { [member in keyof Required<FixedPart>]: FixedPart[member] | undefined } = {
    envelope: isTold ? undefined : envelope,
    from: fixed.from,
    to: unlessEmpty(to),
    cc: unlessEmpty(fixed.cc),
    bcc: unlessEmpty(fixed.bcc),
    subject: fixed.subject,
    tags: unlessEmpty(fixed.tags),
    metadata: hasEntries(fixed.metadata) ? fixed.metadata : undefined,
    messageIdHeader: fixed.messageIdHeader,
    bytes: fixed.bytes,
    onUnconfirmed: fixed.onUnconfirmed === 'hold' ? undefined : fixed.onUnconfirmed,
    priority: fixed.priority === 'normal' ? undefined : fixed.priority,
    test: fixed.test,
    webhooks: fixed.webhooks,
  };
  return JSON.stringify(kept);
}

function wholeFixed(json: string): FixedPart {
  const { to = [], cc = [], bcc = [], tags = [], metadata = {}, ...kept } = JSON.parse(json) as FixedPart;
  const usual: Partial<FixedPart> = {
    envelope: envelopeOf({ from: kept.from, to }),
    onUnconfirmed: 'hold',
    priority: 'normal',
  };
  return { to, cc, bcc, tags, metadata, ...usual, ...kept };
}

/** What the addresses tell, where no envelope is kept. */
function envelopeOf({ from, to = [] }: { from: string; to?: string[] }): Envelope {
  return { reversePath: from, recipients: to };
}

function unlessEmpty(list: string[]): string[] | undefined {
  return list.length > 0 ? list : undefined;
}

function hasEntries(metadata: Record<string, string>): boolean {
  for (const _ in metadata) return true;
  return false;
}

type Standing = Pick<MessageRecord, 'aheadAtFirst' | 'windowAtFirst'>;

/** As the scripts write it: how many are before it, and then, where places of the window are taken, `windowUse`. */
function standingOf(text: string): Standing {
  const [ahead, taken, nextFreeAt] = text.split(' ');
  const windowAtFirst = nextFreeAt ? { taken: Number(taken), nextFreeAt: Number(nextFreeAt) } : undefined;
  return { aheadAtFirst: Number(ahead), windowAtFirst };
}

function freshRecord(message: NewMessage, acceptedAt: number, expiresAt: number, standing: Standing): MessageRecord {
  const { id, callerId, mailbox, fixed } = message;
  return {
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
    aheadAtFirst: standing.aheadAtFirst,
    windowAtFirst: standing.windowAtFirst,
    recipients: allWaiting(fixed, 'queued'),
    // Last: to go on from a copy of so many members would take a hundred times as long (V8 11).
    ...fixed,
  };
}

/** A scheduled message as it was just written. */
export function scheduledRecord(message: NewScheduled, acceptedAt: number, expiresAt: number): MessageRecord {
  const { sendAt, expiresAt: fixedExpiry, fixed } = message;
  return {
    ...freshRecord(message, acceptedAt, expiresAt, { aheadAtFirst: 0 }),
    status: 'scheduled',
    sendAt,
    firstSendAt: sendAt,
    ...(fixedExpiry === undefined && { lifetime: expiresAt - sendAt }),
    recipients: allWaiting(fixed, 'scheduled'),
  };
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

/**
 * A record as Redis keeps it; undefined where it is none. One that is damaged says as much as can be read of it: whoever
 * looks at many, or opens a lane, must not fail because of it.
 */
export function recordOf(id: string, fields: Record<string, string>): MessageRecord | undefined {
  if (!fields.status || !fields.callerId) return undefined;
  const fixed = parsed(() => wholeFixed(fields.fixed ?? ''));
  const waiting = fields.status === 'scheduled' ? 'scheduled' : 'queued';
  const recipients = parsed(() =>
    fields.recipients ? recipientsIn(fields.recipients) : allWaiting(fixed ?? UNREADABLE, waiting),
  );
  const failure = fields.failure && parsed(() => JSON.parse(fields.failure ?? '') as Failure);
  return {
    id,
    ...(fixed ?? UNREADABLE),
    callerId: fields.callerId ?? '',
    mailbox: fields.mailbox ?? '',
    status: fields.status as Status,
    revision: Number(fields.revision),
    acceptedAt: Number(fields.acceptedAt),
    updatedAt: Number(fields.updatedAt ?? fields.acceptedAt),
    expiresAt: Number(fields.expiresAt),
    attempts: Number(fields.attempts ?? 0),
    ticket: Number(fields.ticket),
    ...standingOf(fields.aheadAtFirst ?? ''),
    recipients: recipients ?? [],
    ...((!fixed || !recipients) && { isDamaged: true }),
    ...(fields.nextAttemptAt && { nextAttemptAt: Number(fields.nextAttemptAt) }),
    ...(failure && { failure }),
    ...(fields.attemptToken && { attemptToken: fields.attemptToken }),
    ...(fields.dotMayHaveLeft && { dotMayHaveLeft: true }),
    ...(fields.interruptions && { interruptions: Number(fields.interruptions) }),
    ...(fields.sendAt && { sendAt: Number(fields.sendAt), firstSendAt: Number(fields.firstSendAt) }),
    ...(fields.lifetime && { lifetime: Number(fields.lifetime) }),
    ...(fields.firstTicket && { firstTicket: Number(fields.firstTicket) }),
  };
}

/** What stands for the fixed part of a record where that cannot be read. */
const UNREADABLE: FixedPart = {
  envelope: { reversePath: '', recipients: [] },
  from: '',
  to: [],
  cc: [],
  bcc: [],
  subject: '',
  tags: [],
  metadata: {},
  messageIdHeader: '',
  bytes: 0,
  onUnconfirmed: 'hold',
  priority: 'normal',
};

/** What `read` gives; undefined where what it reads is damaged. */
function parsed<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** @throws where it is damaged; no message is for nobody */
function recipientsIn(json: string): RecipientState[] {
  const recipients = JSON.parse(json) as RecipientState[];
  if (!Array.isArray(recipients) || recipients.length === 0) throw new Error('A message without recipients');
  return recipients;
}

function allWaiting(fixed: Pick<FixedPart, 'envelope'>, status: Status): RecipientState[] {
  return fixed.envelope.recipients.map((address) => ({ address, status }));
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

/**
 * The timeline as the record keeps it. That it was accepted need not be written, the record says when; of a message that
 * was scheduled it is, and may be past keeping.
 */
function eventsOf(fields: Record<string, string>): MoveTold[] {
  const first = { number: 1, at: Number(fields.acceptedAt), status: 'queued' as Status };
  const later = numbered(fields, 'e').map(([number, told]) => {
    const [at, status, detail] = told.split(' ');
    return { number, at: Number(at), status: status as Status, ...detailOf(detail) };
  });
  return fields.firstSendAt || later.length < Number(fields.revision) - 1 ? later : [first, ...later];
}

/** Why it moved where that was no failure: somebody said that it was sent. */
const RESOLVED = '=';

/** Why it moved: the code of a failure, `@` and the time it waits for, `!` where it was expedited, or `RESOLVED`. */
function detailOf(detail: string | undefined): Pick<MoveTold, 'code' | 'sendAt' | 'expedited' | 'resolved'> {
  if (!detail) return {};
  if (detail === RESOLVED) return { resolved: true };
  if (detail === '!') return { expedited: true };
  return detail.startsWith('@') ? { sendAt: Number(detail.slice(1)) } : { code: detail };
}

export function attemptsOf(fields: Record<string, string>): Attempt[] {
  return numbered(fields, 'a').flatMap(([, told], index) => {
    const attempt = parsed(() => JSON.parse(told) as Attempt);
    return attempt ? [{ ...attempt, number: index + 1 }] : [];
  });
}

/** The fields that are named so and a number, in the order of their numbers. */
function numbered(fields: Record<string, string>, name: 'a' | 'e'): [number, string][] {
  return Object.entries(fields)
    .flatMap(([field, value]): [number, string][] => {
      const number = field.startsWith(name) ? Number(field.slice(1)) : Number.NaN;
      return Number.isInteger(number) ? [[number, value]] : [];
    })
    .sort(([one], [other]) => one - other);
}

function permitOf(id: string, [kind, detail, fixed, recipients, attempts, mime]: (Buffer | null)[]): Begun | Jumped {
  const name = String(kind);
  if (name === 'jumped') return { kind: name, now: Number(String(detail)) };
  if (name === 'wait' || name === 'quota') return { kind: name, milliseconds: Number(String(detail)) };
  if (name !== 'go') return { kind: name as 'void' | 'held' | 'expired' | 'gone' | 'lost' };
  const record = parsed(() => attemptedOf(id, String(fixed), recipients, attempts));
  if (!record) return { kind: 'damaged' };
  return { kind: 'go', record, ...(mime && { mime }), startedAt: Number(String(detail)) };
}

/** @throws where it is damaged */
function attemptedOf(id: string, fixed: string, recipients?: Buffer | null, attempts?: Buffer | null): Attempted {
  const known = JSON.parse(fixed) as Partial<FixedPart> & Pick<FixedPart, 'from'>;
  const { envelope = envelopeOf(known), onUnconfirmed = 'hold', priority = 'normal', test } = known;
  return {
    id,
    envelope,
    onUnconfirmed,
    priority,
    ...(test && { test }),
    attempts: attempts ? Number(String(attempts)) : 0,
    recipients: recipients ? recipientsIn(String(recipients)) : allWaiting({ envelope }, 'queued'),
  };
}

export function pairs(flat: (Buffer | string)[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) fields[String(flat[i])] = String(flat[i + 1]);
  return fields;
}

/** Recipients of the last 24 hours, by slices: counted as the permit counts them. */
export function recipientsSince(day: Record<string, string>, now: number): number {
  const oldest = Math.floor(now / DAY_SLICE) - DAY_SLICES;
  // Of the fields that are no slice, Number makes NaN, which is never as great.
  return Object.entries(day).reduce((sum, [slice, count]) => (Number(slice) >= oldest ? sum + Number(count) : sum), 0);
}
