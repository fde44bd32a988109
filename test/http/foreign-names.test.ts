import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FOREIGN_NAMES, foreignAdvice, namesIn, type Place } from '../../src/http/foreign-names.ts';
import { plainName } from '../../src/http/nearest-name.ts';
import { ADDRESS_FIELDS } from '../../src/http/schemas/address.ts';
import { ATTACHMENT_FIELDS } from '../../src/http/schemas/attachment.ts';
import { batchEnvelope } from '../../src/http/schemas/batch.ts';
import { CALENDAR_FIELDS } from '../../src/http/schemas/calendar.ts';
import { explainRequest } from '../../src/http/schemas/explain.ts';
import { listQuery } from '../../src/http/schemas/message-list.ts';
import { messageFields } from '../../src/http/schemas/send-message.ts';
import { RAW_FIELDS } from '../../src/http/schemas/send-raw.ts';
import { KEYS } from '../support/fake-api.ts';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService();
});
afterAll(() => service.app.close());

const FIELDS: Record<Place, readonly string[]> = {
  message: [...Object.keys(messageFields.shape), 'raw'],
  attachment: ATTACHMENT_FIELDS,
  address: ADDRESS_FIELDS,
  calendar: CALENDAR_FIELDS,
  raw: RAW_FIELDS.raw ?? [],
  envelope: RAW_FIELDS.envelope ?? [],
  batch: Object.keys(batchEnvelope.shape),
  schedule: ['sendAt'],
  explain: Object.keys(explainRequest.shape),
  list: Object.keys(listQuery.shape),
};
const PLACES = Object.entries(FOREIGN_NAMES) as [Place, (typeof FOREIGN_NAMES)[Place]][];

describe('the table of foreign names', () => {
  it.each(PLACES)('of a %s leads to fields that there are, and has no name twice and none of ours', (place, table) => {
    const ours = FIELDS[place];
    expect(ours).toEqual(expect.arrayContaining(Object.keys(table.renamed)));
    const names = [...Object.values(table.renamed), ...table.otherwise.map(([, each]) => each)].flatMap(namesIn);
    const plain = names.map(plainName);
    expect(plain.filter((name, at) => plain.indexOf(name) !== at)).toEqual([]);
    expect(ours.filter((name) => plain.includes(plainName(name)))).toEqual([]);
  });

  it.each(PLACES)('of a %s ends every piece of advice as a sentence', (_, { otherwise }) => {
    for (const [advice] of otherwise) expect(advice).toMatch(/^[a-z"].*\.$/i);
  });

  it('knows nothing of what every object has', () => {
    expect(foreignAdvice('message', 'constructor')).toBeUndefined();
    expect(foreignAdvice('message', '__proto__')).toBeUndefined();
  });
});

/** By the sender whose callers write so: the body, and what is said of each field that is not ours. */
const SENDERS: Record<string, [Record<string, unknown>, Record<string, string>]> = {
  Resend: [
    aBody({
      reply_to: 'r@b.example',
      scheduled_at: 'in 1 min',
      tags: [{ name: 'category', value: 'confirm' }],
      attachments: [
        { path: 'https://b.example/y.pdf', filename: 'y.pdf', content: 'QQ==', content_type: 'text/plain' },
      ],
      template: { id: 'x' },
    }),
    {
      '/reply_to': 'There is no field "reply_to"; did you mean "replyTo"?',
      '/scheduled_at': 'There is no field "scheduled_at"; did you mean "sendAt"?',
      '/tags/0': 'A tag must be a string; pairs of names and values go into metadata.',
      '/attachments/0/path':
        'There is no field "path"; no file or address is read for you; give the octets in base64 as content.',
      '/attachments/0/content_type': 'There is no field "content_type"; did you mean "contentType"?',
      '/template':
        'There is no field "template"; templates are not offered: fill yours in, and give the result as subject, html and text.',
    },
  ],
  Postmark: [
    {
      From: 'billing@contoso.com',
      To: 'a@b.example',
      Subject: 'x',
      HtmlBody: '<b>',
      TextBody: 'x',
      Tag: 'invoice',
      Headers: [{ Name: 'X-A', Value: 'b' }],
      TrackOpens: true,
      MessageStream: 'outbound',
    },
    {
      '/From': 'There is no field "From"; did you mean "from"?',
      '/To': 'There is no field "To"; did you mean "to"?',
      '/Subject': 'There is no field "Subject"; did you mean "subject"?',
      '/HtmlBody': 'There is no field "HtmlBody"; did you mean "html"?',
      '/TextBody': 'There is no field "TextBody"; did you mean "text"?',
      '/Tag': 'There is no field "Tag"; did you mean "tags"?',
      '/Headers': 'There is no field "Headers"; did you mean "headers"?',
      '/TrackOpens': 'There is no field "TrackOpens"; what readers open or click is not tracked; remove it.',
      '/MessageStream':
        'There is no field "MessageStream"; it goes through a mailbox of Microsoft 365, which has no such setting; remove it.',
      '/from': 'This field is required.',
      '/subject': 'This field is required.',
      '/to': 'Give at least one recipient in to, cc or bcc.',
      '/text': 'Give at least one of text, html, attachments and calendar.',
    },
  ],
  SendGrid: [
    aBody({
      personalizations: [{ to: [{ email: 'a@b.example' }] }],
      from: { email: 'billing@contoso.com', name: 'B' },
      content: [{ type: 'text/plain', value: 'x' }],
      categories: ['a'],
      custom_args: { a: 'b' },
      send_at: 1_733_011_200,
      asm: { group_id: 1 },
      template_id: 'd-1',
    }),
    {
      '/personalizations':
        'There is no field "personalizations"; a body is one message; send one message for each with POST /v1/messages/batch, what they have in common as its shared.',
      '/from/email': 'There is no field "email"; did you mean "address"?',
      '/from/address': 'This field is required.',
      '/content': 'There is no field "content"; give its content as html or text.',
      '/categories': 'There is no field "categories"; did you mean "tags"?',
      '/custom_args': 'There is no field "custom_args"; did you mean "metadata"?',
      '/send_at': 'There is no field "send_at"; did you mean "sendAt"?',
      '/asm': 'There is no field "asm"; use "headers": {"List-Unsubscribe": "<https://…>"}.',
      '/template_id':
        'There is no field "template_id"; templates are not offered: fill yours in, and give the result as subject, html and text.',
    },
  ],
  Mailgun: [
    aBody({
      'h:X-My': '1',
      'h:Reply-To': 'x@y.example',
      'v:order': '1',
      'o:deliverytime': 'x',
      'o:tag': 'a',
      'o:tracking-clicks': 'no',
      'o:sending-ip': '192.0.2.1',
      'o:testmode': 'yes',
      'amp-html': 'x',
    }),
    {
      '/h:X-My': 'There is no field "h:X-My"; give it within headers, as in {"X-Campaign": "spring"}.',
      '/h:Reply-To': 'There is no field "h:Reply-To"; did you mean "replyTo"?',
      '/v:order': 'There is no field "v:order"; give it within metadata, as in {"order": "4711"}.',
      '/o:deliverytime': 'There is no field "o:deliverytime"; did you mean "sendAt"?',
      '/o:tag': 'There is no field "o:tag"; did you mean "tags"?',
      '/o:tracking-clicks':
        'There is no field "o:tracking-clicks"; what readers open or click is not tracked; remove it.',
      '/o:sending-ip':
        'There is no field "o:sending-ip"; it goes through a mailbox of Microsoft 365, which has no such setting; remove it.',
      '/o:testmode':
        'There is no field "o:testmode"; a test key (pr_test_…) sends into the sandbox, and POST /v1/messages/validate only checks; remove it.',
      '/amp-html':
        'There is no field "amp-html"; other alternatives than text, html and calendar are not offered; remove it.',
    },
  ],
  'Amazon SES': [
    aBody({
      FromEmailAddress: 'billing@contoso.com',
      Destination: { ToAddresses: ['a@b.example'] },
      ReplyToAddresses: ['x@y.example'],
      Content: { Simple: {} },
      EmailTags: [{ Name: 'a', Value: 'b' }],
      RawMessage: { Data: 'x' },
      ReturnPath: 'x@y.example',
    }),
    {
      '/FromEmailAddress': 'There is no field "FromEmailAddress"; did you mean "from"?',
      '/Destination': 'There is no field "Destination"; give its addresses as to, cc and bcc.',
      '/ReplyToAddresses': 'There is no field "ReplyToAddresses"; did you mean "replyTo"?',
      '/Content': 'There is no field "Content"; give its content as html or text.',
      '/EmailTags': 'There is no field "EmailTags"; did you mean "tags"?',
      '/RawMessage': 'There is no field "RawMessage"; did you mean "raw"?',
      '/ReturnPath': 'There is no field "ReturnPath"; bounces go to the address in from; remove it.',
    },
  ],
  'Microsoft Graph': [
    aBody({
      message: { subject: 'x' },
      saveToSentItems: false,
      body: { contentType: 'HTML', content: 'x' },
      toRecipients: [],
      replyTo: [{ emailAddress: { address: 'x@y.example' } }],
      internetMessageHeaders: [],
      importance: 'high',
      isReadReceiptRequested: true,
      isDeliveryReceiptRequested: true,
      attachments: [{ '@odata.type': '#microsoft.graph.fileAttachment', name: 'a.txt', contentBytes: 'QQ==' }],
    }),
    {
      '/message':
        'There is no field "message"; put what is in it at the top of the body: from, to, subject, html, text and so on.',
      '/saveToSentItems':
        'There is no field "saveToSentItems"; whether Sent Items keeps a copy is a setting of the mailbox (Set-Mailbox -MessageCopyForSMTPClientSubmissionEnabled); remove it.',
      '/body': 'There is no field "body"; give its content as html or text.',
      '/toRecipients': 'There is no field "toRecipients"; did you mean "to"?',
      '/replyTo/0/emailAddress':
        'There is no field "emailAddress"; put its address and name here themselves, as in {"name": "Ada", "address": "ada@fabrikam.com"}.',
      '/replyTo/0/address': 'This field is required.',
      '/internetMessageHeaders': 'There is no field "internetMessageHeaders"; did you mean "headers"?',
      '/isReadReceiptRequested': 'There is no field "isReadReceiptRequested"; did you mean "readReceipt"?',
      '/isDeliveryReceiptRequested':
        'There is no field "isDeliveryReceiptRequested"; no delivery receipt can be asked for; read what became of each recipient, or have it told to a webhook.',
      '/attachments/0/@odata.type': 'There is no field "@odata.type"; it is not needed; remove it.',
      '/attachments/0/name': 'There is no field "name"; did you mean "filename"?',
      '/attachments/0/contentBytes': 'There is no field "contentBytes"; did you mean "content"?',
      '/attachments/0/filename': 'This field is required.',
      '/attachments/0/content': 'This field is required.',
    },
  ],
  EmailEngine: [
    aBody({
      messageId: '<a@b.example>',
      reference: { message: 'x', action: 'reply' },
      mailMerge: [],
      dryRun: true,
      envelope: { from: 'a@b.example' },
      raw: 'RnJvbTo=',
    }),
    {
      '/messageId':
        'There is no field "messageId"; its Message-ID is made by Postroom; read internetMessageId of the answer.',
      '/reference':
        'There is no field "reference"; use "headers": {"In-Reply-To": "<id@contoso.com>", "References": "…"}.',
      '/mailMerge':
        'There is no field "mailMerge"; a body is one message; send one message for each with POST /v1/messages/batch, what they have in common as its shared.',
      '/dryRun':
        'There is no field "dryRun"; a test key (pr_test_…) sends into the sandbox, and POST /v1/messages/validate only checks; remove it.',
      '/envelope':
        'There is no field "envelope"; the envelope is from, to, cc and bcc; only raw can have another one, as raw.envelope.',
      '/raw': 'This must be an object, as in {"content": "<the whole message in base64>"}.',
      ...Object.fromEntries(
        ['from', 'to', 'subject', 'text'].map((name) => [
          `/${name}`,
          'This cannot be given together with raw, which is a whole message; put it into raw.content.',
        ]),
      ),
    },
  ],
  Brevo: [
    aBody({
      sender: { email: 'billing@contoso.com' },
      to: [{ email: 'a@b.example', name: 'A' }],
      htmlContent: 'x',
      textContent: 'x',
      attachment: [],
      params: {},
      scheduledAt: 'x',
    }),
    {
      '/sender': 'There is no field "sender"; did you mean "from"?',
      '/to/0/email': 'There is no field "email"; did you mean "address"?',
      '/to/0/address': 'This field is required.',
      '/htmlContent': 'There is no field "htmlContent"; did you mean "html"?',
      '/textContent': 'There is no field "textContent"; did you mean "text"?',
      '/attachment': 'There is no field "attachment"; did you mean "attachments"?',
      '/params':
        'There is no field "params"; templates are not offered: fill yours in, and give the result as subject, html and text.',
      '/scheduledAt': 'There is no field "scheduledAt"; did you mean "sendAt"?',
    },
  ],
  'SparkPost and MailerSend': [
    aBody({ recipients: [], options: {}, return_path: 'x', in_reply_to: '<a@b.example>', personalization: [] }),
    {
      '/recipients': 'There is no field "recipients"; did you mean "to"?',
      '/options':
        'There is no field "options"; put what is in it at the top of the body: from, to, subject, html, text and so on.',
      '/return_path': 'There is no field "return_path"; bounces go to the address in from; remove it.',
      '/in_reply_to':
        'There is no field "in_reply_to"; use "headers": {"In-Reply-To": "<id@contoso.com>", "References": "…"}.',
      '/personalization':
        'There is no field "personalization"; templates are not offered: fill yours in, and give the result as subject, html and text.',
    },
  ],
  'Azure Communication Services': [
    aBody({
      senderAddress: 'billing@contoso.com',
      content: { subject: 'x', plainText: 'x' },
      recipients: { to: [{ address: 'a@b.example', displayName: 'A' }] },
      replyTo: [{ address: 'x@y.example', displayName: 'X' }],
      attachments: [{ name: 'a.txt', contentType: 'text/plain', contentInBase64: 'QQ==' }],
      userEngagementTrackingDisabled: true,
    }),
    {
      '/senderAddress': 'There is no field "senderAddress"; did you mean "from"?',
      '/content': 'There is no field "content"; give its content as html or text.',
      '/recipients': 'There is no field "recipients"; did you mean "to"?',
      '/replyTo/0/displayName': 'There is no field "displayName"; did you mean "name"?',
      '/attachments/0/name': 'There is no field "name"; did you mean "filename"?',
      '/attachments/0/contentInBase64': 'There is no field "contentInBase64"; did you mean "content"?',
      '/attachments/0/filename': 'This field is required.',
      '/attachments/0/content': 'This field is required.',
      '/userEngagementTrackingDisabled':
        'There is no field "userEngagementTrackingDisabled"; what readers open or click is not tracked; remove it.',
    },
  ],
  Mailjet: [
    aBody({
      From: { Email: 'billing@contoso.com' },
      TextPart: 'x',
      HTMLPart: 'x',
      CustomID: '4711',
      CustomCampaign: 'spring',
      Globals: {},
      InlinedAttachments: [],
      EventPayload: 'x',
    }),
    {
      '/From': 'There is no field "From"; did you mean "from"?',
      '/TextPart': 'There is no field "TextPart"; did you mean "text"?',
      '/HTMLPart': 'There is no field "HTMLPart"; did you mean "html"?',
      '/CustomID': 'There is no field "CustomID"; did you mean "metadata"?',
      '/CustomCampaign': 'There is no field "CustomCampaign"; did you mean "tags"?',
      '/Globals':
        'There is no field "Globals"; a body is one message; send one message for each with POST /v1/messages/batch, what they have in common as its shared.',
      '/InlinedAttachments':
        'There is no field "InlinedAttachments"; give them as attachments with a contentId, and show them as <img src="cid:…">.',
      '/EventPayload':
        'There is no field "EventPayload"; the webhooks are those of your key (POST /v1/webhooks); webhooks chooses among them by their ids.',
    },
  ],
  'Postal and KumoMTA': [
    aBody({ plain_body: 'x', html_body: 'x', mail_from: 'x@y.example', rcpt_to: [], envelope_sender: 'x@y.example' }),
    {
      '/plain_body': 'There is no field "plain_body"; did you mean "text"?',
      '/html_body': 'There is no field "html_body"; did you mean "html"?',
      '/mail_from': 'There is no field "mail_from"; bounces go to the address in from; remove it.',
      '/rcpt_to': 'There is no field "rcpt_to"; give its addresses as to, cc and bcc.',
      '/envelope_sender': 'There is no field "envelope_sender"; bounces go to the address in from; remove it.',
    },
  ],
  'any of them, with a value of another form': [
    aBody({ from: ['a@b.example'], to: 5, headers: [{ name: 'X-A', value: 'b' }], metadata: [], calendar: 'BEGIN' }),
    {
      '/from':
        'This has the wrong type; write an address as "Ada <ada@fabrikam.com>" or {"name": "Ada", "address": "ada@fabrikam.com"}.',
      '/to':
        'This has the wrong type; write an address as "Ada <ada@fabrikam.com>" or {"name": "Ada", "address": "ada@fabrikam.com"}, or a list of these.',
      '/headers': 'This must be an object of names and values, as in {"X-Campaign": "spring"}.',
      '/metadata': 'This must be an object of names and strings, as in {"order": "4711"}.',
      '/calendar': 'This must be an object, as in {"method": "REQUEST", "content": "BEGIN:VCALENDAR…"}.',
    },
  ],
};

it.each(Object.entries(SENDERS))('a caller of %s is told what our names are', async (_, [body, told]) => {
  const problem = await problemOf(await service.post(body));
  expect(problem.code).toBe('invalid_fields');
  expect(Object.fromEntries((problem.errors ?? []).map(({ pointer, message }) => [pointer, message]))).toEqual(told);
});

async function call(method: string, path: string, body: unknown) {
  const headers = { authorization: `Bearer ${KEYS.all}`, 'content-type': 'application/json' };
  return problemOf(await fetch(`${service.baseUrl}${path}`, { method, headers, body: JSON.stringify(body) }));
}

describe('elsewhere than in a message', () => {
  it.each([
    [{ emails: [] }, 'There is no field "emails"; did you mean "messages"?'],
    [{ messages: [], Globals: {} }, 'There is no field "Globals"; did you mean "shared"?'],
    [
      { messages: [], from: 'x' },
      'There is no field "from"; each of the messages has its own; what is the same in all of them goes into shared.',
    ],
    [[aBody()], 'This must be an object, as in {"messages": [{"from": …}, …]}.'],
    [
      { messages: [aBody()], idempotency_key: 'a' },
      'There is no field "idempotency_key"; send one key for all as the header Idempotency-Key, or give each message its own.',
    ],
  ])('a batch %o is told', async (body, message) => {
    const { errors } = await call('POST', '/v1/messages/batch', body);
    expect(errors).toContainEqual({ pointer: expect.any(String), message });
  });

  it.each([
    [{ scheduledAt: null }, 'There is no field "scheduledAt"; did you mean "sendAt"?'],
    [{ html: 'x' }, 'There is no field "html"; only sendAt can be changed: cancel the message and send another.'],
  ])('a change %o is told', async (body, message) => {
    const { errors } = await call('PATCH', '/v1/messages/msg_00000000000000000000000000', body);
    expect(errors).toContainEqual({ pointer: expect.any(String), message });
  });

  it.each([
    ['page', 'pages have no numbers: give the next of an answer as after.'],
    ['cursor', 'did you mean "after"?'],
    ['per_page', 'did you mean "limit"?'],
    ['limt', 'did you mean "limit"?'],
    ['since', 'did you mean "createdAfter"?'],
  ])('the query parameter %s of a list is told', async (name, advice) => {
    const { errors } = await problemOf(await service.get(`/v1/messages?${name}=2`));
    const message = expect.stringContaining(`There is no parameter "${name}"; ${advice}`);
    expect(errors).toEqual([{ parameter: name, message }]);
  });

  it('an explanation that is asked for in other words is told ours', async () => {
    const { errors } = await call('POST', '/v1/explain', { reply: '550 5.1.1 x' });
    expect(errors).toContainEqual({ pointer: '/reply', message: 'There is no field "reply"; did you mean "text"?' });
  });

  it('a list with a status of another sender is told ours', async () => {
    const { errors } = await problemOf(await service.get('/v1/messages?status=delivered'));
    expect(errors?.[0]?.message).toMatch(/^This must be one of scheduled, queued, .*canceled; of several, give each/);
  });
});

it('a list of messages is led to the batch', async () => {
  const { errors } = await problemOf(await service.post([aBody()]));
  expect(errors?.[0]?.message).toBe('This must be an object; send several messages with POST /v1/messages/batch.');
});

it.each(['/emails', '/email', '/v3/mail/send', '/v1/emails', '/v2/email/outbound-emails', '/v1.0/me/sendMail'])(
  'the path %s of another sender is led to ours',
  async (path) => {
    const { status, detail } = await problemOf(await fetch(`${service.baseUrl}${path}`, { method: 'POST' }));
    expect([status, detail]).toEqual([404, expect.stringContaining('POST /v1/messages')]);
  },
);
