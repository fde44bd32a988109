import { classify } from '../failure/classify.ts';
import type { Failure } from '../failure/failure.ts';
import type { MessageView } from '../gateway/view.ts';
import type { Reply } from '../mail/reply.ts';

// Everything here is shown in the document and in Swagger UI. What the server says is in Microsoft's form.

const ACCEPTED_AT = '2026-01-31T09:30:00.000Z';
const STARTED_AT = '2026-01-31T09:30:00.120Z';
const ENDED_AT = '2026-01-31T09:30:00.870Z';
const TRY_AGAIN_AT = '2026-01-31T09:31:02.000Z';

export interface ExampleAddresses {
  from: string;
  to: string;
}

/** Bodies of `POST /v1/messages`. Swagger UI offers the first, which must work as it stands. */
export function sendExamples({ from, to }: ExampleAddresses) {
  const simple = {
    from,
    to: [to],
    subject: 'Your invoice 2026-0042',
    text: 'Hello Ada,\n\nyour invoice is attached.\n',
    html: '<p>Hello Ada,</p><p>your invoice is attached.</p>',
    attachments: [
      { filename: 'invoice.txt', contentType: 'text/plain', content: 'SW52b2ljZSAyMDI2LTAwNDI6IEVVUiAxMi4wMAo=' },
    ],
    tags: ['invoice'],
    metadata: { invoice: '2026-0042' },
  };
  const least = { from, to, subject: 'Hello', text: 'Hello.' };
  const full = {
    from: { address: from, name: 'Contoso Billing' },
    to: [{ address: to, name: 'Ada Lovelace' }],
    replyTo: from,
    subject: 'Your booking is confirmed',
    html: '<p><img src="cid:logo" alt="Contoso"> Your booking is confirmed.</p>',
    attachments: [
      {
        filename: 'logo.gif',
        contentType: 'image/gif',
        contentId: 'logo',
        content: 'R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=',
      },
    ],
    headers: { 'X-Booking': '4711' },
    onUnconfirmed: 'resend',
  };
  const content = [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//Contoso//Booking//EN',
    'METHOD:REQUEST',
    'BEGIN:VEVENT',
    'UID:booking-4711@contoso.com',
    'DTSTAMP:20260131T093000Z',
    'DTSTART:20260201T093000Z',
    'DTEND:20260201T100000Z',
    'SUMMARY:Handover',
    `ORGANIZER:mailto:${from}`,
    `ATTENDEE;RSVP=TRUE:mailto:${to}`,
    'END:VEVENT',
    'END:VCALENDAR',
  ].join('\r\n');
  const invite = { from, to, subject: 'Handover', text: 'See you there.', calendar: { method: 'REQUEST', content } };
  const mime = `From: <${from}>\r\nTo: <${to}>\r\nSubject: Hello\r\n\r\nHello.\r\n`;
  const whole = { raw: { content: Buffer.from(mime).toString('base64'), envelope: { to: [to] } } };
  return {
    invoice: { summary: 'An invoice, as text and HTML, with an attachment', value: simple },
    least: { summary: 'The least there is', value: least },
    inlineImage: { summary: 'An image in the text, and what to do when in doubt', value: full },
    invite: { summary: 'An invitation', value: invite },
    raw: { summary: 'A whole message in MIME', value: whole },
  };
}

/** The answer to the first of them, also where its mailbox is held. */
export function acceptedExample(addresses: ExampleAddresses) {
  return {
    accepted: { summary: 'Accepted and on disk', value: queued(addresses) },
    held: { summary: 'Accepted; its mailbox cannot log in at present', value: held(addresses) },
  };
}

/** What `GET /v1/messages/{id}` may answer: a success, and each kind of trouble. */
export function readExamples() {
  return {
    sent: { summary: 'sent: Microsoft took it', value: sent() },
    queued: { summary: 'queued: waits its turn', value: queued() },
    deferred: { summary: 'deferred: the recipient’s mailbox is busy; tried again', value: deferred() },
    held: { summary: 'held: the mailbox cannot log in', value: held() },
    failed: { summary: 'failed: unknown recipient', value: failed() },
    partiallySent: { summary: 'partiallySent: one of two recipients', value: partiallySent() },
    unconfirmed: { summary: 'unconfirmed: lost after the final dot', value: unconfirmed() },
  };
}

export function queued(
  { from, to }: ExampleAddresses = { from: 'billing@contoso.com', to: 'ada@fabrikam.com' },
): MessageView {
  return {
    id: 'msg_01kg9c5vq8f2t7n4w6x3y1z0ab',
    status: 'queued',
    mailbox: 'billing',
    from,
    to: [to],
    cc: [],
    bcc: [],
    subject: 'Your invoice 2026-0042',
    tags: ['invoice'],
    metadata: { invoice: '2026-0042' },
    internetMessageId: '<01kg9c5vq8f2t7n4w6x3y1z0ab@contoso.com>',
    sizeBytes: 1_184,
    onUnconfirmed: 'hold',
    priority: 'normal',
    createdAt: ACCEPTED_AT,
    updatedAt: ACCEPTED_AT,
    expiresAt: '2026-02-02T09:30:00.000Z',
    estimatedSendAt: '2026-01-31T09:30:01.000Z',
    recipients: [{ address: to, status: 'queued' }],
    attempts: [],
  };
}

/** After one attempt that ended as `outcome`. */
function attempted(
  status: MessageView['status'],
  outcome: MessageView['attempts'][number]['outcome'],
  trouble: Trouble,
) {
  const { estimatedSendAt: _, ...base } = queued();
  const { reply, failure } = trouble;
  const recipients = base.recipients.map(({ address }) => ({ address, status, ...trouble }));
  const attempt = {
    number: 1,
    startedAt: STARTED_AT,
    endedAt: ENDED_AT,
    outcome,
    ...(reply && { stage: reply.stage }),
  };
  const attempts = [{ ...attempt, ...trouble }];
  return {
    ...base,
    status,
    updatedAt: ENDED_AT,
    ...(failure && { failure }),
    recipients,
    attempts,
  } satisfies MessageView;
}

interface Trouble {
  reply?: Reply;
  failure?: Failure;
}

function sent(): MessageView {
  return attempted('sent', 'sent', { reply: acceptedReply() });
}

function deferred(): MessageView {
  return { ...attempted('deferred', 'deferred', busyRecipient()), nextAttemptAt: TRY_AGAIN_AT };
}

function held(addresses?: ExampleAddresses): MessageView {
  const { estimatedSendAt: _, ...base } = queued(addresses);
  const { failure } = wrongCredentials();
  const recipients = base.recipients.map(({ address }) => ({ address, status: 'held' as const }));
  return { ...base, status: 'held', ...(failure && { failure }), nextAttemptAt: TRY_AGAIN_AT, recipients };
}

function failed(): MessageView {
  return attempted('failed', 'failed', unknownRecipient());
}

function partiallySent(): MessageView {
  const base = attempted('partiallySent', 'partiallySent', { reply: acceptedReply() });
  return {
    ...base,
    to: ['ada@fabrikam.com', 'nobody@contoso.com'],
    recipients: [
      { address: 'ada@fabrikam.com', status: 'sent', reply: acceptedReply() },
      { address: 'nobody@contoso.com', status: 'failed', ...unknownRecipient() },
    ],
  };
}

function unconfirmed(): MessageView {
  return attempted('unconfirmed', 'unconfirmed', lostAfterDot());
}

/** Judged as a real one is, so that the document cannot promise other words than callers get. */
function saidBy(reply: Reply): Trouble {
  return { reply, failure: classify({ via: 'smtp', reply }, new Date(ENDED_AT)) };
}

function acceptedReply(): Reply {
  const response =
    '250 2.0.0 OK <01kg9c5vq8f2t7n4w6x3y1z0ab@contoso.com> [Hostname=AM9PR01MB1234.eurprd01.prod.exchangelabs.com]';
  return { code: 250, enhancedCode: '2.0.0', response, stage: 'after-dot' };
}

function unknownRecipient(): Trouble {
  const response = '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup';
  return saidBy({ code: 550, enhancedCode: '5.1.10', response, stage: 'rcpt' });
}

function busyRecipient(): Trouble {
  const response =
    '432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded [Hostname=AM9PR01MB1234.EURPRD01.PROD.OUTLOOK.COM]';
  return saidBy({ code: 432, enhancedCode: '4.3.2', response, stage: 'after-dot' });
}

function wrongCredentials(): Trouble {
  const response =
    '535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [AM9PR01CA0036.eurprd01.prod.exchangelabs.com 2026-01-31T09:30:00.853Z 08DE609A1B2C3D4E]';
  return saidBy({ code: 535, enhancedCode: '5.7.139', response, stage: 'auth' });
}

function lostAfterDot(): Trouble {
  const trouble = { via: 'client', code: 'ECONNRESET', message: 'read ECONNRESET', stage: 'after-dot' } as const;
  return { failure: classify(trouble, new Date(ENDED_AT)) };
}
