import { z } from 'zod';
import { characterUnfitForLine, quote } from '../../mail/characters.ts';
import { checkHeader, headerKey } from '../../mail/header.ts';
import { PRIORITIES, type Submission } from '../../mail/message.ts';
import { ADDRESS_FIELDS, addressList, replyAddressList, senderAddress } from './address.ts';
import { ATTACHMENT_FIELDS, attachments } from './attachment.ts';
import { checkedBy } from './checked-by.ts';
import { withoutPattern } from './time.ts';
import { MAX_LIFETIME_DAYS } from './whole-message.ts';

const MAX_SUBJECT_LENGTH = 255;
const MAX_HEADERS = 50;
const MAX_TAGS = 10;
const MAX_METADATA = 50;
const MAX_WEBHOOKS = 20;
const MAX_METADATA_NAME = 64;
const MAX_METADATA_VALUE = 500;

const subject = z.string().max(MAX_SUBJECT_LENGTH).superRefine(checkedBy(unfitSubject));
const text = z.string().superRefine(checkedBy(unfitText));

const headers = z.record(z.string(), z.string()).superRefine((fields, context) => {
  const names = Object.keys(fields);
  if (names.length > MAX_HEADERS) context.addIssue({ code: 'custom', message: tooMany(MAX_HEADERS, 'headers') });
  const seen = new Set<string>();
  for (const name of names.slice(0, MAX_HEADERS)) {
    const twice = seen.has(headerKey(name)) ? 'This header is given twice; names differ only in case.' : undefined;
    const message = twice ?? checkHeader(name, fields[name] ?? '');
    if (message) context.addIssue({ code: 'custom', path: [name], message });
    seen.add(headerKey(name));
  }
});

const tag = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, {
  error: 'A tag must have 1 to 64 characters: letters, digits, dots, underscores and hyphens.',
});

const metadata = z.record(z.string(), z.string()).superRefine((entries, context) => {
  const keys = Object.keys(entries);
  if (keys.length > MAX_METADATA) context.addIssue({ code: 'custom', message: tooMany(MAX_METADATA, 'entries') });
  for (const key of keys.slice(0, MAX_METADATA)) {
    const message = unfitEntry(key, entries[key] ?? '');
    if (message) context.addIssue({ code: 'custom', path: [key], message });
  }
});

/** RFC 3339 §5.6, less its lower-case `t` and `z`, which few programs read. */
const expiresAt = z.iso.datetime({
  offset: true,
  precision: null,
  error: 'This must be a time with seconds and an offset, as in 2026-01-31T09:30:00Z (RFC 3339).',
});

const ADDRESSES = 'At most 1,000 addresses in `to`, `cc` and `bcc` together.';

const fields = z.strictObject({
  from: senderAddress.meta({ description: 'Who sends: an address that a mailbox of this service may send from.' }),
  to: addressList.optional().meta({ description: ADDRESSES }),
  cc: addressList.optional().meta({ description: ADDRESSES }),
  bcc: addressList.optional().meta({ description: `${ADDRESSES} No recipient sees these.` }),
  replyTo: replyAddressList.optional().meta({ description: 'Where answers go, if not to `from`.' }),
  subject: subject.meta({ description: `At most ${MAX_SUBJECT_LENGTH} characters in one line; may be empty.` }),
  text: text.optional().meta({ description: 'The body as plain text.' }),
  html: text.optional().meta({ description: 'The body as HTML. With `text`, readers choose.' }),
  attachments: attachments.optional().meta({ description: 'At most 100 files.' }),
  headers: headers.optional().meta({
    maxProperties: MAX_HEADERS,
    description: `At most ${MAX_HEADERS} further header fields: \`X-…\`, \`In-Reply-To\`, \`References\`, \`List-…\` and a few more. Those that Postroom or the servers write are refused.`,
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
  expiresAt: expiresAt.optional().meta({
    override: withoutPattern,
    description: `Give up if it could not be sent by then; in the future, at most ${MAX_LIFETIME_DAYS} days ahead. 48 hours if absent.`,
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

/** The body of `POST /v1/messages` as callers write it, and a `Submission` once parsed. */
export const sendMessage = fields.transform(asSubmission).meta({
  id: 'SendMessage',
  description:
    'A message to send. At least one recipient in `to`, `cc` or `bcc`, and at least one of `text`, `html` and `attachments`.',
});

/** The same with a key of its own, as a batch holds it. */
export const batchMessage = fields
  .extend({
    idempotencyKey: z
      .string()
      .regex(/^[!-~]{1,255}$/)
      .optional()
      .meta({ description: 'As the header `Idempotency-Key`, for this message alone.' }),
  })
  .meta({ id: 'BatchMessage', description: 'A message to send; see SendMessage.' });

/** Names of the fields at a path of the body: what an unknown one may have meant. */
export function sendMessageFields(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 0) return Object.keys(fields.shape);
  return path[0] === 'attachments' ? ATTACHMENT_FIELDS : ADDRESS_FIELDS;
}

/** Assigned one by one: on the way of every message, spreading optional fields showed in the profile. */
function asSubmission(given: z.output<typeof fields>): Submission {
  const { from, to = [], cc = [], bcc = [], replyTo = [], subject, onUnconfirmed, priority } = given;
  const { attachments = [], headers = {}, tags = [], metadata = {} } = given;
  const submission: Submission = {
    from,
    to,
    cc,
    bcc,
    replyTo,
    subject,
    attachments,
    headers,
    tags,
    metadata,
    onUnconfirmed,
    priority,
  };
  if (given.webhooks !== undefined) submission.webhooks = given.webhooks;
  if (given.text !== undefined) submission.text = given.text;
  if (given.html !== undefined) submission.html = given.html;
  if (given.expiresAt !== undefined) submission.expiresAt = Date.parse(given.expiresAt);
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
