import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KEYS } from '../support/fake-api.ts';
import { FORM, formOf, messagePart, type Part } from '../support/form.ts';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService({ limits: { messageBytes: 1_000_000 } });
});
afterAll(() => service[Symbol.asyncDispose]());

const file = (change: Partial<Part> = {}): Part => ({
  name: 'attachments',
  filename: 'report.pdf',
  contentType: 'application/pdf',
  content: 'PDF',
  ...change,
});
const post = (parts: readonly Part[], headers: Record<string, string> = {}) =>
  service.post(formOf(parts), { 'content-type': FORM, ...headers });

describe('a message with files as parts of a form', () => {
  it('is accepted as the same in JSON would be', async () => {
    const html = '<img src="cid:logo@a">';
    const image = file({ name: 'inline:logo@a', filename: 'logo.png', contentType: 'image/png' });
    const response = await post([messagePart(aBody({ html })), file(), image]);
    expect(response.status).toBe(202);
    const { attachments, text } = service.fake.submissions.at(-1) ?? {};
    expect(text).toBe('Hello.');
    expect(attachments).toMatchObject([
      { filename: 'report.pdf', contentType: 'application/pdf', disposition: 'attachment' },
      { filename: 'logo.png', contentType: 'image/png', disposition: 'inline', contentId: 'logo@a' },
    ]);
  });

  it('takes the form that fetch makes of FormData', async () => {
    const form = new FormData();
    form.append('message', new Blob([JSON.stringify(aBody())], { type: 'application/json' }));
    form.append('attachments', new Blob(['a,b\n'], { type: 'text/csv' }), 'Zahlen für Ada.csv');
    const response = await fetch(`${service.baseUrl}/v1/messages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.all}` },
      body: form,
    });
    expect(response.status).toBe(202);
    expect(service.fake.submissions.at(-1)?.attachments).toMatchObject([
      { filename: 'Zahlen für Ada.csv', contentType: 'text/csv' },
    ]);
  });

  it('adds the files to the attachments that the JSON has', async () => {
    const attachments = [{ filename: 'a.txt', content: 'YQ==' }];
    expect((await post([messagePart(aBody({ attachments })), file()])).status).toBe(202);
    const names = service.fake.submissions.at(-1)?.attachments.map(({ filename, spooled }) => [filename, !!spooled]);
    expect(names).toEqual([
      ['a.txt', false],
      ['report.pdf', true],
    ]);
  });

  it.each([0, 1, 56, 57, 58, 114, 65_536, 300_001])('carries a file of %i octets unchanged', async (octets) => {
    const content = randomBytes(octets);
    await using large = await startHttpService({
      api: {
        ...service.fake.api,
        accept: async (caller, submission, idempotency) => {
          const spooled = submission.attachments[0]?.spooled;
          const base64 = Buffer.alloc(spooled?.octets ?? 0);
          await spooled?.copyTo(base64, 0);
          const lines = base64.toString('latin1').split('\r\n');
          expect(lines.slice(0, -1).every(({ length }) => length === 76)).toBe(true);
          expect(Buffer.from(lines.join(''), 'base64').equals(content)).toBe(true);
          return service.fake.api.accept(caller, submission, idempotency);
        },
      },
    });
    const body = formOf([messagePart(aBody()), file({ content })]);
    expect((await large.post(body, { 'content-type': FORM })).status).toBe(202);
  });

  it('is one message under one Idempotency-Key, and another with another file', async () => {
    const key = { 'idempotency-key': 'upload-1' };
    const first = await post([messagePart(aBody()), file()], key);
    const again = await post([messagePart(aBody()), file()], key);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await again.json()).toEqual(await first.json());
    const other = await post([messagePart(aBody()), file({ content: 'other' })], key);
    expect((await problemOf(other)).code).toBe('idempotency_key_reused');
  });

  it('may be followed by anything after its last boundary', async () => {
    const body = Buffer.concat([formOf([messagePart(aBody())]), formOf([file({ name: 'evil' })])]);
    expect((await service.post(body, { 'content-type': FORM })).status).toBe(202);
    expect(service.fake.submissions.at(-1)?.attachments).toEqual([]);
  });
});

describe('a wrong form', () => {
  const message = messagePart(aBody());
  it.each([
    ['files before the message', [file(), message], 'first part must be named message'],
    ['two messages', [message, message], 'only have parts named attachments'],
    ['a part of another name', [message, file({ name: 'files' })], 'only have parts named attachments'],
    ['a part named like a property of every object', [message, file({ name: '__proto__' })], 'only have parts named'],
    ['a message that is a list', [{ ...message, content: '[]' }], 'must be an object'],
    ['no parts', [], 'message'],
    ['101 files', [message, ...Array.from({ length: 101 }, () => file())], 'more than 100 files'],
    [
      'a part in base64',
      [message, file({ headers: ['Content-Transfer-Encoding: base64'] })],
      'Content-Transfer-Encoding',
    ],
  ] as [string, Part[], string][])('is refused: %s', async (_, parts, words) => {
    const response = await post(parts);
    const problem = await problemOf(response);
    expect(problem).toMatchObject({ status: 400, code: 'invalid_multipart' });
    expect(problem.detail).toContain(words);
  });

  it.each([
    ['a message in MIME as its only part', [file({ name: 'raw' })], '{"raw": {"content": "<base64>"}}'],
    ['a message in MIME beside the JSON', [message, file({ name: 'raw' })], '{"raw": {"content": "<base64>"}}'],
    ['a part for each field', [file({ name: 'from' })], `not "from"; as with curl's -F 'message={"from": …}`],
    ['a file under another name', [message, file({ name: 'attachment' })], '"attachment"; files go as attachments'],
  ] as [string, Part[], string][])('says what to do instead of %s', async (_, parts, words) => {
    expect((await problemOf(await post(parts))).detail).toContain(words);
  });

  it.each([
    ['no boundary', 'multipart/form-data', formOf([message])],
    ['another boundary', 'multipart/form-data; boundary=other', formOf([message])],
    ['an end within a file', FORM, formOf([message, file()]).subarray(0, -12)],
    ['an end within a header', FORM, formOf([message, file()]).subarray(0, 60)],
    ['an empty body', FORM, Buffer.alloc(0)],
  ])('is refused: %s', async (_, type, body) => {
    const response = await service.post(body, { 'content-type': type });
    expect(await problemOf(response)).toMatchObject({ status: 400, code: 'invalid_multipart' });
  });

  it.each([
    ['a name with a folder', file({ filename: '../../etc/passwd' }), 'filename'],
    ['no name', { name: 'attachments', content: 'x', contentType: 'text/plain' }, 'filename'],
    ['a type of many parts', file({ contentType: 'multipart/mixed' }), 'contentType'],
    ['a type with a line break', file({ contentType: 'text/plain\tx' }), 'contentType'],
    ['a content id with a bracket', file({ name: 'inline:a>b' }), 'contentId'],
    ['an empty content id', file({ name: 'inline:' }), 'contentId'],
  ] as [string, Part, string][])('names the attachment that is wrong: %s', async (_, part, field) => {
    const problem = await problemOf(await post([messagePart(aBody()), file(), part]));
    expect(problem).toMatchObject({ status: 422, code: 'invalid_fields' });
    expect(problem.errors?.map(({ pointer }) => pointer)).toContain(`/attachments/1/${field}`);
  });

  it.each([
    `form-data; name="attachments"; filename*=utf-8''a%0D%0ABcc:x`,
    `form-data; name*=utf-8''a%0D%0Ab; filename="a.txt"`,
    'form-data; filename="a.txt"',
    'attachment; filename="a.txt"',
    'x',
  ])('loses no part whose name it cannot use: %s', async (disposition) => {
    const problem = await problemOf(await post([messagePart(aBody()), file({ disposition }), file()]));
    expect(problem).toMatchObject({ status: 400, code: 'invalid_multipart' });
  });

  it('names two files with one content id', async () => {
    const image = file({ name: 'inline:a' });
    const problem = await problemOf(await post([messagePart(aBody({ html: 'x' })), image, image]));
    expect(problem.errors).toMatchObject([{ pointer: '/attachments/1/contentId' }]);
  });

  it('is told what is wrong in its message as in JSON', async () => {
    const wrong = await problemOf(await post([messagePart(aBody({ to: 'x', subjekt: 'a' })), file()]));
    expect(wrong.errors?.map(({ pointer }) => pointer)).toEqual(expect.arrayContaining(['/to', '/subjekt']));
    const broken = await problemOf(await post([{ ...message, content: '{"from":' }]));
    expect(broken.code).toBe('invalid_json');
    const deep = await problemOf(await post([{ ...message, content: '['.repeat(100_000) }]));
    expect(deep.code).toBe('body_too_complex');
  });

  it('is refused for another route', async () => {
    const response = await fetch(`${service.baseUrl}/v1/messages/batch`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.all}`, 'content-type': FORM },
      body: formOf([message]) as never,
    });
    expect(await problemOf(response)).toMatchObject({ status: 415, code: 'unsupported_media_type' });
  });
});

describe('an upload that is too much', () => {
  it('is refused by its declared length before it is read', async () => {
    const parts = [messagePart(aBody()), file({ content: Buffer.alloc(3_000_000) })];
    expect(await problemOf(await post(parts))).toMatchObject({ status: 413, code: 'message_too_large' });
  });

  it('is refused while it is read if it declares none', async () => {
    const start = formOf([messagePart(aBody()), file()]).subarray(0, -14);
    const socket = connect(service.port, '127.0.0.1');
    socket.write(head(['Transfer-Encoding: chunked']));
    socket.write(chunked(start));
    let answer = '';
    socket.on('data', (octets) => (answer += String(octets)));
    socket.on('error', () => undefined);
    for (let sent = 0; sent < 200 && answer === ''; sent++) {
      if (!socket.write(chunked(Buffer.alloc(65_536))))
        await Promise.race([once(socket, 'drain'), once(socket, 'data')]);
    }
    while (answer === '') await once(socket, 'data');
    expect(answer).toContain('HTTP/1.1 413');
    expect(answer).toContain('"code":"message_too_large"');
    socket.destroy();
  });

  it('is refused if the part message itself is large', async () => {
    const large = messagePart(aBody({ text: 'x'.repeat(1_100_000) }));
    expect(await problemOf(await post([large]))).toMatchObject({ status: 413, code: 'body_too_large' });
  });

  it('is closed in bounded time if it comes too slowly', async () => {
    await using slow = await startHttpService({ limits: { requestMilliseconds: 300, checkMilliseconds: 50 } });
    const socket = connect(slow.port, '127.0.0.1');
    socket.write(head(['Content-Length: 100000']));
    socket.write(formOf([messagePart(aBody()), file()]).subarray(0, -12));
    let answer = '';
    socket.on('data', (octets) => (answer += String(octets)));
    await once(socket, 'close');
    expect(answer).toContain('HTTP/1.1 408');
    expect(slow.fake.submissions).toEqual([]);
  });
});

function head(headers: string[]): string {
  const lines = ['POST /v1/messages HTTP/1.1', 'Host: a', `Authorization: Bearer ${KEYS.all}`, `Content-Type: ${FORM}`];
  return `${[...lines, ...headers].join('\r\n')}\r\n\r\n`;
}

function chunked(octets: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${octets.length.toString(16)}\r\n`), octets, Buffer.from('\r\n')]);
}
