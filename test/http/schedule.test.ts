import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { message } from '../../src/http/schemas/message.ts';
import { KEYS } from '../support/fake-api.ts';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService();
});
afterAll(() => service.app.close());

const days = (count: number) => new Date(Date.now() + count * 86_400_000).toISOString();

async function scheduled(): Promise<string> {
  const { id } = (await (await service.post(aBody())).json()) as { id: string };
  service.fake.move(id, { status: 'scheduled', sendAt: days(1), expiresAt: days(3) });
  return id;
}
const change = (method: string, path: string, body?: unknown, key: string = KEYS.all) =>
  fetch(`${service.baseUrl}/v1/messages/${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });

describe('PATCH of a scheduled message', () => {
  test.each([
    ['another time', { sendAt: days(2) }, 'scheduled'],
    ['null for now', { sendAt: null }, 'queued'],
  ])('with %s is answered with the message', async (_what, body, status) => {
    const response = await change('PATCH', await scheduled(), body);
    expect([response.status, response.headers.get('etag')]).toEqual([200, expect.any(String)]);
    const answer: unknown = await response.json();
    expect(answer).toMatchObject({ status });
    expect(message.safeParse(answer).error).toBeUndefined();
  });

  test.each([
    ['a time too far ahead', { sendAt: days(31) }, '/sendAt'],
    ['a time after its end', { sendAt: days(4) }, '/sendAt'],
    ['a word', { sendAt: 'now' }, '/sendAt'],
    ['no offset', { sendAt: '2026-01-01T00:00:00' }, '/sendAt'],
    ['nothing', {}, '/sendAt'],
    ['something else', { sendAt: null, subject: 'x' }, '/subject'],
    ['a list', [], ''],
  ])('with %s names the field', async (_what, body, pointer) => {
    const problem = await problemOf(await change('PATCH', await scheduled(), body));
    expect(problem).toMatchObject({ status: 422, code: 'invalid_fields' });
    expect(problem.errors?.map((each) => each.pointer)).toContain(pointer);
  });

  test('that is queued already is too late', async () => {
    const { id } = (await (await service.post(aBody())).json()) as { id: string };
    const problem = await problemOf(await change('PATCH', id, { sendAt: days(1) }));
    expect(problem).toMatchObject({ status: 409, code: 'too_late', messageStatus: 'queued' });
  });

  test('without a body is refused', async () => {
    expect((await change('PATCH', await scheduled())).status).toBeGreaterThanOrEqual(400);
  });

  test.each([
    [KEYS.other, 404],
    [KEYS.readOnly, 403],
  ])('needs a key that may (%#)', async (key, status) => {
    expect((await change('PATCH', await scheduled(), { sendAt: null }, key)).status).toBe(status);
  });
});

describe('expediting', () => {
  test('answers with the message, or that it is too late', async () => {
    const id = await scheduled();
    expect((await change('POST', `${id}/expedite`)).status).toBe(200);
    service.fake.move(id, { status: 'sent' });
    expect(await problemOf(await change('POST', `${id}/expedite`))).toMatchObject({
      code: 'too_late',
      messageStatus: 'sent',
    });
  });

  test.each([
    [KEYS.other, 404],
    [KEYS.readOnly, 403],
  ])('needs a key that may (%#)', async (key, status) => {
    expect((await change('POST', `${await scheduled()}/expedite`, undefined, key)).status).toBe(status);
  });
});
