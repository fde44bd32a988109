import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cursorOf } from '../../src/gateway/position.ts';
import { messageCounts, messagePage, retried } from '../../src/http/schemas/message-list.ts';
import { KEYS } from '../support/fake-api.ts';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService();
});
afterAll(() => service.app.close());

const CURSOR = cursorOf({ acceptedAt: 17, id: 'msg_1' });
const operator = { authorization: `Bearer ${KEYS.operator}` };

describe('a list', () => {
  test('has the messages without their attempts, and where to go on', async () => {
    await service.post(aBody());
    const response = await service.get('/v1/messages');
    const body = (await response.json()) as { messages: object[]; next: string };
    expect(messagePage.safeParse(body).error).toBeUndefined();
    expect([response.status, body.messages.length, typeof body.next]).toEqual([200, 1, 'string']);
    expect(body.messages[0]).not.toHaveProperty('attempts');
    expect(service.fake.queries.at(-1)).toEqual({ limit: 20 });
  });

  test('hands every filter on', async () => {
    const filters = `limit=5&after=${CURSOR}&status=held&status=failed&mailbox=main&recipient=ada%40fabrikam.com&tag=a`;
    const more = 'category=expired&createdAfter=2026-01-31T09:30:00Z&createdBefore=2026-01-31T10:30:00%2B01:00';
    expect((await service.get(`/v1/messages?${filters}&${more}`)).status).toBe(200);
    expect(service.fake.queries.at(-1)).toEqual({
      limit: 5,
      after: { acceptedAt: 17, id: 'msg_1' },
      status: ['held', 'failed'],
      mailbox: 'main',
      recipient: 'ada@fabrikam.com',
      tag: 'a',
      category: 'expired',
      createdAfter: Date.parse('2026-01-31T09:30:00Z'),
      createdBefore: Date.parse('2026-01-31T09:30:00Z'),
    });
  });

  test.each([
    ['limit', '0'],
    ['limit', '101'],
    ['limit', '1.5'],
    ['limit', ''],
    ['limit', '1&limit=2'],
    ['after', 'x'],
    ['after', Buffer.from('17 a b').toString('base64url')],
    ['status', 'lost'],
    ['status', 'sent&status=lost'],
    ['category', 'none'],
    ['mailbox', 'x'.repeat(201)],
    ['createdAfter', 'yesterday'],
    ['createdBefore', '2026-01-31T10:30:00+01:00'],
    ['statsu', 'sent'],
    ['__proto__', 'sent'],
  ])('refuses %s=%s by its name', async (parameter, value) => {
    const problem = await problemOf(await service.get(`/v1/messages?${parameter}=${value}`));
    expect(problem).toMatchObject({ status: 400, code: 'invalid_parameter', errors: [{ parameter }] });
  });

  test('is not for a key that may only send', async () => {
    expect((await service.get('/v1/messages', { authorization: `Bearer ${KEYS.sendOnly}` })).status).toBe(403);
  });
});

describe('counts', () => {
  test('are answered as the document says, to any reader', async () => {
    const own = await (await service.get('/v1/messages/counts')).json();
    const all = await (await service.get('/v1/messages/counts', operator)).json();
    for (const counts of [own, all]) expect(messageCounts.safeParse(counts).error).toBeUndefined();
    expect(own).toEqual({ statuses: { failed: 1 }, mailboxes: [{ mailbox: 'fake', statuses: { failed: 1 } }] });
    expect(all).toHaveProperty('test');
  });
});

describe('a retry of many', () => {
  const retry = (body: unknown, headers: Record<string, string> = {}) =>
    fetch(`${service.baseUrl}/v1/messages/retry`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.all}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  test('is of the failed ones unless it says otherwise', async () => {
    const response = await retry({});
    expect([response.status, retried.safeParse(await response.json()).success]).toEqual([200, true]);
    expect(service.fake.retries.at(-1)).toEqual({ status: ['failed'], limit: 100 });
    await retry({
      status: ['unconfirmed'],
      limit: 1_000,
      after: CURSOR,
      tag: 'a',
      test: false,
      createdAfter: '2026-01-31T09:30:00Z',
    });
    expect(service.fake.retries.at(-1)).toEqual({
      status: ['unconfirmed'],
      limit: 1_000,
      after: { acceptedAt: 17, id: 'msg_1' },
      tag: 'a',
      test: false,
      createdAfter: Date.parse('2026-01-31T09:30:00Z'),
    });
  });

  test.each([
    [{ status: ['sent'] }, '/status/0'],
    [{ status: [] }, '/status'],
    [{ status: 'failed' }, '/status'],
    [{ limit: 1_001 }, '/limit'],
    [{ after: 'x' }, '/after'],
    [{ createdBefore: 'now' }, '/createdBefore'],
    [{ mailboxes: 'main' }, '/mailboxes'],
    [{ test: 'true' }, '/test'],
    [{ recipient: '' }, '/recipient'],
    [{ after: 'A'.repeat(300) }, '/after'],
  ])('refuses %o by its name', async (body, pointer) => {
    expect(await problemOf(await retry(body))).toMatchObject({
      status: 422,
      code: 'invalid_fields',
      errors: [{ pointer }],
    });
  });

  test('is not for a key that may only read', async () => {
    expect((await retry({}, { authorization: `Bearer ${KEYS.readOnly}` })).status).toBe(403);
  });
});
