import { z } from 'zod';
import { characterUnfitForLine, quote } from '../../mail/characters.ts';
import { checkHeader, checkHeadersTogether, headerKey } from '../../mail/header.ts';
import { PRIORITIES, type Submission } from '../../mail/message.ts';
import { addressList, replyAddressList, senderAddress } from './address.ts';
import { attachments } from './attachment.ts';
import { calendar } from './calendar.ts';
import { checkedBy } from './checked-by.ts';
import { IMPORTANCES, marksOf } from './marks.ts';
import { givenTime, MAX_DAYS_AHEAD, MAX_LIFETIME_DAYS, withoutPattern } from './time.ts';
import { wrongType } from './wrong-type.ts';

const MAX_SUBJECT_LENGTH = 255;
const MAX_HEADERS = 50;
const MAX_TAGS = 10;
const MAX_METADATA = 50;
const MAX_WEBHOOKS = 20;
const MAX_METADATA_NAME = 64;
const MAX_METADATA_VALUE = 500;
const MAX_MAILBOX_ID = 255;
const MAX_LIFETIME_SECONDS = MAX_LIFETIME_DAYS * 86_400;

const subject = z.string().max(MAX_SUBJECT_LENGTH).superRefine(checkedBy(unfitSubject));
const text = z.string().superRefine(checkedBy(unfitText));

const PAIRS = wrongType('This must be an object of names and values, as in {"X-Campaign": "spring"}.');
const headers = z.record(z.string(), z.string(), { error: PAIRS }).superRefine((fields, context) => {
  const names = Object.keys(fields);
  if (names.length > MAX_HEADERS) context.addIssue({ code: 'custom', message: tooMany(MAX_HEADERS, 'headers') });
  const seen = new Set<string>();
  for (const name of names.slice(0, MAX_HEADERS)) {
    const twice = seen.has(headerKey(name)) ? 'This header is given twice; names differ only in case.' : undefined;
    const message = twice ?? checkHeader(name, fields[name] ?? '');
    if (message) context.addIssue({ code: 'custom', path: [name], message });
    seen.add(headerKey(name));
  }
  const together = checkHeadersTogether(fields);
  if (together) context.addIssue({ code: 'custom', path: [together.name], message: together.message });
});

const tag = z
  .string({ error: wrongType('A tag must be a string; pairs of names and values go into metadata.') })
  .regex(/^[A-Za-z0-9._-]{1,64}$/, {
    error: 'A tag must have 1 to 64 characters: letters, digits, dots, underscores and hyphens.',
  });

const ENTRIES = wrongType('This must be an object of names and strings, as in {"order": "4711"}.');
const metadata = z.record(z.string(), z.string(), { error: ENTRIES }).superRefine((entries, context) => {
  const keys = Object.keys(entries);
  if (keys.length > MAX_METADATA) context.addIssue({ code: 'custom', message: tooMany(MAX_METADATA, 'entries') });
  for (const key of keys.slice(0, MAX_METADATA)) {
    const message = unfitEntry(key, entries[key] ?? '');
    if (message) context.addIssue({ code: 'custom', path: [key], message });
  }
});

const ADDRESSES = 'At most 1,000 addresses in `to`, `cc` and `bcc` together.';

const MAILBOX_ID = `The id of a mailbox has 1 to ${MAX_MAILBOX_ID} characters.`;
const mailboxId = z.string().min(1, { error: MAILBOX_ID }).max(MAX_MAILBOX_ID, { error: MAILBOX_ID });

const LIFETIME = `This must be a whole number of seconds from 1 to ${MAX_LIFETIME_SECONDS} (${MAX_LIFETIME_DAYS} days).`;
const lifetimeSeconds = z
  .int({ error: LIFETIME })
  .min(1, { error: LIFETIME })
  .max(MAX_LIFETIME_SECONDS, { error: LIFETIME });

/** What both a composed message and one in `raw` are told with, and what the former is composed of. */
export const messageFields = z.strictObject({
  from: senderAddress.meta({ description: 'Who sends: an address that a mailbox of this service may send from.' }),
  to: addressList.optional().meta({ description: ADDRESSES }),
  cc: addressList.optional().meta({ description: ADDRESSES }),
  bcc: addressList.optional().meta({ description: `${ADDRESSES} No recipient sees these.` }),
  replyTo: replyAddressList.optional().meta({ description: 'Where answers go, if not to `from`.' }),
  subject: subject.meta({ description: `At most ${MAX_SUBJECT_LENGTH} characters in one line; may be empty.` }),
  text: text.optional().meta({ description: 'The body as plain text.' }),
  html: text.optional().meta({ description: 'The body as HTML. With `text`, readers choose.' }),
  attachments: attachments.optional().meta({ description: 'At most 100 files.' }),
  calendar: calendar.optional().meta({ description: 'An invitation.' }),
  headers: headers.optional().meta({
    maxProperties: MAX_HEADERS,
    description: `At most ${MAX_HEADERS} further header fields: \`X-…\`, \`In-Reply-To\`, \`References\`, \`List-…\` and a few more. Those that Postroom or the servers write are refused.`,
  }),
  importance: z.enum(IMPORTANCES).optional().meta({
    description: 'The mark that Outlook and others show. It does not change when the message goes; `priority` does.',
  }),
  readReceipt: z.boolean().optional().meta({
    description:
      '`true` asks the readers’ mail programs to tell the address in `from` that the message was opened; they may refuse, and Postroom is not told.',
  }),
  tags: z
    .array(tag)
    .max(MAX_TAGS)
    .optional()
    .meta({ description: `At most ${MAX_TAGS}, for your own searches.` }),
  metadata: metadata.optional().meta({
    maxProperties: MAX_METADATA,
    propertyNames: { type: 'string', minLength: 1, maxLength: MAX_METADATA_NAME },
    additionalProperties: { type: 'string', maxLength: MAX_METADATA_VALUE },
    description: `At most ${MAX_METADATA} strings under names of at most 64 characters; returned, never sent.`,
  }),
  mailbox: mailboxId.optional().meta({
    description:
      'Id of the mailbox that is to send it; it must be one that may use this `from`. If absent, of those that may, one is chosen that is not held and should send it soonest.',
  }),
  sendAt: givenTime.optional().meta({
    override: withoutPattern,
    description: `Not before this time; at most ${MAX_DAYS_AHEAD} days ahead. Until then the message is \`scheduled\`. A time that has passed means now.`,
  }),
  expiresAt: givenTime.optional().meta({
    override: withoutPattern,
    description: `Give up if it could not be sent by then; in the future and after \`sendAt\`, at most ${MAX_LIFETIME_DAYS} days after either. 48 hours after either if absent.`,
  }),
  expiresInSeconds: lifetimeSeconds.optional().meta({
    description: 'The same as a number of seconds, counted from `sendAt`, or else from now; give one of the two.',
  }),
  webhooks: z
    .array(z.string().max(64))
    .max(MAX_WEBHOOKS)
    .optional()
    .meta({
      description: `Ids of the only ones of your webhooks to be told what becomes of it, at most ${MAX_WEBHOOKS}; \`[]\` for none, all if absent.`,
    }),
  priority: z.enum(PRIORITIES).default('normal').meta({
    description: 'Which of the messages that wait for the same mailbox goes first; among equals, the oldest.',
  }),
  onUnconfirmed: z.enum(['hold', 'resend']).default('hold').meta({
    description:
      'What to do when the connection is lost after the message may have been handed over: `hold` it for a person, or `resend` it, which may make a duplicate.',
  }),
});

/** Fields that a message is composed of, which a whole one in `raw` has within itself. */
export const COMPOSING_FIELDS = [
  ...(['from', 'to', 'cc', 'bcc', 'replyTo', 'subject', 'text', 'html'] as const),
  ...(['attachments', 'calendar', 'headers', 'importance', 'readReceipt'] as const),
];

/** The body of `POST /v1/messages` as callers write it, and a `Submission` once parsed. */
export const sendMessage = messageFields.transform(asSubmission).meta({
  id: 'SendMessage',
  description:
    'A message to send. At least one recipient in `to`, `cc` or `bcc`, and at least one of `text`, `html`, `attachments` and `calendar`.',
});

export const batchKey = z
  .string()
  .regex(/^[!-~]{1,255}$/)
  .optional()
  .meta({ description: 'As the header `Idempotency-Key`, for this message alone.' });

/** The same with a key of its own, as a batch holds it. */
export const batchMessage = messageFields
  .extend({ idempotencyKey: batchKey })
  .meta({ id: 'BatchMessage', description: 'A message to send; see SendMessage.' });

/** Assigned one by one: on the way of every message, spreading optional fields showed in the profile. */
export function asSubmission(given: z.output<typeof messageFields>): Submission {
  const { from, to = [], cc = [], bcc = [], replyTo = [], subject, onUnconfirmed, priority } = given;
  const { attachments = [], headers = {}, tags = [], metadata = {} } = given;
  const { importance, readReceipt } = given;
  const submission: Submission = {
    from,
    to,
    cc,
    bcc,
    replyTo,
    subject,
    attachments,
    headers: importance || readReceipt ? { ...headers, ...marksOf(given) } : headers,
    tags,
    metadata,
    onUnconfirmed,
    priority,
  };
  if (given.webhooks !== undefined) submission.webhooks = given.webhooks;
  if (given.text !== undefined) submission.text = given.text;
  if (given.html !== undefined) submission.html = given.html;
  if (given.calendar !== undefined) submission.calendar = given.calendar;
  if (given.mailbox !== undefined) submission.mailbox = given.mailbox;
  if (given.sendAt !== undefined) submission.sendAt = Date.parse(given.sendAt);
  if (given.expiresAt !== undefined) submission.expiresAt = Date.parse(given.expiresAt);
  if (given.expiresInSeconds !== undefined) submission.lifetimeMilliseconds = given.expiresInSeconds * 1_000;
  return submission;
}

function unfitSubject(subject: string): string | undefined {
  const unfit = characterUnfitForLine(subject);
  return unfit && `The subject contains ${unfit}; remove it.`;
}

function unfitText(text: string): string | undefined {
  if (text.includes('\0')) return 'This contains the character U+0000, which mail cannot carry; remove it.';
  if (isWellFormed(text)) return undefined;
  return 'This contains half of a surrogate pair, which UTF-8 cannot carry; remove it.';
}

/** The first pattern is the cheap one: it is all that text without emoji needs. */
function isWellFormed(text: string): boolean {
  return !/[\ud800-\udfff]/.test(text) || !/\p{Cs}/u.test(text);
}

/** Names that every JavaScript object has are refused: a program of the caller that reads them back would stumble. */
function unfitEntry(key: string, value: string): string | undefined {
  if (key === 'constructor' || key === 'prototype') return `The name ${quote(key)} is reserved; use another.`;
  if (key === '' || key.length > MAX_METADATA_NAME) return `The name must have 1 to ${MAX_METADATA_NAME} characters.`;
  const unfit = characterUnfitForLine(key);
  if (unfit) return `The name ${quote(key)} contains ${unfit}; remove it.`;
  if (value.length > MAX_METADATA_VALUE) return `This has more than ${MAX_METADATA_VALUE} characters; shorten it.`;
  return unfitText(value);
}

function tooMany(maximum: number, what: string): string {
  return `This has more than ${maximum} ${what}; leave some out.`;
}
