/** A message's record as Redis keeps it, written and read. What is damaged says as much as can be read of it. */
import type { Failure } from '../failure/failure.ts';
import type { Attempted, FixedPart, MoveTold, NewMessage } from '../gateway/ports.ts';
import type { NewScheduled } from '../gateway/schedule.ts';
import type { Attempt, Envelope, MessageRecord, RecipientState } from '../mail/message.ts';
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
export function standingOf(text: string): Standing {
  const [ahead, taken, nextFreeAt] = text.split(' ');
  const windowAtFirst = nextFreeAt ? { taken: Number(taken), nextFreeAt: Number(nextFreeAt) } : undefined;
  return { aheadAtFirst: Number(ahead), windowAtFirst };
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
  return recipients;
}

function allWaiting(fixed: Pick<FixedPart, 'envelope'>, status: Status): RecipientState[] {
  return fixed.envelope.recipients.map((address) => ({ address, status }));
}

/**
 * The timeline as the record keeps it. That it was accepted need not be written, the record says when; of a message that
 * was scheduled it is, and may be past keeping.
 */
export function eventsOf(fields: Record<string, string>): MoveTold[] {
  const first = { number: 1, at: Number(fields.acceptedAt), status: 'queued' as Status };
  const later = numbered(fields, 'e').map(([number, told]) => {
    const [at, status, detail] = told.split(' ');
    return { number, at: Number(at), status: status as Status, ...detailOf(detail) };
  });
  return fields.firstSendAt || later.length < Number(fields.revision) - 1 ? later : [first, ...later];
}

/** Why it moved where that was no failure: somebody said that it was sent. */
export const RESOLVED = '=';

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

/** @throws where it is damaged */
export function attemptedOf(
  id: string,
  fixed: string,
  recipients?: Buffer | null,
  attempts?: Buffer | null,
): Attempted {
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
