import { EventEmitter, once } from 'node:events';
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StoreUnavailable } from '../../src/gateway/api.ts';
import { KEYS } from '../support/fake-api.ts';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';
import { exchange, until } from '../support/raw-http.ts';

const BODY_BYTES = 2_000_000;

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService({ limits: { bodyBytes: BODY_BYTES } });
});
afterAll(() => service.app.close());

const good = JSON.stringify(aBody());

describe('a body that is not a JSON message', () => {
  test.each<[string, string | Buffer, Record<string, string>, number, string]>([
    ['nothing', '', {}, 400, 'invalid_json'],
    ['half of it', good.slice(0, 20), {}, 400, 'invalid_json'],
    ['two of it', good + good, {}, 400, 'invalid_json'],
    ['single quotes', "{'from': 'x'}", {}, 400, 'invalid_json'],
    ['an open string', `{"${'\\\\'.repeat(500)}`, {}, 400, 'invalid_json'],
    ['NaN', '{"from": NaN}', {}, 400, 'invalid_json'],
    ['a byte order mark', `\ufeff${good}`, {}, 400, 'invalid_json'],
    ['UTF-16', Buffer.from(good, 'utf16le'), {}, 400, 'invalid_json'],
    [
      'a broken UTF-8 sequence',
      Buffer.concat([Buffer.from('{"from":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
      {},
      400,
      'invalid_json',
    ],
    [
      'an encoded surrogate',
      Buffer.concat([Buffer.from('{"from":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
      {},
      400,
      'invalid_json',
    ],
    ['text/plain', good, { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
    ['a form', 'from=x', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported_media_type'],
    ['a garbled content type', good, { 'content-type': 'application' }, 415, 'unsupported_media_type'],
    ['gzip', gzipSync(good), { 'content-encoding': 'gzip' }, 415, 'unsupported_media_type'],
    ['more bytes than allowed', JSON.stringify(aBody({ text: 'x'.repeat(BODY_BYTES) })), {}, 413, 'body_too_large'],
  ])('%s', async (_name, body, headers, status, code) => {
    const problem = await problemOf(await service.post(body, headers));
    expect(problem).toMatchObject({ status, code, type: `/problems/${code}` });
    expect(JSON.stringify(problem)).not.toContain('fabrikam');
  });

  test('application/json with a charset and in capitals is taken', async () => {
    expect((await service.post(good, { 'content-type': 'Application/JSON; charset=UTF-8' })).status).toBe(202);
  });

  test('a body larger than allowed is refused by its declared length', async () => {
    const head = `POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEYS.all}\r\nContent-Type: application/json\r\nContent-Length: 300000000\r\n\r\n{`;
    const answer = await exchange(service.port, head, (socket) => socket.once('data', () => socket.end()));
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(answer).toContain('"code":"body_too_large"');
  });
});

describe('a body that is deep or wide is refused before work is done', () => {
  const deep = (open: string, close: string, count: number) => open.repeat(count) + close.repeat(count);
  test.each<[string, string, string]>([
    ['200,000 lists', deep('[', ']', 200_000), ''],
    [
      '200,000 objects in a field',
      `{"metadata":${deep('{"a":', '}', 200_000).replace('{"a":}', '{"a":1}')}}`,
      '/metadata',
    ],
    ['500,000 keys', `{${Array.from({ length: 150_000 }, (_, i) => `"k${i}":1`).join(',')}}`, '/k9998'],
    ['100,000 recipients', `{"from":"a@b.example","to":[${'"a@b.example",'.repeat(99_999)}"a@b.example"]}`, '/to'],
    ['100,000 attachments', `{"attachments":[${'{},'.repeat(99_999)}{}]}`, '/attachments'],
    ['100,000 headers', `{"headers":{${'"X":"a",'.repeat(99_999)}"X":"a"}}`, '/headers'],
  ])('%s', async (_name, body, pointer) => {
    const problem = await problemOf(await service.post(body));
    expect(problem).toMatchObject({ status: 422, code: 'body_too_complex', errors: [{ pointer }] });
  });

  test('brackets and commas within strings do not count', async () => {
    const text = `${'[{,'.repeat(20_000)}\\"`;
    expect((await service.post(aBody({ text, html: `\\${text}` }))).status).toBe(202);
  });
});

describe('a path or method that does not exist', () => {
  const send = async (method: string, path: string, headers: Record<string, string> = {}, body?: string) =>
    fetch(`${service.baseUrl}${path}`, { method, headers, ...(body !== undefined && { body }) });

  test.each(['/nope', '/v1', '/v1/messages/a/b', '/V1/messages', '/v0/messages', '/admin', '/queues', '/.env'])(
    '%s is not found',
    async (path) => {
      expect(await problemOf(await send('GET', path))).toMatchObject({ status: 404, code: 'not_found' });
      expect(await problemOf(await send('POST', path, { 'content-type': 'application/xml' }, '<x/>'))).toMatchObject({
        status: 404,
      });
    },
  );

  test.each([
    ['GET', '/v1/explain', 'POST'],
    ['PUT', '/v1/messages', 'GET, HEAD, POST'],
    ['OPTIONS', '/v1/messages', 'GET, HEAD, POST'],
    ['DELETE', '/v1/messages/msg_1', 'GET, HEAD, PATCH'],
    ['PUT', '/v1/messages/msg_1?wait=1', 'GET, HEAD, PATCH'],
    ['PATCH', '/v1/mailboxes/main', 'GET, HEAD'],
    ['POST', '/health/live', 'GET, HEAD'],
    ['PROPFIND', '/v1/messages', 'GET, HEAD, POST'],
  ])('%s %s names what is allowed', async (method, path, allow) => {
    const response = await send(method, path);
    expect(await problemOf(response)).toMatchObject({ status: 405, code: 'method_not_allowed' });
    expect(response.headers.get('allow')).toBe(allow);
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });

  test('a path that cannot be decoded is malformed', async () => {
    expect(await problemOf(await send('GET', '/v1/messages/%ff'))).toMatchObject({
      status: 400,
      code: 'malformed_request',
    });
  });
});

describe('what is not proper HTTP', () => {
  const head = (lines: string) =>
    `POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEYS.all}\r\nContent-Type: application/json\r\n${lines}\r\n\r\n`;
  const smuggled = 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n';
  test.each<[string, string, number]>([
    [
      'both Content-Length and Transfer-Encoding',
      `${head('Content-Length: 5\r\nTransfer-Encoding: chunked')}0\r\n\r\n${smuggled}`,
      400,
    ],
    ['two lengths', `${head('Content-Length: 5\r\nContent-Length: 6')}{"a":${smuggled}`, 400],
    ['a length with a sign', `${head('Content-Length: +5')}{"a":${smuggled}`, 400],
    ['an unknown transfer coding', `${head('Transfer-Encoding: xchunked')}0\r\n\r\n${smuggled}`, 400],
    ['a coding after chunked', `${head('Transfer-Encoding: chunked, identity')}0\r\n\r\n${smuggled}`, 400],
    ['a bad chunk size', `${head('Transfer-Encoding: chunked')}zz\r\n\r\n${smuggled}`, 400],
    ['a space before the colon', `${head('Content-Length : 5')}{"a":${smuggled}`, 400],
    ['lines ended by LF alone', `POST /v1/messages HTTP/1.1\nHost: x\nContent-Length: 0\n\n`, 400],
    ['no HTTP at all', 'EHLO mail.example\r\n\r\n', 400],
    ['200 KB of headers', head(`X-Long: ${'x'.repeat(200_000)}`), 431],
  ])('%s gets one refusal and the connection is closed', async (_name, bytes, status) => {
    const answer = await exchange(service.port, bytes);
    expect(answer.match(/^HTTP\/1\.1 \d{3}/gm)).toEqual([`HTTP/1.1 ${status}`]);
    expect(answer).toContain('application/problem+json');
    expect(answer).not.toContain('"status":"ok"');
  });
});

describe('every answer', () => {
  test('repeats an acceptable X-Request-Id and replaces any other', async () => {
    const idOf = async (id: string) =>
      (await service.get('/health/live', { 'x-request-id': id })).headers.get('x-request-id');
    expect(await idOf('Trace-1.a_b')).toBe('Trace-1.a_b');
    expect(await idOf('x'.repeat(64))).toBe('x'.repeat(64));
    for (const id of ['x'.repeat(65), 'a b', 'a"b', '<script>', '']) expect(await idOf(id)).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('says nothing about the software and may not be framed, sniffed or stored', async () => {
    for (const path of ['/health/live', '/v1/messages/x', '/nope', '/openapi.json']) {
      const { headers } = await service.get(path);
      expect(headers.get('server')).toBeNull();
      expect(headers.get('x-powered-by')).toBeNull();
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('cache-control')).toBe('no-store');
    }
  });

  test('the type of a problem can be looked up', async () => {
    const { type } = await problemOf(await service.get('/nope'));
    expect(await (await service.get(type)).json()).toMatchObject({ code: 'not_found', status: 404 });
    expect((await service.get('/problems/constructor')).status).toBe(404);
  });
});

describe('when the gateway cannot', () => {
  test('a store that is away is 503 with Retry-After', async () => {
    await using broken = await startHttpService();
    broken.fake.api.accept = async () => {
      throw new StoreUnavailable('redis://secret@host is away');
    };
    const response = await broken.post(good);
    const problem = await problemOf(response);
    expect(problem).toMatchObject({ status: 503, code: 'store_unavailable' });
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(JSON.stringify(problem)).not.toContain('secret');
  });

  test('an unexpected error is told to the log and not to the caller', async () => {
    await using broken = await startHttpService();
    broken.fake.api.accept = async () => {
      throw Object.assign(new Error('the secret thing broke'), { statusCode: 418 });
    };
    const problem = await problemOf(await broken.post(good));
    expect(problem).toMatchObject({ status: 500, code: 'internal_error' });
    expect(JSON.stringify(problem)).not.toMatch(/secret|at .*\.ts/);
  });

  test('not ready is 503', async () => {
    await using broken = await startHttpService();
    expect((await broken.get('/health/ready')).status).toBe(200);
    broken.fake.api.readiness = async () => ({ ready: false, checks: { store: { status: 'fail', detail: 'Away.' } } });
    const response = await broken.get('/health/ready');
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ ready: false, checks: { store: { status: 'fail', detail: 'Away.' } } });
  });
});

test('while it closes, a request under way is answered and a later one sent elsewhere', async () => {
  const closing = await startHttpService();
  const { accept } = closing.fake.api;
  const gate = new EventEmitter();
  let entered = false;
  closing.fake.api.accept = async (...given) => {
    entered = true;
    await once(gate, 'open');
    return accept(...given);
  };
  const first = `POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEYS.all}\r\nContent-Type: application/json\r\nContent-Length: ${good.length}\r\n\r\n${good}`;
  let socket: Socket | undefined;
  const answers = exchange(closing.port, first, (opened) => {
    socket = opened;
  });
  await until(() => entered);
  let requests = 1;
  closing.app.server.on('request', () => requests++);
  const closed = closing.app.close();
  await until(() => !closing.app.server.listening);
  socket?.write('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');
  await until(() => requests === 2);
  gate.emit('open');
  expect((await answers).match(/HTTP\/1\.1 \d{3}|"code":"\w+"/g)).toEqual([
    'HTTP/1.1 202',
    'HTTP/1.1 503',
    '"code":"shutting_down"',
  ]);
  await closed;
});

describe('a request without a body', () => {
  test.each([
    ['POST', '/v1/messages'],
    ['POST', '/v1/messages/batch'],
    ['POST', '/v1/messages/retry'],
    ['PATCH', '/v1/messages/msg_01kg9c5vq8f2t7n4w6x3y1z0ab'],
    ['POST', '/v1/messages/msg_01kg9c5vq8f2t7n4w6x3y1z0ab/resolve'],
    ['POST', '/v1/keys'],
    ['POST', '/v1/webhooks'],
    ['PATCH', '/v1/webhooks/wh_1'],
    ['POST', '/v1/webhooks/wh_1/replay'],
    ['POST', '/v1/explain'],
  ])('%s %s is told that it needs one, whatever type it names', async (method, path) => {
    for (const type of [undefined, 'application/json', 'text/plain', 'multipart/form-data; boundary=x']) {
      const { status } = await problemOf(await bodiless(method, path, type));
      expect([type, status]).toEqual([type, expect.toBeOneOf([400, 415])]);
    }
  });

  test('may name a type where none is needed', async () => {
    const { status } = await bodiless('POST', '/v1/messages/msg_01kg9c5vq8f2t7n4w6x3y1z0ab/cancel', 'application/json');
    expect(status).toBe(404);
  });
});

function bodiless(method: string, path: string, type: string | undefined): Promise<Response> {
  const key = path.startsWith('/v1/keys') ? KEYS.operator : KEYS.all;
  return fetch(`${service.baseUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(type !== undefined && { 'content-type': type }) },
  });
}
