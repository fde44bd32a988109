import { readdirSync, readlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KEYS } from '../support/fake-api.ts';
import { formOf, messagePart } from '../support/form.ts';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';
import { exchange, until } from '../support/raw-http.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService({
    limits: { bodyBytes: 2_000_000, requestMilliseconds: 2_000, headersMilliseconds: 1_000, checkMilliseconds: 50 },
  });
});
afterAll(() => service.app.close());

const good = JSON.stringify(aBody());
const KEY_LINE = `Authorization: Bearer ${KEYS.all}`;
const JSON_LINE = 'Content-Type: application/json';
const LENGTH = `Content-Length: ${good.length}`;

/** One request, after whose answer the connection is to be closed. */
const requestOf = (line: string, ...headers: string[]) =>
  `${[line, ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`;
const post = (...headers: string[]) => requestOf('POST /v1/messages HTTP/1.1', 'Host: x', KEY_LINE, ...headers);

/** All that came back: the status of each answer, and of the last one its `code` if it is a problem. */
function answered(text: string): [statuses: number[], code: string | undefined] {
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) [A-Z]/g)].map(([, status]) => Number(status));
  const isProblem = /^content-type: application\/problem\+json/im.test(text);
  return [statuses, isProblem ? /"code":"(\w+)"/.exec(text)?.[1] : 'no problem'];
}

const ask = async (bytes: string | Buffer, whenOpen?: (socket: Socket) => void) =>
  answered(await exchange(service.port, bytes, whenOpen));

describe('what Node would answer by itself, or not at all, is answered as all else:', () => {
  test.each<[string, string, number, string]>([
    ['CONNECT', 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n', 405, 'method_not_allowed'],
    ['no Host', requestOf('GET /health/live HTTP/1.1'), 400, 'malformed_request'],
    ['two Hosts', requestOf('GET /health/live HTTP/1.1', 'Host: a', 'HOST: b'), 400, 'malformed_request'],
    ['an unknown method', requestOf('BREW /v1/messages HTTP/1.1', 'Host: x'), 400, 'malformed_request'],
    ['a method in small letters', requestOf('get /health/live HTTP/1.1', 'Host: x'), 400, 'malformed_request'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'malformed_request'],
    ['HTTP/3', requestOf('GET / HTTP/3.0', 'Host: x'), 400, 'malformed_request'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'malformed_request'],
    ['a folded header', requestOf('GET / HTTP/1.1', 'Host: x', 'X-A: a', ' b'), 400, 'malformed_request'],
    ['a control character', requestOf('GET / HTTP/1.1', 'Host: x', 'X-A: a\x01b'), 400, 'malformed_request'],
    ['a long path', requestOf(`GET /${'x'.repeat(20_000)} HTTP/1.1`, 'Host: x'), 431, 'headers_too_large'],
  ])('%s', async (_what, bytes, status, code) => {
    expect(await ask(Buffer.from(bytes, 'latin1'))).toEqual([[status], code]);
  });

  test('a header field behind 2,500 others is read', async () => {
    const many = Array.from({ length: 2_500 }, () => 'a:1');
    const text = requestOf('GET /v1/messages/msg_x HTTP/1.1', 'Host: x', ...many, KEY_LINE);
    expect(await ask(text)).toEqual([[404], 'message_not_found']);
  });
});

describe('Expect: 100-continue', () => {
  test('asks for the body where it is wanted', async () => {
    const sendBody = (socket: Socket) => socket.once('data', () => socket.write(good));
    expect(await ask(post(JSON_LINE, LENGTH, 'Expect: 100-continue'), sendBody)).toEqual([[100, 202], 'no problem']);
    const form = formOf([messagePart(aBody())]);
    const head = post('Content-Type: multipart/form-data; boundary=xYzZy', `Content-Length: ${form.length}`);
    const upload = head.replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n');
    const sendForm = (socket: Socket) => socket.once('data', () => socket.write(form));
    expect(await ask(upload, sendForm)).toEqual([[100, 202], 'no problem']);
  });

  test.each([
    ['without a key', requestOf('POST /v1/messages HTTP/1.1', 'Host: x', JSON_LINE, LENGTH), 401],
    ['to a path that does not exist', requestOf('POST /v2/messages HTTP/1.1', 'Host: x', KEY_LINE, LENGTH), 404],
    ['with a query that is none', post(JSON_LINE, LENGTH).replace('/v1/messages', '/v1/messages/batch?x=1'), 400],
    ['that is too large', post(JSON_LINE, 'Content-Length: 3000000'), 413],
    [
      'that is too large as a form',
      post('Content-Type: multipart/form-data; boundary=x', 'Content-Length: 99999999'),
      413,
    ],
  ])(
    'does not ask for a body %s, and ends the connection, since nobody knows what comes next',
    async (_how, head, status) => {
      const keepAlive = head.replace('Connection: close\r\n', 'Expect: 100-continue\r\n');
      const [statuses] = await ask(keepAlive);
      expect(statuses).toEqual([status]);
    },
  );

  test('leaves the connection open after an answer to a body that was asked for', async () => {
    const head = post(JSON_LINE, LENGTH, 'Expect: 100-continue').replace('Connection: close\r\n', '');
    const answer = ask(head, (socket) => {
      socket.once('data', () => socket.write(`${good}${requestOf('GET /health/live HTTP/1.1', 'Host: x')}`));
    });
    expect(await answer).toEqual([[100, 202, 200], 'no problem']);
  });

  test('of something else is no reason to refuse', async () => {
    expect(await ask(`${post(JSON_LINE, LENGTH, 'Expect: tea')}${good}`)).toEqual([[202], 'no problem']);
  });
});

describe('a body that is not as long as it says', () => {
  const lies = (length: number) => post(JSON_LINE, `Content-Length: ${length}`).replace('Connection: close\r\n', '');
  const taken = () => service.fake.submissions.length;

  test('by half: what is left over is no request', async () => {
    const accepted = taken();
    const [statuses] = await ask(lies(good.length >> 1) + good);
    expect([statuses]).toEqual([expect.toBeOneOf([[400], [400, 400]])]);
    expect(taken()).toBe(accepted);
  });

  test('by one octet too few sent: it is waited for, in bounded time', async () => {
    expect(await ask(lies(good.length + 1) + good)).toEqual([[408], 'request_timeout']);
  });

  test('and then is over', async () => {
    expect(await ask(lies(good.length + 1) + good, (socket) => socket.end())).toEqual([[400], 'malformed_request']);
  });

  test.each(['-1', '5, 5', '0x5', '5 5', '9'.repeat(30)])('Content-Length: %s', async (length) => {
    const head = post(JSON_LINE, `Content-Length: ${length}`);
    expect(await ask(head + good)).toEqual([[400], 'malformed_request']);
  });

  test.each(['gzip, chunked', 'deflate, chunked'])('Transfer-Encoding: %s', async (coding) => {
    const packed = gzipSync(good).toString('latin1');
    const chunks = `${packed.length.toString(16)}\r\n${packed}\r\n0\r\n\r\n`;
    const bytes = Buffer.from(post(JSON_LINE, `Transfer-Encoding: ${coding}`) + chunks, 'latin1');
    expect(await ask(bytes)).toEqual([[415], 'unsupported_media_type']);
  });

  test.each<[string, string]>([
    ['an endless extension', `${good.length.toString(16)};x=${'y'.repeat(30_000)}\r\n${good}\r\n0\r\n\r\n`],
    ['a size beyond all numbers', 'fffffffffffffffff\r\n'],
    ['endless trailers', `${good.length.toString(16)}\r\n${good}\r\n0\r\n${'X: y\r\n'.repeat(9_000)}\r\n`],
  ])('in chunks with %s', async (_what, chunks) => {
    const accepted = taken();
    const [statuses, code] = await ask(post(JSON_LINE, 'Transfer-Encoding: chunked') + chunks);
    expect([statuses, code]).toEqual([[expect.toBeOneOf([400, 413, 431])], expect.stringMatching(/^[a-z]+_/)]);
    expect(taken()).toBe(accepted);
  });

  test('and never ends is refused at the limit, and its connection ended in bounded time', async () => {
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    const endless = exchange(service.port, post(JSON_LINE, 'Transfer-Encoding: chunked'), (socket) => {
      const pour = setInterval(() => socket.writable && socket.writableLength === 0 && socket.write(chunk), 1);
      socket.once('close', () => clearInterval(pour));
    });
    const [statuses, code] = answered(await endless);
    expect([statuses, code]).toEqual([expect.arrayContaining([413]), 'body_too_large']);
  });
});

describe('other ways to ask', () => {
  test.each([
    ['HTTP/1.0', 'GET /health/live HTTP/1.0\r\n\r\n', 200],
    [
      'HTTP/1.0 with a body',
      `POST /v1/messages HTTP/1.0\r\n${KEY_LINE}\r\n${JSON_LINE}\r\n${LENGTH}\r\n\r\n${good}`,
      202,
    ],
    ['HTTP/1.0 with a body of no length', `POST /v1/messages HTTP/1.0\r\n${KEY_LINE}\r\n\r\n${good}`, 400],
    ['a whole URL', requestOf('GET http://elsewhere.example/v1/messages?limit=1 HTTP/1.1', 'Host: x', KEY_LINE), 200],
    ['an upgrade to h2c', requestOf('GET /health/live HTTP/1.1', 'Host: x', 'Upgrade: h2c'), 200],
    [
      'an upgrade to h2c by the connection',
      'GET /health/live HTTP/1.0\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
      200,
    ],
    [
      'a WebSocket',
      requestOf('GET /v1/messages/msg_x/events HTTP/1.1', 'Host: x', KEY_LINE, 'Upgrade: websocket'),
      404,
    ],
    ['TRACE', requestOf('TRACE /v1/messages HTTP/1.1', 'Host: x', KEY_LINE), 405],
    ['OPTIONS of everything', requestOf('OPTIONS * HTTP/1.1', 'Host: x', KEY_LINE), 404],
    ['HEAD', requestOf('HEAD /v1/messages HTTP/1.1', 'Host: x', KEY_LINE), 200],
  ])('%s', async (_how, bytes, status) => {
    const [statuses] = await ask(bytes);
    expect(statuses).toEqual([status]);
  });

  test('no header makes another method of it', async () => {
    for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']) {
      const head = requestOf(
        'POST /v1/keys/key_x HTTP/1.1',
        'Host: x',
        KEY_LINE,
        `${name}: DELETE`,
        'Content-Length: 0',
      );
      expect(await ask(head)).toEqual([[405], 'method_not_allowed']);
    }
  });

  test.each([
    '/v1/messages/../../health/live',
    '/v1/./messages',
    '//v1/messages',
    '/v1//messages',
    '/v1/messages;x=1',
    '/v1/messages/',
    '/docs/static/../../package.json',
    '/%2e%2e/package.json',
    '/v1/messages%00',
    '/v1/messages%2fmsg_x',
    '\\v1\\messages',
  ])('the path %s is taken as it is written, and leads nowhere', async (path) => {
    const [[status = 0] = [], code] = await ask(requestOf(`GET ${path} HTTP/1.1`, 'Host: x', KEY_LINE));
    expect([status, code]).toEqual([expect.toBeOneOf([400, 404]), expect.stringMatching(/_/)]);
  });

  test('several requests at once over one connection are answered in order, each for its own caller', async () => {
    const send = (key: string, subject: string) => {
      const body = JSON.stringify(aBody({ subject }));
      const lines = ['POST /v1/messages HTTP/1.1', 'Host: x', `Authorization: Bearer ${key}`, JSON_LINE];
      return `${[...lines, `Content-Length: ${body.length}`].join('\r\n')}\r\n\r\n${body}`;
    };
    const keys = [KEYS.all, KEYS.other, 'pr_live_none'];
    const all = Array.from({ length: 60 }, (_, i) => send(keys[i % 3] ?? '', `Number ${i}`));
    const text = await exchange(service.port, all.join('') + requestOf('GET /health/live HTTP/1.1', 'Host: x'));
    const [statuses] = answered(text);
    expect(statuses).toEqual([...Array.from({ length: 60 }, (_, i) => (i % 3 === 2 ? 401 : 202)), 200]);
    const subjects = [...text.matchAll(/"subject":"Number (\d+)"/g)].map(([, number]) => Number(number));
    expect(subjects).toEqual(Array.from({ length: 60 }, (_, i) => i).filter((i) => i % 3 !== 2));
  });
});

test('names that every JavaScript object has are fields like any other', async () => {
  for (const name of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
    const body = `{"${name}":{"to":"eve@fabrikam.com"},${good.slice(1)}`;
    const { code, errors } = await problemOf(await service.post(body));
    expect([code, errors?.map(({ pointer }) => pointer)]).toEqual(['invalid_fields', [`/${name}`]]);
  }
  expect(({} as { to?: unknown }).to).toBeUndefined();
});

test('2,000 idle connections do not keep others from being served', async () => {
  const patient = await startHttpService();
  const sockets = Array.from({ length: 2_000 }, () => connect(patient.port, '127.0.0.1'));
  try {
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    expect((await patient.post(aBody())).status).toBe(202);
  } finally {
    for (const socket of sockets) socket.destroy();
    await patient.app.close();
  }
});

/** Files of uploads that this process holds open; they have no name any more (Linux). */
function openSpools(): number {
  const targets = readdirSync('/proc/self/fd').map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      return '';
    }
  });
  return targets.filter((target) => /postroom-upload-.* \(deleted\)$/.test(target)).length;
}

test.runIf(process.platform === 'linux')(
  'of uploads that are broken off nothing is left, neither a file nor its room on the disk',
  async () => {
    const patient = await startHttpService({ limits: { callerRequests: 1_000 } });
    const { TMPDIR: folder = '/tmp' } = process.env;
    const begun = formOf([
      messagePart(aBody()),
      { name: 'attachments', filename: 'a.bin', content: Buffer.alloc(100_000) },
    ]);
    const head = `POST /v1/messages HTTP/1.1\r\nHost: x\r\n${KEY_LINE}\r\nContent-Type: multipart/form-data; boundary=xYzZy\r\nContent-Length: 20000000\r\n\r\n`;
    const sockets = Array.from({ length: 50 }, () => {
      const socket = connect(patient.port, '127.0.0.1');
      socket.write(head);
      socket.write(begun.subarray(0, -20));
      return socket;
    });
    await until(() => openSpools() === 50);
    expect(readdirSync(folder).filter((name) => name.startsWith('postroom-upload-'))).toEqual([]);
    for (const socket of sockets) socket.destroy();
    await until(() => openSpools() === 0);
    expect((await patient.post(aBody())).status).toBe(202);
    await patient.app.close();
  },
);
