import PostalMime from 'postal-mime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keysOf } from '../../src/store/keys.ts';
import { connectRedis } from '../../src/store/redis.ts';
import { eventually, KEY, startPostroom, type TestPostroom } from '../support/postroom.ts';

let postroom: TestPostroom;
beforeAll(async () => {
  postroom = await startPostroom({
    limits: { messagesPerMinute: 10_000 },
    sandbox: { limits: { messagesPerWindow: 10_000 } },
  });
});
afterAll(() => postroom[Symbol.asyncDispose]());

const change = (id: string, what: string, body?: object) =>
  fetch(`${postroom.url}/v1/messages/${id}/${what}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
const received = (messageId: string) =>
  postroom.sandbox.inbox.messages().filter((each) => each.messageId === messageId);

describe('a message that Microsoft accepts', () => {
  it('is accepted with 202, a Location and a Retry-After, and becomes sent with the server’s own words', async () => {
    const response = await postroom.send({ to: 'ada@fabrikam.com' });
    expect(response.status).toBe(202);
    expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
    const { id, status } = (await response.json()) as { id: string; status: string };
    expect(status).toBe('queued');
    expect(response.headers.get('location')).toBe(`/v1/messages/${id}`);
    const message = await postroom.until(id, 'sent');
    expect(message.recipients).toMatchObject([{ address: 'ada@fabrikam.com', status: 'sent', reply: { code: 250 } }]);
    expect(message.attempts).toHaveLength(1);
    expect(message.attempts[0]).toMatchObject({ number: 1, outcome: 'sent', stage: 'after-dot' });
    expect(message.attempts[0]?.reply?.response).toMatch(/^250 2\.0\.0 OK /);
  });

  it('arrives as it was submitted, to everybody, with no trace of bcc', async () => {
    const id = await postroom.sendTo(['ada@fabrikam.com', 'Grace Hopper <grace@fabrikam.com>'], {
      cc: { address: 'cc@fabrikam.com', name: 'Çelik, Ömer' },
      bcc: ['secret@fabrikam.com'],
      replyTo: 'replies@contoso.com',
      subject: 'Rechnung für März 📎',
      text: 'Plain\n.dot',
      html: '<p>Rich</p>',
      headers: { 'X-Order': '4711' },
      attachments: [
        { filename: 'ä b.txt', content: Buffer.from('attached').toString('base64'), contentType: 'text/plain' },
      ],
    });
    const message = await postroom.until(id, 'sent');
    const [stored] = received(message.internetMessageId);
    expect(stored?.envelope.recipients).toEqual([
      'ada@fabrikam.com',
      'grace@fabrikam.com',
      'cc@fabrikam.com',
      'secret@fabrikam.com',
    ]);
    expect(String(stored?.raw)).not.toContain('secret@fabrikam.com');
    const mail = await PostalMime.parse(stored?.raw ?? '');
    expect(mail.subject).toBe('Rechnung für März 📎');
    expect(mail.text?.trimEnd().replaceAll('\r\n', '\n')).toBe('Plain\n.dot');
    expect(mail.cc?.[0]).toMatchObject({ address: 'cc@fabrikam.com', name: 'Çelik, Ömer' });
    expect(mail.headers.find(({ key }) => key === 'x-order')?.value).toBe('4711');
    expect(mail.attachments[0]).toMatchObject({ filename: 'ä b.txt' });
    expect(message.sizeBytes).toBe(stored?.raw.length);
  });

  it.each(['multi-line', 'bare-250', 'slow-200'])('is sent however oddly the 250 is said (%s)', async (oddity) => {
    await postroom.until(await postroom.sendTo(`${oddity}@fabrikam.com`), 'sent');
  });
});

describe('a failure that is the message’s or the recipient’s own', () => {
  it.each([
    ['unknown', 'recipient_unknown', 'recipientRefused', 550],
    ['send-as-denied', 'sender_not_permitted', 'senderRefused', 554],
    ['too-large', 'message_too_large', 'messageRefused', undefined],
    ['unheard-of-5xx', 'unknown', 'unknown', 559],
  ])('%s: fails at once, explained, after one attempt', async (recipient, code, category, basicCode) => {
    const message = await postroom.until(await postroom.sendTo(`${recipient}@fabrikam.com`), 'failed');
    expect(message.failure).toMatchObject({ code, category });
    expect(message.failure?.summary).toMatch(/\w/);
    expect(message.failure?.remedy).toMatch(/\w/);
    if (basicCode) expect(message.failure?.smtp?.code).toBe(basicCode);
    expect(message.attempts).toHaveLength(1);
  });

  it('is told recipient by recipient: those accepted are sent, the others failed', async () => {
    const message = await postroom.until(
      await postroom.sendTo(['ada@fabrikam.com', 'unknown@fabrikam.com']),
      'partiallySent',
    );
    expect(message.recipients.map(({ address, status }) => [address, status])).toEqual([
      ['ada@fabrikam.com', 'sent'],
      ['unknown@fabrikam.com', 'failed'],
    ]);
    expect(received(message.internetMessageId)).toHaveLength(1);
  });

  it('is tried again if temporary, and only for the recipients that were deferred', async () => {
    const id = await postroom.sendTo(['ada@fabrikam.com', 'recipient-busy@fabrikam.com']);
    const deferred = await postroom.until(id, 'deferred');
    expect(deferred.nextAttemptAt).toBeDefined();
    expect(deferred.recipients.map(({ status }) => status)).toEqual(['sent', 'deferred']);
    await eventually(async () => (await postroom.read(id)).attempts.length >= 2);
    const copies = received(deferred.internetMessageId);
    expect(copies.filter(({ envelope }) => envelope.recipients.includes('ada@fabrikam.com'))).toHaveLength(1);
  });

  it('is cured by waiting: the second attempt sends the very same bytes', async () => {
    const id = await postroom.sendTo('busy-1@fabrikam.com');
    const message = await postroom.until(id, 'sent', 20_000);
    expect(message.attempts.map(({ outcome }) => outcome)).toEqual(['deferred', 'sent']);
    expect(message.failure).toBeUndefined();
    const [stored] = received(message.internetMessageId);
    expect(stored?.raw.length).toBe(message.sizeBytes);
  });

  it.each(['drop-at-rcpt', 'drop-at-data', 'drop-in-body'])(
    'is deferred, never unconfirmed, if the connection dies before the dot (%s)',
    async (recipient) => {
      // Large enough that the end of it cannot have left before the cut is noticed.
      const attachments = [{ filename: 'large.bin', content: Buffer.alloc(12_000_000).toString('base64') }];
      const id = await postroom.sendTo(`${recipient}@fabrikam.com`, { attachments });
      const message = await postroom.until(id, 'deferred');
      expect(message.failure?.category).toBe('connection');
    },
  );
});

describe('a connection lost after the final dot', () => {
  it.each(['lost-after-dot', 'kept-after-dot', 'reset-after-dot'])(
    'leaves the message unconfirmed, and it is not sent again (%s)',
    async (recipient) => {
      const id = await postroom.sendTo(`${recipient}@fabrikam.com`);
      const message = await postroom.until(id, 'unconfirmed');
      expect(message.failure).toMatchObject({ category: 'outcomeUnknown', code: 'outcome_unknown' });
      expect(message.recipients[0]?.status).toBe('unconfirmed');
      expect(message.attempts).toHaveLength(1);
    },
  );

  it('sends the same bytes again if the caller said so beforehand', async () => {
    const id = await postroom.sendTo('kept-after-dot@fabrikam.com', { onUnconfirmed: 'resend' });
    await eventually(
      async () => received((await postroom.read(id)).internetMessageId).length >= 2,
      () => 'never sent again',
      20_000,
    );
    const copies = received((await postroom.read(id)).internetMessageId);
    expect(copies[1]?.raw.equals(copies[0]?.raw ?? Buffer.alloc(0))).toBe(true);
  });

  it.each([
    ['its time is over', { expiresInSeconds: 3 }, async () => undefined],
    ['it is canceled', {}, async (id: string) => void (await change(id, 'cancel'))],
  ])(
    'is not said to have failed, nor to be canceled, when it is not sent again after all, since %s',
    async (_why, more, end) => {
      // Too many of these in a row would hold the mailbox.
      await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'sent');
      const id = await postroom.sendTo('kept-after-dot@fabrikam.com', { onUnconfirmed: 'resend', ...more });
      const { recipients } = await postroom.until(id, 'deferred');
      expect(recipients).toMatchObject([{ mayHaveArrived: true }]);
      await end(id);
      const message = await postroom.until(id, 'unconfirmed', 20_000);
      expect(message.failure).toMatchObject({ category: 'outcomeUnknown' });
      expect(message.recipients).toMatchObject([{ status: 'unconfirmed' }]);
      await change(id, 'resolve', { outcome: 'sent' });
      const resolved = await postroom.until(id, 'sent');
      expect(resolved.recipients).toEqual([{ address: 'kept-after-dot@fabrikam.com', status: 'sent', resolved: true }]);
    },
  );
});

describe('secrets', () => {
  it('are in no log line, and no credential crossed the wire in clear text', () => {
    const { clientSecret } = postroom.sandbox;
    expect(postroom.logged()).toContain('Message sent');
    for (const secret of [clientSecret, 'It works.', 'Bearer ']) expect(postroom.logged()).not.toContain(secret);
    expect(postroom.sandbox.stats().cleartextAuthAttempts).toBe(0);
  });
});

it('a message whose content Redis has lost is failed, and keeps no other from being sent', async () => {
  const main = await postroom.sendTo('deferred-once@fabrikam.com', {
    sendAt: new Date(Date.now() + 3_000).toISOString(),
  });
  const redis = connectRedis(postroom.redis.url, 'patient', () => undefined);
  await redis.del(keysOf('{postroom}').mime(main));
  redis.disconnect();
  const lost = await postroom.until(main, 'failed');
  expect(lost.failure).toMatchObject({ code: 'content_gone', category: 'configuration' });
  await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'sent');
});
