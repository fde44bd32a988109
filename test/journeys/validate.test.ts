import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MessagePreview } from '../../src/gateway/preview.ts';
import type { MessageView } from '../../src/gateway/view.ts';
import { operatorAt } from '../support/keys.ts';
import { KEY, startPostroom, TEST_KEY, type TestPostroom } from '../support/postroom.ts';

let postroom: TestPostroom;
beforeAll(async () => {
  postroom = await startPostroom({ config: { testApiKey: TEST_KEY }, limits: { recipientsPerMessage: 2 } });
});
afterAll(() => postroom[Symbol.asyncDispose]());

const sender = () => postroom.sandbox.mailboxes[0]?.address ?? '';
const aMessage = (more: object = {}) => ({
  from: sender(),
  to: 'ada@fabrikam.com',
  subject: 'Hello',
  text: 'Hi.',
  ...more,
});

async function post<T>(
  path: string,
  body: object,
  key = KEY,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: T }> {
  const response = await fetch(`${postroom.url}/v1/messages${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as T };
}
const validate = (body: object, key?: string) => post<MessagePreview>('/validate', body, key);

describe('a message that is validated', () => {
  it('is told what sending it would do, and is nowhere afterwards', async () => {
    const message = aMessage({ cc: ['Eve <eve@fabrikam.com>'], headers: { 'X-Campaign': 'spring' } });
    const once = { 'idempotency-key': 'once' };
    const { status, body } = await post<MessagePreview>('/validate', message, KEY, once);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: 'queued',
      mailbox: 'main',
      recipients: ['ada@fabrikam.com', 'eve@fabrikam.com'],
    });
    const list = await operatorAt(postroom.url).call<{ messages: unknown[] }>('GET', '/v1/messages');
    expect(list.body.messages).toEqual([]);
    // The same key is free, and the size was that of the message itself.
    const sent = await post<MessageView>('', message, KEY, once);
    expect([sent.status, sent.body.sizeBytes]).toEqual([202, body.sizeBytes]);
    await postroom.until(sent.body.id, 'sent');
    expect(postroom.sandbox.inbox.messages()).toHaveLength(1);
  });

  it('is told when it would go, and that it would wait where its mailbox is held', async () => {
    const sendAt = new Date(Date.now() + 3_600_000).toISOString();
    expect((await validate(aMessage({ sendAt }))).body).toMatchObject({ status: 'scheduled', sendAt });
    await operatorAt(postroom.url).call('POST', '/v1/mailboxes/main/hold', { reason: 'migration' });
    const { body } = await validate(aMessage());
    expect(body).toMatchObject({ status: 'held', failure: { category: 'heldByOperator' } });
    expect(body.estimatedSendAt).toBeUndefined();
    await operatorAt(postroom.url).call('POST', '/v1/mailboxes/main/release');
  });

  it('may be in MIME already, and may be a test', async () => {
    const content = Buffer.from(`From: <${sender()}>\r\nTo: <ada@fabrikam.com>\r\n\r\nHi.\r\n`).toString('base64');
    expect((await validate({ raw: { content } })).body).toMatchObject({ recipients: ['ada@fabrikam.com'] });
    expect((await validate(aMessage(), TEST_KEY)).body).toMatchObject({
      status: 'queued',
      mailbox: 'main',
      test: true,
    });
  });

  it.each([
    ['with wrong fields', { to: 'ada@', HtmlBody: 'x' }],
    ['from an address of nobody', { from: 'eve@fabrikam.com' }],
    ['to too many', { to: ['a@b.example', 'c@b.example', 'd@b.example'] }],
    ['by another mailbox', { mailbox: 'other' }],
    ['that is too large', { attachments: [{ filename: 'a', content: 'A'.repeat(36_000_000) }] }],
  ])('%s gets the answer that sending it would get', async (_, more) => {
    const [validated, sent] = [await post<object>('/validate', aMessage(more)), await post<object>('', aMessage(more))];
    expect(validated.status).toBeGreaterThanOrEqual(400);
    const { requestId: _one, ...told } = validated.body as { requestId: string };
    const { requestId: _other, ...expected } = sent.body as { requestId: string };
    expect([validated.status, told]).toEqual([sent.status, expected]);
  });
});
