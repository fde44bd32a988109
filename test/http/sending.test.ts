import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KEYS } from '../support/fake-api.ts';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';

let service: HttpService;
let now = Date.now();
beforeAll(async () => {
  service = await startHttpService({ now: () => now });
});
afterAll(() => service.app.close());

test('an accepted message is answered with 202, its record and where to look', async () => {
  const response = await service.post(aBody());
  const message = (await response.json()) as { id: string; status: string };
  expect(response.status).toBe(202);
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect(response.headers.get('location')).toBe(`/v1/messages/${message.id}`);
  expect(response.headers.get('retry-after')).toBe('1');
  expect(response.headers.get('idempotent-replayed')).toBeNull();
  expect(message).toMatchObject({ status: 'queued', to: ['ada@fabrikam.com'] });
});

describe('what the gateway refuses', () => {
  test.each([
    [
      { code: 'sender_not_allowed', status: 422 },
      { status: 422, code: 'sender_not_allowed' },
    ],
    [
      { code: 'too_many_recipients', status: 422 },
      { status: 422, code: 'too_many_recipients' },
    ],
    [
      { code: 'message_too_large', status: 413 },
      { status: 413, code: 'message_too_large' },
    ],
    [
      { code: 'something_new', status: 422 },
      { status: 422, code: 'message_refused' },
    ],
    [
      { code: 'something_new', status: 413 },
      { status: 413, code: 'message_too_large' },
    ],
  ] as const)('%o goes out as a problem', async ({ code, status }, expected) => {
    await using other = await startHttpService();
    const errors = [{ pointer: '/from', message: 'No mailbox sends from here.' }];
    other.fake.api.accept = async () => ({ kind: 'refused', code, status, errors });
    expect(await problemOf(await other.post(aBody()))).toMatchObject({
      ...expected,
      errors,
      detail: errors[0]?.message,
    });
  });
});

describe('with an Idempotency-Key', () => {
  const idOf = async (response: Response) => ((await response.json()) as { id: string }).id;

  test('the same body in another order gets the same answer, marked as a replay', async () => {
    const first = await service.post({ ...aBody(), metadata: { a: '1', b: '2' } }, { 'idempotency-key': 'order' });
    const again = await service.post({ metadata: { b: '2', a: '1' }, ...aBody() }, { 'idempotency-key': 'order' });
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([202, 'true']);
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    expect(again.headers.get('retry-after')).toBe('1');
    expect(await idOf(again)).toBe(await idOf(first));
  });

  test('another body is refused, and the first message named', async () => {
    const id = await idOf(await service.post(aBody(), { 'idempotency-key': 'reused' }));
    const problem = await problemOf(await service.post(aBody({ subject: 'Other' }), { 'idempotency-key': 'reused' }));
    expect(problem).toMatchObject({ status: 422, code: 'idempotency_key_reused', detail: expect.stringContaining(id) });
  });

  test('a body whose expiresAt has passed since is still replayed', async () => {
    const body = aBody({ expiresAt: new Date(now + 60_000).toISOString() });
    const id = await idOf(await service.post(body, { 'idempotency-key': 'late' }));
    now += 120_000;
    expect(await idOf(await service.post(body, { 'idempotency-key': 'late' }))).toBe(id);
    expect((await problemOf(await service.post(body))).errors).toEqual([
      { pointer: '/expiresAt', message: expect.any(String) },
    ]);
  });

  test('callers do not share keys', async () => {
    const mine = await service.post(aBody(), { 'idempotency-key': 'shared' });
    const theirs = await service.post(aBody(), { 'idempotency-key': 'shared', authorization: `Bearer ${KEYS.other}` });
    expect(theirs.headers.get('idempotent-replayed')).toBeNull();
    expect(await idOf(theirs)).not.toBe(await idOf(mine));
  });

  test('what the gateway finds to be replayed or in conflict only on accepting is answered alike', async () => {
    await using other = await startHttpService();
    const { message } = { message: (await (await other.post(aBody())).json()) as never };
    other.fake.api.accept = async () => ({ kind: 'replayed', message });
    expect((await other.post(aBody())).headers.get('idempotent-replayed')).toBe('true');
    other.fake.api.accept = async () => ({ kind: 'conflict', messageId: 'msg_first' });
    expect(await problemOf(await other.post(aBody()))).toMatchObject({
      code: 'idempotency_key_reused',
      detail: expect.stringContaining('msg_first'),
    });
  });

  test('a key of 255 visible characters is taken', async () => {
    expect((await service.post(aBody(), { 'idempotency-key': '~'.repeat(255) })).status).toBe(202);
  });

  test.each([
    ['an empty one', ''],
    ['256 characters', 'x'.repeat(256)],
    ['a space within', 'a b'],
    ['a letter beyond ASCII', 'é'],
  ])('%s is refused by the name of the header', async (_name, key) => {
    const problem = await problemOf(await service.post(aBody(), { 'idempotency-key': key }));
    expect(problem).toMatchObject({ status: 400, code: 'invalid_parameter', errors: [{ header: 'Idempotency-Key' }] });
  });

  test('two of them are refused', async () => {
    const headers = new Headers({ authorization: `Bearer ${KEYS.all}`, 'content-type': 'application/json' });
    headers.append('idempotency-key', 'a');
    headers.append('idempotency-key', 'b');
    const response = await fetch(`${service.baseUrl}/v1/messages`, {
      method: 'POST',
      headers,
      body: JSON.stringify(aBody()),
    });
    expect(await problemOf(response)).toMatchObject({ status: 400, code: 'invalid_parameter' });
  });

  test('a body that breaks the rules is refused as without one', async () => {
    const problem = await problemOf(await service.post(aBody({ to: 'x' }), { 'idempotency-key': 'broken' }));
    expect(problem).toMatchObject({ code: 'invalid_fields' });
  });
});
