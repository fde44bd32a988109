import { z } from 'zod';
import { CATEGORIES, type Category } from '../../failure/failure.ts';
import { PRIORITIES } from '../../mail/message.ts';
import { STAGES } from '../../mail/reply.ts';
import { STATUSES, type Status } from '../../mail/status.ts';
import { withoutPattern } from './time.ts';

/** On what belongs to a message of a test key; absent, never false, elsewhere. */
export const testMark = z.literal(true).optional().meta({
  description:
    'Accepted with a test key: it goes the whole way, but into the sandbox and never to Microsoft. Absent where that is not so.',
});

// Answers are described with loose objects: members may be added, and a client generated today must then still work.

export const time = z.iso.datetime().meta({ override: withoutPattern });

export const status = z.enum(Object.keys(STATUSES) as [Status, ...Status[]]).meta({
  id: 'Status',
  description: `Where the message, or one of its recipients, stands.\n\n${asList(STATUSES)}`,
});

export const category = z.enum(Object.keys(CATEGORIES) as [Category, ...Category[]]).meta({
  id: 'FailureCategory',
  description: `What a program may branch on. The list is closed.\n\n${asList(CATEGORIES)}`,
});

const reply = z
  .looseObject({
    code: z.int().meta({ description: 'Basic reply code (RFC 5321 §4.2).' }),
    enhancedCode: z.string().optional().meta({ description: 'Enhanced status code (RFC 3463), where there was one.' }),
    response: z.string().meta({ description: 'All that the server said, lines joined with `\\n`.' }),
    stage: z.enum(STAGES).meta({ id: 'Stage', description: 'What the server answered to.' }),
  })
  .meta({ id: 'Reply', description: 'What a server said, word for word.' });

export const failure = z
  .looseObject({
    category,
    code: z.string().meta({ description: 'The fine class. Codes may be added; branch on `category`.' }),
    scope: z.enum(['message', 'recipient', 'mailbox', 'tenant', 'connection', 'network']).meta({
      description: 'What it stops: this recipient or message, or everything of that mailbox, tenant or network.',
    }),
    plan: z.enum(['never', 'backoff', 'afterFix', 'nextWindow']).meta({
      description:
        'What Postroom does next: nothing more, tries again later, waits for a person to correct something, or waits until the limit’s window has rolled.',
    }),
    summary: z.string().meta({ description: 'What it means and whose fault it is.' }),
    remedy: z.string().meta({ description: 'What a person can do.' }),
    docsUrl: z.string().optional().meta({ description: 'Where the other side documents it.' }),
    smtp: reply.optional(),
    detail: z.string().optional().meta({
      description: 'Where no SMTP server spoke: what Entra ID answered, or the error of our own side.',
    }),
    at: time,
  })
  .meta({ id: 'Failure', description: 'A failure, explained.' });

const recipient = z
  .looseObject({
    address: z.string(),
    status,
    reply: reply.optional(),
    failure: failure.optional(),
    resolved: z.literal(true).optional().meta({
      description: 'Somebody said by `resolve` that it was sent, or was not; the server never did.',
    }),
    mayHaveArrived: z.literal(true).optional().meta({
      description:
        'It is tried again after an attempt of which nobody knows whether it arrived. If nothing better comes of that, the recipient is `unconfirmed` in the end.',
    }),
  })
  .meta({ id: 'Recipient', description: 'One envelope address and what became of it.' });

const attempt = z
  .looseObject({
    number: z.int().meta({ description: 'Counts from 1.' }),
    startedAt: time,
    endedAt: time.optional(),
    outcome: z.enum(['sent', 'partiallySent', 'deferred', 'held', 'unconfirmed', 'failed', 'interrupted']),
    stage: z.enum(STAGES).optional().meta({ description: 'How far the transaction came.' }),
    reply: reply.optional(),
    failure: failure.optional(),
  })
  .meta({ id: 'Attempt', description: 'One SMTP transaction.' });

/** A `MessageView`. */
export const message = z
  .looseObject({
    id: z.string(),
    status,
    mailbox: z.string().meta({ description: 'Id of the mailbox that sends it; with `test`, that would send it.' }),
    test: testMark,
    from: z.string(),
    to: z.array(z.string()),
    cc: z.array(z.string()),
    bcc: z.array(z.string()),
    subject: z.string(),
    tags: z.array(z.string()),
    metadata: z.record(z.string(), z.string()),
    internetMessageId: z.string().meta({ description: 'The Message-ID header field, fixed at acceptance.' }),
    sizeBytes: z.int().meta({ description: 'Size of the encoded message in octets.' }),
    onUnconfirmed: z.enum(['hold', 'resend']),
    priority: z.enum(PRIORITIES),
    webhooks: z
      .array(z.string())
      .optional()
      .meta({ description: 'Ids of the only webhooks that are told of it, where the sender named any.' }),
    createdAt: time,
    updatedAt: time,
    sendAt: time.optional().meta({ description: 'When it goes or went to its lane, if it was scheduled.' }),
    expiresAt: time.meta({ description: 'If it cannot be sent by then, it fails with category `expired`.' }),
    nextAttemptAt: time.optional().meta({ description: 'When it is tried next, if that is known.' }),
    estimatedSendAt: time.optional().meta({
      description:
        'When its turn should come by the mailbox’s pace and its recipients of a day, if no hold or failure comes between and a worker drives the mailbox. The answer to `POST` knows of no hold that there is already; `GET` does.',
    }),
    failure: failure.optional().meta({ description: 'Why it stands where it stands.' }),
    recipients: z.array(recipient),
    attempts: z.array(attempt).meta({ description: 'Oldest first.' }),
  })
  .meta({ id: 'Message', description: 'A message as callers read it. Times are RFC 3339 in UTC.' });

/** A `ListedMessage`. */
export const listedMessage = message.omit({ attempts: true, estimatedSendAt: true }).meta({
  id: 'ListedMessage',
  description: 'A message as lists have it: read the message itself for its attempts and its estimated time.',
});

function asList(words: Readonly<Record<string, string>>): string {
  return Object.entries(words)
    .map(([word, meaning]) => `- \`${word}\`: ${meaning}`)
    .join('\n');
}

/** Of an answer that is a message. A plain schema: @fastify/swagger makes a header object of it. */
export const etagHeader = () => ({
  ETag: { type: 'string', description: 'Changes whenever the message does. A weak one: estimates change without it.' },
});
