import { domainOf } from '../mail/address.ts';
import { envelopeOf } from '../mail/envelope.ts';
import type { Envelope, Submission } from '../mail/message.ts';
import { mailboxOf, testLaneOf } from '../mail/test-lane.ts';
import { isAmong } from './address-rule.ts';
import type { Acceptance, Caller, Idempotency, Refused, Replayed } from './api.ts';
import { estimateSendAt, type SendingPace } from './estimate.ts';
import type { Headroom } from './headroom.ts';
import type { Accepted, FixedPart, MessageStore, NewMessage } from './ports.ts';
import { barredRecipients } from './recipient-rules.ts';
import { dateField, type ScheduleStore } from './schedule.ts';
import { maySendAs, sendersFor } from './senders.ts';
import { asAccepted, viewOf } from './view.ts';

/** What accepting must know of a mailbox. */
export interface Sender {
  id: string;
  /** Addresses in lower case, or `*@domain`. */
  from: string[];
  recipientsPerMessage: number;
  recipientsPerDay: number;
  /** Limit of the MIME's size in octets. */
  messageBytes: number;
  connections: number;
  pace: SendingPace;
}

export interface AcceptTools {
  senders: Sender[];
  /** Who alone may be written to, whoever asks: addresses in lower case, or `*@domain`; everybody if absent. */
  allowTo?: readonly string[] | undefined;
  messages: MessageStore;
  schedule: Pick<ScheduleStore, 'accept'>;
  headroom: Headroom;
  /** Milliseconds since the epoch, by a clock that a jump of the machine's does not move. */
  steadyNow(): number;
  compose(submission: Submission, fixed: { messageId: string; date: Date }): Promise<Buffer> | Buffer;
  newId(now: Date): string;
  now(): Date;
  webhookIdsOf(callerId: string): Promise<string[]>;
  log: { info(fields: object, sentence: string): void };
}

/** Octets; a message from this size on is written in pieces before it is accepted. */
export const WRITTEN_AT_ONCE = 4 * 1024 * 1024;

/** Where its caller names no time: a message that tries a failure out should not do so for two days. */
const TEST_LIFETIME_MILLISECONDS = 3_600_000;

/**
 * Takes responsibility for a message: chooses its mailbox, refuses what Microsoft would refuse with certainty, makes
 * its bytes once, and puts record, bytes and idempotency entry on disk in one step. Only then is it accepted.
 *
 * @throws what the store throws when it cannot be asked; then nothing was promised
 */
export async function accept(
  tools: AcceptTools,
  caller: Caller,
  submission: Submission,
  idempotency?: Idempotency,
): Promise<Acceptance> {
  const { choose, wouldChoose } = tools.headroom;
  // What a test key sends is no load of the mailbox that would send it.
  const prepared = await prepare(tools, caller, submission, caller.test ? wouldChoose : choose);
  return prepared.kind === 'refused' ? prepared : writeDown(tools, caller, submission, prepared, idempotency);
}

export interface Prepared {
  kind: 'prepared';
  id: string;
  /** The Message-ID field. */
  messageId: string;
  sender: Sender;
  envelope: Envelope;
  mime: Buffer;
  /** Where it is to go later; milliseconds since the epoch. */
  sendAt: number | undefined;
}

/** All that comes before the promise: nothing is written yet. */
export async function prepare(
  tools: AcceptTools,
  caller: Caller,
  submission: Submission,
  choose: Headroom['choose'],
): Promise<Prepared | Refused> {
  if (caller.from && !isAmong(caller.from, submission.from.address))
    return forbidden(placeOf(submission, '/from'), submission.from.address, caller.from);
  const allowed = sendersFor(tools.senders, submission);
  if (!allowed.ok) {
    const pointer = allowed.pointer === '/from' ? placeOf(submission, '/from') : allowed.pointer;
    return refused(allowed.code, pointer, allowed.message);
  }
  const envelope = envelopeOf(submission);
  if (caller.from && !isAmong(caller.from, envelope.reversePath))
    return forbidden('/raw/envelope/from', envelope.reversePath, caller.from);
  const isFrom = envelope.reversePath === submission.from.address;
  const willing = isFrom ? allowed.senders : allowed.senders.filter((each) => maySendAs(each, envelope.reversePath));
  if (willing.length === 0)
    return refused('sender_not_allowed', '/raw/envelope/from', notItsSender(envelope.reversePath));
  const barred = barredRecipients(tools.allowTo, caller, submission);
  if (barred.length > 0) return { kind: 'refused', code: 'recipient_not_allowed', status: 403, errors: barred };
  const count = envelope.recipients.length;
  const able = willing.filter(({ recipientsPerMessage }) => count <= recipientsPerMessage);
  if (able.length === 0)
    return refused('too_many_recipients', placeOf(submission, '/to'), tooManyRecipients(count, willing));
  const { webhooks: named } = submission;
  const unknown = named && named.length > 0 ? await unknownWebhook(tools, caller, named) : undefined;
  if (unknown) return unknown;
  const now = tools.now();
  const id = tools.newId(now);
  const messageId = submission.raw?.messageId ?? `<${id.replace(/^msg_/, '')}@${domainOf(submission.from.address)}>`;
  const sendAt = laterThan(tools.steadyNow, submission.sendAt);
  const mime = await tools.compose(submission, { messageId, date: sendAt === undefined ? now : new Date(sendAt) });
  const roomy = able.filter(({ messageBytes }) => mime.length <= messageBytes);
  if (roomy.length === 0) return { ...refused('message_too_large', '', tooLarge(mime.length, able)), status: 413 };
  const sender = roomy.length === 1 ? (roomy[0] as Sender) : await choose(roomy, count);
  return { kind: 'prepared', id, messageId, sender, envelope, mime, sendAt };
}

async function writeDown(
  tools: AcceptTools,
  caller: Caller,
  submission: Submission,
  { id, messageId, sender, envelope, mime, sendAt }: Prepared,
  idempotency: Idempotency | undefined,
): Promise<Acceptance> {
  const fixed = fixedPart(submission, envelope, messageId, mime.length);
  if (caller.test) fixed.test = true;
  const mailbox = caller.test ? testLaneOf(sender.id) : sender.id;
  const { expiresAt } = submission;
  const lifetimeMilliseconds = submission.lifetimeMilliseconds ?? usualLifetime(caller, expiresAt);
  const message: NewMessage = {
    id,
    callerId: caller.id,
    mailbox,
    fixed,
    mime,
    ...(expiresAt !== undefined && { expiresAt }),
    ...(lifetimeMilliseconds !== undefined && { lifetimeMilliseconds }),
    ...(idempotency && { idempotency }),
  };
  const accepted = await (sendAt === undefined
    ? tools.messages.accept(message)
    : tools.schedule.accept({
        ...message,
        sendAt,
        ...(!submission.raw?.hasDate && { date: dateField(sendAt) }),
      }));
  if (accepted.kind === 'accepted') tools.log.info(acceptedFields(id, mailbox, fixed), 'Message accepted');
  return acceptanceOf(accepted, tools.senders);
}

function usualLifetime({ test }: Caller, expiresAt: number | undefined): number | undefined {
  return test && expiresAt === undefined ? TEST_LIFETIME_MILLISECONDS : undefined;
}

/** A time that has passed means now. */
function laterThan(now: () => number, sendAt: number | undefined): number | undefined {
  return sendAt !== undefined && sendAt > now() ? sendAt : undefined;
}

/** The answer that an idempotency key was given before, if it was. */
export async function replay(
  { messages, senders }: Pick<AcceptTools, 'messages' | 'senders'>,
  caller: Caller,
  { key, fingerprint }: Idempotency,
): Promise<Replayed | undefined> {
  const known = await messages.replay(caller.id, key, fingerprint);
  return known && (acceptanceOf(known, senders) as Replayed);
}

function acceptanceOf(accepted: Accepted, senders: Sender[]): Acceptance {
  if (accepted.kind === 'conflict') return { kind: 'conflict', messageId: accepted.id };
  const record = accepted.kind === 'accepted' ? accepted.record : asAccepted(accepted.record);
  const sender = senders.find(({ id }) => id === mailboxOf(record.mailbox));
  const { aheadAtFirst: ahead, windowAtFirst: use, acceptedAt: from } = record;
  // How much of the day is used was not asked for: it would cost each message.
  const day = { perDay: sender?.recipientsPerDay ?? 0, used: 0 };
  const estimatedSendAt = sender && estimateSendAt(ahead, sender.pace, from, use, day);
  return { kind: accepted.kind, message: viewOf(record, { attempts: [], hold: accepted.hold, estimatedSendAt }) };
}

async function unknownWebhook(tools: AcceptTools, caller: Caller, named: string[]) {
  const known = await tools.webhookIdsOf(caller.id);
  const index = named.findIndex((id) => !known.includes(id));
  const message = 'You have no webhook with this id; GET /v1/webhooks lists yours.';
  return index < 0 ? undefined : refused('invalid_fields', `/webhooks/${index}`, message);
}

function refused(code: string, pointer: string, message: string) {
  return { kind: 'refused' as const, code, status: 422 as const, errors: [{ pointer, message }] };
}

/** A raw message has its addresses within its content. */
function placeOf(submission: Submission, pointer: string): string {
  return submission.raw ? '/raw' : pointer;
}

function notItsSender(address: string): string {
  return `No mailbox that may send as the From of this message may send as ${address}. Leave envelope.from out.`;
}

function forbidden(pointer: string, from: string, allowed: readonly string[]) {
  return { ...refused('from_not_allowed', pointer, notForKey(from, allowed)), status: 403 as const };
}

function notForKey(from: string, rules: readonly string[]): string {
  return `This API key may not send as ${from}, only as ${rules.slice(0, 5).join(', ')}${rules.length > 5 ? ', …' : ''}. Use another from, or ask an operator to add it to the key's from list.`;
}

function tooManyRecipients(count: number, senders: Sender[]): string {
  const sender = senders.reduce((a, b) => (b.recipientsPerMessage > a.recipientsPerMessage ? b : a));
  return `The message has ${count} recipients; mailbox ${sender.id} takes ${sender.recipientsPerMessage} a message. Split it into several messages.`;
}

function tooLarge(bytes: number, senders: Sender[]): string {
  const sender = senders.reduce((a, b) => (b.messageBytes > a.messageBytes ? b : a));
  return `After encoding the message has ${bytes} bytes; mailbox ${sender.id} takes ${sender.messageBytes}. Send fewer or smaller attachments, or a link to them.`;
}

function fixedPart(
  submission: Submission,
  envelope: FixedPart['envelope'],
  messageIdHeader: string,
  bytes: number,
): FixedPart {
  const { from, to, cc, bcc, subject, tags, metadata, onUnconfirmed, priority, webhooks } = submission;
  const plain = (addresses: { address: string }[]) => addresses.map(({ address }) => address);
  return {
    envelope,
    from: from.address,
    to: plain(to),
    cc: plain(cc),
    bcc: plain(bcc),
    subject,
    tags,
    metadata,
    messageIdHeader,
    bytes,
    onUnconfirmed,
    priority,
    ...(webhooks && { webhooks }),
  };
}

function acceptedFields(messageId: string, mailbox: string, { bytes, envelope }: FixedPart) {
  return { messageId, mailbox, bytes, recipients: envelope.recipients.length };
}
