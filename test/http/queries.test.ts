import { afterAll, beforeAll, expect, test } from 'vitest';
import { operations } from '../contract/document.ts';
import { KEYS } from '../support/fake-api.ts';
import { type HttpService, problemOf, startHttpService } from '../support/http-service.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService();
});
afterAll(() => service.app.close());

/** Of the committed document, so that an operation that is added is asked too. */
const all = operations.map((operation) => [`${operation.method} ${operation.path}`, operation] as const);

test.each(all)(
  '%s refuses a parameter that it does not have, and names those that it has',
  async (_name, operation) => {
    const { method, path, requestBody, parameters = [] } = operation;
    const key = /^\/v1\/(?:mailboxes|keys)/.test(path) ? KEYS.operator : KEYS.all;
    const response = await fetch(`${service.baseUrl}${path.replace(/\{\w+\}/, 'msg_1')}?unheardOf=1`, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(requestBody && { 'content-type': 'application/json' }) },
      ...(requestBody && { body: '{}' }),
    });
    const { status, code, errors } = await problemOf(response);
    expect([status, code, errors?.map(({ parameter }) => parameter)]).toEqual([
      400,
      'invalid_parameter',
      ['unheardOf'],
    ]);
    const names = parameters.filter((each) => each.in === 'query').map(({ name }) => name);
    for (const name of names) expect(errors?.[0]?.message).toContain(name);
    if (names.length === 0) expect(errors?.[0]?.message).toBe('This takes no query parameters.');
  },
);

test.each(['/', '/openapi.json'])('%s lets them be, which browsers and caches add', async (path) => {
  expect((await service.get(`${path}?v=1`)).status).toBe(200);
});
