import { domainOf } from '../mail/address.ts';
import { envelopeOf } from '../mail/envelope.ts';
import type { Submission } from '../mail/message.ts';
import type { Acceptance, Caller, Idempotency, Replayed } from './api.ts';
import type { Ticket } from './deliver.ts';
import { estimateSendAt, type SendingPace } from './estimate.ts';
import type { Accepted, FixedPart, MessageStore } from './ports.ts';
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
  pace: SendingPace;
}

export interface AcceptTools {
  senders: Sender[];
  messages: MessageStore;
  compose(submission: Submission, fixed: { messageId: string; date: Date }): Promise<Buffer> | Buffer;
  /** Adds the job and wakes the lane. May fail: the sweeper finds a message without a job. */
  enqueue(mailbox: string, ticket: Ticket): Promise<void>;
  newId(now: Date): string;
  now(): Date;
  /** May this caller have webhooks? Yes where it is not known. */
  mayBeHooked(callerId: string): boolean;
  webhookIdsOf(callerId: string): Promise<string[]>;
  log: { info(fields: object, sentence: string): void };
}

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
  const sender = senderFor(tools.senders, submission.from.address);
  if (!sender) return refused('sender_not_allowed', '/from', noSender(submission.from.address));
  const envelope = envelopeOf(submission);
  if (envelope.recipients.length > sender.recipientsPerMessage)
    return refused('too_many_recipients', '/to', tooManyRecipients(envelope.recipients.length, sender));
  const { webhooks: named } = submission;
  const unknown = named && named.length > 0 ? await unknownWebhook(tools, caller, named) : undefined;
  if (unknown) return unknown;
  const date = tools.now();
  const id = tools.newId(date);
  const messageId = `<${id.replace(/^msg_/, '')}@${domainOf(submission.from.address)}>`;
  const mime = await tools.compose(submission, { messageId, date });
  if (mime.length > sender.messageBytes)
    return { ...refused('message_too_large', '', tooLarge(mime.length, sender)), status: 413 };

  const { messages } = tools;
  const fixed = fixedPart(submission, envelope, messageId, mime.length);
  const { expiresAt } = submission;
  const writing = messages.accept({
    id,
    callerId: caller.id,
    mailbox: sender.id,
    fixed,
    mime,
    ...(expiresAt !== undefined && { expiresAt }),
    hooked: named?.length !== 0 && tools.mayBeHooked(caller.id),
    ...(idempotency && { idempotency }),
  });
  // Sent along at once, so that both are on disk by the same sync. Without its message a job does nothing.
  const enqueuing = tools
    .enqueue(sender.id, { messageId: id, number: 1, priority: submission.priority })
    .catch(() => undefined);
  const accepted = await writing;
  await enqueuing;
  if (accepted.kind === 'accepted') tools.log.info(acceptedFields(id, sender.id, fixed), 'Message accepted');
  return acceptanceOf(accepted, tools.senders);
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
  const record = asAccepted(accepted.record);
  const pace = senders.find(({ id }) => id === record.mailbox)?.pace;
  const estimatedSendAt = pace && estimateSendAt(record.aheadAtFirst, pace, record.acceptedAt);
  return { kind: accepted.kind, message: viewOf(record, { attempts: [], estimatedSendAt }) };
}

function senderFor(senders: Sender[], from: string): Sender | undefined {
  const address = from.toLowerCase();
  const anyAtDomain = `*@${domainOf(address)}`;
  return (
    senders.find((sender) => sender.from.includes(address)) ??
    senders.find((sender) => sender.from.includes(anyAtDomain))
  );
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

function noSender(from: string): string {
  return `No mailbox of this gateway may send as ${from}. Use another from, or ask the operator to add it to a mailbox's from list.`;
}

function tooManyRecipients(count: number, sender: Sender): string {
  return `The message has ${count} recipients; mailbox ${sender.id} takes ${sender.recipientsPerMessage} a message. Split it into several messages.`;
}

function tooLarge(bytes: number, sender: Sender): string {
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
