import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KEYS } from '../support/fake-api.ts';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';
import { exchange } from '../support/raw-http.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService();
});
afterAll(() => service.app.close());

const read = (headers: Record<string, string>, path = '/v1/messages/msg_x') =>
  fetch(`${service.baseUrl}${path}`, { headers });

test('without a key the challenge says how to send one', async () => {
  const response = await read({});
  expect(response.headers.get('www-authenticate')).toBe('Bearer realm="postroom"');
  expect(await problemOf(response)).toMatchObject({ status: 401, code: 'missing_credentials' });
});

describe('what is not exactly one known key is refused', () => {
  test.each([
    ['a wrong key', 'Bearer pr_wrong'],
    ['a key cut short', `Bearer ${KEYS.all.slice(0, -1)}`],
    ['a key with a letter more', `Bearer ${KEYS.all}x`],
    ['a key in capitals', `Bearer ${KEYS.all.toUpperCase()}`],
    ['no key after the scheme', 'Bearer '],
    ['the key without a scheme', KEYS.all],
    ['another scheme', `Basic ${btoa(`x:${KEYS.all}`)}`],
    ['two keys', `Bearer ${KEYS.all}, Bearer ${KEYS.all}`],
    ['something after the key', `Bearer ${KEYS.all} x`],
    ['what every object has', 'Bearer constructor'],
    ['an endless key', `Bearer ${'x'.repeat(8_000)}`],
    ['an empty header', ''],
  ])('%s', async (_name, authorization) => {
    const response = await read({ authorization });
    expect(await problemOf(response)).toMatchObject({ status: 401, code: 'invalid_credentials' });
    expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
  });

  test('two Authorization headers, the first of them right', async () => {
    const lines = `Authorization: Bearer ${KEYS.all}\r\nAuthorization: Bearer wrong\r\nConnection: close`;
    const answer = await exchange(service.port, `GET /v1/messages/x HTTP/1.1\r\nHost: x\r\n${lines}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
  });
});

test('a key in the URL, a cookie or another header is nobody’s', async () => {
  for (const name of ['api_key', 'access_token', 'key']) {
    expect((await read({}, `/v1/messages/x?${name}=${KEYS.all}`)).status).toBe(401);
  }
  expect((await read({ 'x-api-key': KEYS.all, cookie: `key=${KEYS.all}` })).status).toBe(401);
});

test('the scheme may be written in any case', async () => {
  expect((await read({ authorization: `bEARER  ${KEYS.all}` })).status).toBe(404);
});

test('a key without the scope is told which one it needs', async () => {
  const sending = await service.post(aBody(), { authorization: `Bearer ${KEYS.readOnly}` });
  expect(sending.headers.get('www-authenticate')).toContain('scope="send"');
  expect(await problemOf(sending)).toMatchObject({
    status: 403,
    code: 'insufficient_scope',
    detail: expect.stringContaining('send'),
  });
  const reading = await problemOf(await read({ authorization: `Bearer ${KEYS.sendOnly}` }));
  expect(reading).toMatchObject({ status: 403, detail: expect.stringContaining('read') });
});

test('a stranger’s body is not read', async () => {
  const head =
    'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n';
  const answer = await exchange(service.port, head, (socket) => socket.once('data', () => socket.end()));
  expect(answer).toMatch(/^HTTP\/1\.1 401 /);
});

test('no refusal repeats the key', async () => {
  const response = await read({ authorization: 'Bearer pr_planted_secret' });
  expect(await response.text()).not.toContain('planted');
});

test('all paths of the API need a key, those for machines and readers do not', async () => {
  const { paths } = (await (await read({}, '/openapi.json')).json()) as { paths: Record<string, object> };
  for (const [path, operations] of Object.entries(paths)) {
    for (const method of Object.keys(operations)) {
      const response = await fetch(`${service.baseUrl}${path.replace('{id}', 'x').replace('{code}', 'not_found')}`, {
        // Of the usual methods, fetch writes this one as it is given.
        method: method.toUpperCase(),
      });
      expect([method, path, response.status]).toEqual([method, path, path.startsWith('/v1/') ? 401 : 200]);
    }
  }
});
