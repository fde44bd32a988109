import { randomBytes } from 'node:crypto';
import PostalMime from 'postal-mime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MessageView } from '../../src/gateway/view.ts';
import { FORM, formOf, messagePart } from '../support/form.ts';
import { KEY, startPostroom, type TestPostroom } from '../support/postroom.ts';

const FROM = 'sender@postroom.example';
const INVITE = [
  'BEGIN:VCALENDAR',
  'VERSION:2.0',
  'PRODID:-//Contoso//Booking//EN',
  'METHOD:REQUEST',
  'BEGIN:VEVENT',
  'UID:4711@contoso.com',
  'DTSTAMP:20260131T093000Z',
  'DTSTART:20260201T093000Z',
  'DTEND:20260201T100000Z',
  'SUMMARY:Übergabe der Schlüssel an der Rezeption und Rundgang durch alle Räume',
  `ORGANIZER;CN="Contoso, Booking":mailto:${FROM}`,
  'ATTENDEE;RSVP=TRUE:mailto:ada@fabrikam.com',
  'END:VEVENT',
  'END:VCALENDAR',
].join('\n');

let postroom: TestPostroom;
beforeAll(async () => {
  const limits = { messagesPerMinute: 10_000, messageBytes: 20_000_000 };
  postroom = await startPostroom({ limits, sandbox: { limits: { messagesPerWindow: 10_000 } } });
});
afterAll(() => postroom[Symbol.asyncDispose]());

async function post(body: unknown, type = 'application/json'): Promise<MessageView> {
  const response = await fetch(`${postroom.url}/v1/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': type },
    body: body instanceof Buffer ? (body as never) : JSON.stringify(body),
  });
  const view = (await response.json()) as MessageView;
  expect(response.status, JSON.stringify(view)).toBe(202);
  return view;
}

async function arrived(view: MessageView) {
  const { internetMessageId } = await postroom.until(view.id, 'sent', 30_000);
  const stored = postroom.sandbox.inbox.messages().find((mail) => mail.messageId === internetMessageId);
  return {
    envelope: stored?.envelope,
    raw: stored?.raw ?? Buffer.alloc(0),
    mail: await PostalMime.parse(stored?.raw ?? ''),
  };
}

describe('a mark', () => {
  it('of importance and the wish for a receipt arrive as Outlook reads them', async () => {
    const body = { from: `Billing <${FROM}>`, to: 'ada@fabrikam.com', subject: 'Notice', text: 'Please read.' };
    const { mail } = await arrived(
      await post({ ...body, importance: 'high', readReceipt: true, replyTo: 'eve@b.example' }),
    );
    const fields = Object.fromEntries(mail.headers.map(({ key, value }) => [key, value]));
    expect(fields).toMatchObject({
      importance: 'high',
      'x-priority': '1',
      'disposition-notification-to': `<${FROM}>`,
    });
  });

  it('that is none leaves the header as it is', async () => {
    const body = { from: FROM, to: 'ada@fabrikam.com', subject: 'Notice', text: 'Please read.' };
    const { raw } = await arrived(await post({ ...body, importance: 'normal', readReceipt: false, priority: 'high' }));
    expect(String(raw)).not.toMatch(/^(?:importance|x-priority|disposition-notification-to):/im);
  });
});

describe('an invitation', () => {
  it('arrives as the last alternative, with its method and as it was written', async () => {
    const body = { from: FROM, to: 'ada@fabrikam.com', subject: 'Übergabe', text: 'Text', html: '<p>Text' };
    const { raw, mail } = await arrived(await post({ ...body, calendar: { method: 'REQUEST', content: INVITE } }));
    const types = [...String(raw).matchAll(/^Content-Type: ([a-z]+\/[a-z]+)/gim)].map(([, type]) => type);
    expect(types).toEqual(['multipart/alternative', 'text/plain', 'text/html', 'text/calendar']);
    expect(String(raw)).toMatch(/^Content-Type: text\/calendar; method=REQUEST; charset=utf-8\r$/m);
    const [calendar] = mail.attachments;
    expect(calendar).toMatchObject({ mimeType: 'text/calendar', method: 'REQUEST' });
    const content = Buffer.from(calendar?.content as ArrayBuffer)
      .toString()
      .replaceAll('\r\n', '\n');
    expect(content.replaceAll('\n ', '').trimEnd()).toBe(INVITE);
    expect(content.split('\n').every((line) => Buffer.byteLength(line) <= 75)).toBe(true);
  });
});

describe('a whole message', () => {
  const lines = [
    'From: Contoso <sender@postroom.example>',
    'To: ada@fabrikam.com',
    'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=',
  ];
  const rawOf = (message: string) => ({ content: Buffer.from(message).toString('base64') });

  it('arrives octet by octet, with the Message-ID and the Date that it lacked', async () => {
    const message = `${lines.join('\r\n')}\r\n\r\nHello\r\n.\r\n`;
    const view = await post({ raw: rawOf(message), tags: ['raw'] });
    expect(view).toMatchObject({ from: FROM, to: ['ada@fabrikam.com'], subject: 'Grüße', tags: ['raw'] });
    const { raw } = await arrived(view);
    const [messageId, date, ...rest] = String(raw).split('\r\n');
    expect(messageId).toBe(`Message-ID: ${view.internetMessageId}`);
    expect(date).toMatch(/^Date: /);
    expect(rest.join('\r\n')).toBe(message);
  });

  it('keeps its own Message-ID and Date, and goes to whom its envelope names', async () => {
    const own = ['Message-ID: <own-1@contoso.com>', 'Date: Sat, 31 Jan 2026 10:30:00 +0100'];
    const message = `${[...lines, ...own].join('\n')}\n\nHello`;
    const view = await post({ raw: { ...rawOf(message), envelope: { to: ['grace@fabrikam.com'] } } });
    expect(view).toMatchObject({ internetMessageId: '<own-1@contoso.com>', bcc: ['grace@fabrikam.com'] });
    const { raw, envelope } = await arrived(view);
    expect(envelope).toMatchObject({ reversePath: FROM, recipients: ['grace@fabrikam.com'] });
    expect(String(raw)).toBe(`${message.replaceAll('\n', '\r\n')}\r\n`);
  });
});

describe('an address outside ASCII', () => {
  it('is written in UTF-8 and sent with SMTPUTF8', async () => {
    const body = { from: FROM, to: 'Jürgen <jürgen@bücher.example>', subject: 'Hallo', text: 'Hallo' };
    const { raw, envelope } = await arrived(await post(body));
    expect(envelope).toMatchObject({ smtpUtf8: true, recipients: ['jürgen@xn--bcher-kva.example'] });
    expect(String(raw)).toContain('<jürgen@xn--bcher-kva.example>');
  });

  it('fails the message plainly where SMTPUTF8 is not offered, on a new connection and on a kept one', async () => {
    await using plain = await startPostroom({ sandbox: { behaviour: { advertise: { smtpUtf8: false } } } });
    await plain.until(await plain.sendTo('ada@fabrikam.com'), 'sent');
    for (let time = 0; time < 2; time++) {
      const failed = await plain.until(await plain.sendTo('jürgen@fabrikam.com'), 'failed');
      expect(failed.failure).toMatchObject({ code: 'extension_not_offered', category: 'messageRefused' });
    }
    expect(plain.sandbox.inbox.messages()).toHaveLength(1);
    await plain.until(await plain.sendTo('ada@fabrikam.com'), 'sent');
  });
});

describe('an upload', () => {
  it('arrives whole, however large', async () => {
    const content = randomBytes(12_000_000);
    const message = messagePart({ from: FROM, to: 'ada@fabrikam.com', subject: 'Big', html: '<img src="cid:a">' });
    const file = { name: 'attachments', filename: 'Größe.bin', contentType: 'application/octet-stream', content };
    const image = { name: 'inline:a', filename: 'a.png', contentType: 'image/png', content: 'PNG' };
    const { raw, mail } = await arrived(await post(formOf([message, file, image]), FORM));
    const types = [...raw.toString('latin1').matchAll(/^Content-Type: ([a-z]+\/[a-z-]+)/gim)].map(([, type]) => type);
    expect(types).toEqual([
      'multipart/mixed',
      'multipart/related',
      'text/html',
      'image/png',
      'application/octet-stream',
    ]);
    const found = mail.attachments.find(({ filename }) => filename === 'Größe.bin');
    expect(Buffer.from(found?.content as ArrayBuffer).equals(content)).toBe(true);
  });
});
