import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { batchAnswer } from '../../src/http/schemas/batch.ts';
import { KEYS } from '../support/fake-api.ts';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService();
});
afterAll(() => service.app.close());

interface Result {
  index: number;
  status: string;
  replayed?: boolean;
  message?: { id: string; subject: string };
  problem?: { code: string; detail: string; status: number; errors?: { pointer: string }[] };
}

const post = (body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${service.baseUrl}/v1/messages/batch`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEYS.all}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

async function batch(messages: unknown[], headers: Record<string, string> = {}): Promise<Result[]> {
  const response = await post({ messages }, headers);
  expect(response.status).toBe(200);
  const body = (await response.json()) as { results: Result[] };
  expect(batchAnswer.safeParse(body).error).toBeUndefined();
  return body.results;
}
const ids = (results: Result[]) => results.map(({ message }) => message?.id);

describe('a batch', () => {
  test('of a hundred is accepted, and answered in order', async () => {
    const subjects = Array.from({ length: 100 }, (_, i) => `Number ${i}`);
    const results = await batch(subjects.map((subject) => aBody({ subject })));
    expect(results.map(({ index, message }) => [index, message?.subject])).toEqual(subjects.map((s, i) => [i, s]));
    expect(new Set(ids(results)).size).toBe(100);
  });

  test('with a wrong message accepts the others, and says what is wrong where', async () => {
    const results = await batch([aBody(), aBody({ to: 'nobody', subjekt: 'x' }), 'a word', aBody()]);
    expect(results.map(({ status }) => status)).toEqual(['accepted', 'refused', 'refused', 'accepted']);
    expect(results[1]?.problem).toMatchObject({ code: 'invalid_fields', status: 422 });
    expect(results[1]?.problem?.errors?.map(({ pointer }) => pointer).toSorted()).toEqual([
      '/messages/1/subjekt',
      '/messages/1/to',
    ]);
    expect(results[2]?.problem?.detail).toContain('/messages/2');
  });

  test('repeated with its Idempotency-Key makes nothing twice, and judges anew what was refused', async () => {
    const key = { 'idempotency-key': 'batch-1' };
    const first = await batch([aBody(), aBody({ to: 'nobody' })], key);
    const again = await batch([aBody(), aBody({ to: 'ada@fabrikam.com' })], key);
    expect(again[0]).toMatchObject({ status: 'accepted', replayed: true, message: first[0]?.message });
    expect(again[1]).toMatchObject({ status: 'accepted' });
    expect(again[1]).not.toHaveProperty('replayed');
    const other = await batch([aBody({ subject: 'Another' })], key);
    expect(other[0]?.problem).toMatchObject({ code: 'idempotency_key_reused' });
  });

  test('of equal messages under one key makes as many', async () => {
    const results = await batch([aBody(), aBody()], { 'idempotency-key': 'batch-2' });
    expect(new Set(ids(results)).size).toBe(2);
  });

  test('takes a key for each message, the same as that of a single one', async () => {
    const single = await service.post(aBody(), { 'idempotency-key': 'order-7' });
    const { id } = (await single.json()) as { id: string };
    const results = await batch([aBody({ idempotencyKey: 'order-7' }), aBody({ idempotencyKey: 'ü' })]);
    expect(results[0]).toMatchObject({ replayed: true, message: { id } });
    expect(results[1]?.problem?.errors).toMatchObject([{ pointer: '/messages/1/idempotencyKey' }]);
  });

  test('says once what its messages have in common, and each what is its own', async () => {
    const shared = { ...aBody({ subject: 'To all', tags: ['spring'] }), to: undefined };
    const messages = [
      { to: 'ada@fabrikam.com' },
      { to: 'eve@fabrikam.com', subject: 'To you', tags: ['vip'], idempotencyKey: 'eve' },
    ];
    const response = await post({ shared, messages });
    const { results } = (await response.json()) as { results: Result[] };
    expect(results.map(({ status }) => status)).toEqual(['accepted', 'accepted']);
    const [ada, eve] = service.fake.submissions.slice(-2);
    expect([ada?.subject, eve?.subject]).toEqual(['To all', 'To you']);
    expect([ada?.tags, eve?.tags, eve?.text]).toEqual([['spring'], ['vip'], 'Hello.']);
    // It is the message that a key stands for, however it was written.
    const alone = await service.post(aBody({ ...messages[1], idempotencyKey: undefined }), {
      'idempotency-key': 'eve',
    });
    expect(alone.headers.get('idempotent-replayed')).toBe('true');
  });

  test('whose messages share a wrong field is told where that is', async () => {
    const shared = { from: 'billing@contoso.com', subjekt: 'x', replyTo: 'nobody', text: 'Hello.' };
    const response = await post({
      shared,
      messages: [
        { to: 'ada@', subject: 'x' },
        { to: 'ada@fabrikam.com', subject: 'x', replyTo: 'eve' },
      ],
    });
    const { results } = (await response.json()) as { results: Result[] };
    const pointers = results.map(({ problem }) => problem?.errors?.map(({ pointer }) => pointer).toSorted());
    expect(pointers).toEqual([
      ['/messages/0/to', '/shared/replyTo', '/shared/subjekt'],
      ['/messages/1/replyTo', '/shared/subjekt'],
    ]);
  });

  test('may not become larger by sharing than it could be otherwise', async () => {
    await using small = await startHttpService({ limits: { bodyBytes: 100_000 } });
    const send = (text: string) =>
      fetch(`${small.baseUrl}/v1/messages/batch`, {
        method: 'POST',
        headers: { authorization: `Bearer ${KEYS.all}`, 'content-type': 'application/json' },
        body: JSON.stringify({ shared: { ...aBody(), text }, messages: Array.from({ length: 10 }, () => ({})) }),
      });
    expect((await send('x'.repeat(9_000))).status).toBe(200);
    const problem = await problemOf(await send('x'.repeat(11_000)));
    expect(problem).toMatchObject({ code: 'invalid_fields', errors: [{ pointer: '/shared' }] });
    expect(small.fake.submissions).toHaveLength(10);
  });

  test.each([
    ['a word', '/shared'],
    [{ idempotencyKey: 'a' }, '/shared/idempotencyKey'],
  ])('that shares %j is not taken', async (shared, pointer) => {
    const problem = await problemOf(await post({ shared, messages: [aBody()] }));
    expect(problem).toMatchObject({ code: 'invalid_fields', errors: [{ pointer }] });
  });

  test('of which the store fails for some tells which', async () => {
    const results = await batch([aBody(), aBody({ subject: 'Redis is away' })]);
    expect(results.map(({ status, problem }) => [status, problem?.code])).toEqual([
      ['accepted', undefined],
      ['refused', 'store_unavailable'],
    ]);
  });

  test('of which the store fails for all is 503', async () => {
    const response = await post({ messages: [aBody({ subject: 'Redis is away' })] });
    expect(await problemOf(response)).toMatchObject({ status: 503, code: 'store_unavailable' });
  });

  test.each([
    [{ messages: [] }, '/messages'],
    [{ messages: Array(101).fill({}) }, '/messages'],
    [{}, '/messages'],
    [{ messages: [{}], mesages: [] }, '/mesages'],
  ])('that is none is refused whole (%#)', async (body, pointer) => {
    expect(await problemOf(await post(body))).toMatchObject({ code: 'invalid_fields', errors: [{ pointer }] });
  });

  test('with an unfit Idempotency-Key is refused whole', async () => {
    const response = await post({ messages: [aBody()] }, { 'idempotency-key': 'a b' });
    expect(await problemOf(response)).toMatchObject({ code: 'invalid_parameter' });
  });

  test('needs a key that may send', async () => {
    const response = await post({ messages: [aBody()] }, { authorization: `Bearer ${KEYS.readOnly}` });
    expect(response.status).toBe(403);
  });
});
