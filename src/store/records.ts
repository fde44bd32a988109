/** A message's record as Redis keeps it, written and read. What is damaged says as much as can be read of it. */
import type { Failure } from '../failure/failure.ts';
import { timeOfId } from '../gateway/identifiers.ts';
import type { Attempted, FixedPart, MoveTold, NewMessage } from '../gateway/ports.ts';
import type { NewScheduled } from '../gateway/schedule.ts';
import { type Attempt, type Envelope, type MessageRecord, PRIORITIES, type RecipientState } from '../mail/message.ts';
import type { Status } from '../mail/status.ts';
import { areSame } from './steps.ts';

/**
 * Without what most messages leave as it is, and without an envelope that the addresses tell: a third is left. Member by
 * member, since going on from a copy of all the rest costs three times as much.
 */
export function compactFixed(fixed: FixedPart): string {
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

/** @throws where it is damaged */
function wholeFixed(json: string): FixedPart {
  const { to = [], cc = [], bcc = [], tags = [], metadata = {}, ...kept } = JSON.parse(json) as FixedPart;
  const usual: Partial<FixedPart> = {
    envelope: checkedEnvelope(kept.envelope ?? envelopeOf({ from: kept.from, to })),
    onUnconfirmed: 'hold',
    priority: 'normal',
  };
  const isWhole = typeof kept.from === 'string' && [to, cc, bcc, tags].every(Array.isArray) && isRanked(kept);
  if (!isWhole || !Number.isFinite(kept.bytes)) throw new Error('A message without its addresses or its size');
  return { to, cc, bcc, tags, metadata, ...usual, ...kept };
}

function isRanked({ priority }: Partial<FixedPart>): boolean {
  return priority === undefined || PRIORITIES.includes(priority);
}

/** @throws where it is damaged; no message is for nobody */
function checkedEnvelope(envelope: Envelope): Envelope {
  const { reversePath, recipients } = envelope;
  const isWhole = typeof reversePath === 'string' && Array.isArray(recipients) && recipients.length > 0;
  if (!isWhole) throw new Error('A message without a sender or recipients');
  return envelope;
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
export function standingOf(text: string): Standing {
  const [ahead, ...use] = text.split(' ').map(wholeIn);
  const [taken, nextFreeAt] = use;
  const windowAtFirst = taken === undefined || nextFreeAt === undefined ? undefined : { taken, nextFreeAt };
  return { aheadAtFirst: ahead ?? 0, windowAtFirst };
}

/** The greatest number of milliseconds that a date can be made of (ECMA-262, time values). */
export const MOST = 8.64e15;

/** The number that a field of a record says, as `whole` in Lua reads it; undefined where it is absent or says none. */
export function wholeIn(text: string | undefined): number | undefined {
  const number = text && /^\d{1,16}$/.test(text) ? Number(text) : undefined;
  return number !== undefined && number <= MOST ? number : undefined;
}

export function freshRecord(
  message: NewMessage,
  acceptedAt: number,
  expiresAt: number,
  standing: Standing,
): MessageRecord {
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
  const told = (name: string) => wholeIn(fields[name]);
  const acceptedAt = told('acceptedAt') ?? timeOfId(id) ?? 0;
  const updatedAt = told('updatedAt') ?? acceptedAt;
  const [ticket, expiresAt, pending] = [told('ticket'), told('expiresAt'), told('pending')];
  const sendAt = told('sendAt');
  const numbers = {
    nextAttemptAt: told('nextAttemptAt'),
    interruptions: told('interruptions'),
    sendAt,
    firstSendAt: told('firstSendAt') ?? sendAt,
    lifetime: told('lifetime'),
    firstTicket: told('firstTicket'),
  };
  const isWhole = fixed && recipients && ticket !== undefined && expiresAt !== undefined && pending !== undefined;
  return {
    id,
    ...(fixed ?? UNREADABLE),
    callerId: fields.callerId ?? '',
    mailbox: fields.mailbox ?? '',
    status: fields.status as Status,
    revision: told('revision') ?? lastRevision(fields),
    acceptedAt,
    updatedAt,
    expiresAt: expiresAt ?? updatedAt,
    attempts: told('attempts') ?? 0,
    ticket: ticket ?? 0,
    ...standingOf(fields.aheadAtFirst ?? ''),
    recipients: recipients ?? [],
    ...(!isWhole && { isDamaged: true }),
    ...present(numbers),
    ...(failure && { failure }),
    ...(fields.attemptToken && { attemptToken: fields.attemptToken }),
    ...(fields.dotMayHaveLeft && dotMarkIn(fields.dotMayHaveLeft)),
  };
}

function dotMarkIn(mark: string): Pick<MessageRecord, 'dotMayHaveLeft' | 'refusedBeforeDot'> {
  const refusedBeforeDot = mark === '1' ? undefined : parsed(() => recipientsIn(mark));
  return { dotMayHaveLeft: true, ...(refusedBeforeDot && { refusedBeforeDot }) };
}

type Present<T> = { [name in keyof T]?: Exclude<T[name], undefined> };

function present<T extends Record<string, number | undefined>>(numbers: T): Present<T> {
  return Object.fromEntries(Object.entries(numbers).filter(([, number]) => number !== undefined)) as Present<T>;
}

/** Of its timeline, where the record does not say it. */
function lastRevision(fields: Record<string, string>): number {
  return numbered(fields, 'e').at(-1)?.[0] ?? 1;
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
export function parsed<T>(read: () => T): T | undefined {
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
  const isWhole = recipients.every((each) => typeof each?.address === 'string' && typeof each.status === 'string');
  if (!isWhole) throw new Error('A recipient without address or status');
  return recipients;
}

function allWaiting(fixed: Pick<FixedPart, 'envelope'>, status: Status): RecipientState[] {
  return fixed.envelope.recipients.map((address) => ({ address, status }));
}

/**
 * The timeline as the record keeps it. That it was accepted need not be written, the record says when; of a message that
 * was scheduled it is, and may be past keeping.
 */
export function eventsOf(
  { acceptedAt, revision, firstSendAt }: MessageRecord,
  fields: Record<string, string>,
): MoveTold[] {
  const first = { number: 1, at: acceptedAt, status: 'queued' as Status };
  const later = numbered(fields, 'e').map(([number, told]) => {
    const [at, status, detail] = told.split(' ');
    return { number, at: wholeIn(at) ?? acceptedAt, status: status as Status, ...detailOf(detail) };
  });
  return firstSendAt !== undefined || later.length < revision - 1 ? later : [first, ...later];
}

/** Why it moved where that was no failure: somebody said that it was sent. */
export const RESOLVED = '=';

/** Why it moved: the code of a failure, `@` and the time it waits for, `!` where it was expedited, or `RESOLVED`. */
function detailOf(detail: string | undefined): Pick<MoveTold, 'code' | 'sendAt' | 'expedited' | 'resolved'> {
  if (!detail) return {};
  if (detail === RESOLVED) return { resolved: true };
  if (detail === '!') return { expedited: true };
  if (!detail.startsWith('@')) return { code: detail };
  const sendAt = wholeIn(detail.slice(1));
  return sendAt === undefined ? {} : { sendAt };
}

export function attemptsOf(fields: Record<string, string>): Attempt[] {
  return numbered(fields, 'a').flatMap(([, told], index) => {
    const attempt = parsed(() => JSON.parse(told) as Attempt);
    return attempt?.startedAt ? [{ ...attempt, number: index + 1 }] : [];
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

/** @throws where it is damaged */
export function attemptedOf(
  id: string,
  fixed: string,
  recipients?: Buffer | null,
  attempts?: Buffer | null,
): Attempted {
  const known = JSON.parse(fixed) as Partial<FixedPart> & Pick<FixedPart, 'from'>;
  const { onUnconfirmed = 'hold', priority = 'normal', test } = known;
  const envelope = checkedEnvelope(known.envelope ?? envelopeOf(known));
  if (!isRanked(known)) throw new Error('A message of no priority');
  return {
    id,
    envelope,
    onUnconfirmed,
    priority,
    ...(test && { test }),
    attempts: (attempts && wholeIn(String(attempts))) ?? 0,
    recipients: recipients ? recipientsIn(String(recipients)) : allWaiting({ envelope }, 'queued'),
  };
}

export function pairs(flat: (Buffer | string)[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) fields[String(flat[i])] = String(flat[i + 1]);
  return fields;
}
