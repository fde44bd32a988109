import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MessageView } from '../../src/gateway/view.ts';
import { messageFields } from '../../src/http/schemas/send-message.ts';
import { KEYS } from '../support/fake-api.ts';
import { FORM, formOf, messagePart } from '../support/form.ts';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService();
});
afterAll(() => service.app.close());

const ask = (method: string, path: string, body: unknown, key: string = KEYS.all) =>
  fetch(`${service.baseUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

/** What a serializer writes that knows all fields and leaves none out. */
const allNull = Object.fromEntries([...Object.keys(messageFields.shape), 'raw'].map((name) => [name, null]));

/** What was accepted of a body, and of the same without its nulls. */
async function accepted(body: unknown) {
  const response = await service.post(body);
  expect(response.status, await response.clone().text()).toBe(202);
  return service.fake.submissions.at(-1);
}

describe('a field that is null', () => {
  test('is as good as absent, at every depth of the body', async () => {
    const attachment = { filename: 'a.txt', content: 'YQ==' };
    const plain = aBody({ to: [{ address: 'ada@fabrikam.com' }], attachments: [attachment] });
    const nulls = {
      ...allNull,
      ...plain,
      to: [{ address: 'ada@fabrikam.com', name: null }],
      attachments: [{ ...attachment, contentType: null, contentId: null, disposition: null }],
    };
    expect(await accepted(nulls)).toEqual(await accepted(plain));
  });

  test('is as good as absent beside a whole message', async () => {
    const content = Buffer.from('From: <billing@contoso.com>\r\nTo: <ada@fabrikam.com>\r\n\r\nHello.\r\n').toString(
      'base64',
    );
    expect((await accepted({ ...allNull, raw: { content, envelope: null } }))?.raw).toBeDefined();
    expect(await accepted({ raw: { content, envelope: { from: null, to: 'eve@fabrikam.com' } } })).toMatchObject({
      envelope: { to: [{ address: 'eve@fabrikam.com' }] },
    });
  });

  test('is as good as absent in a batch, where the shared field then stands', async () => {
    const { to, ...shared } = aBody();
    const { raw: _, ...fields } = allNull;
    const messages = [{ ...allNull, to, idempotencyKey: null }];
    const response = await ask('POST', '/v1/messages/batch', { shared: { ...fields, ...shared }, messages });
    expect(await response.json()).toMatchObject({ results: [{ status: 'accepted', message: { subject: 'Hello' } }] });
    const without = await ask('POST', '/v1/messages/batch', { messages: [aBody()], shared: null });
    expect(await without.json()).toMatchObject({ results: [{ status: 'accepted' }] });
  });

  test('is as good as absent in a form, in a dry run and in a filter', async () => {
    const body = { ...allNull, ...aBody() };
    const form = formOf([messagePart(body)]);
    expect((await service.post(form, { 'content-type': FORM })).status).toBe(202);
    expect((await ask('POST', '/v1/messages/validate', body)).status).toBe(200);
    const filter = { status: null, tag: null, test: null, limit: null, after: null, createdAfter: null };
    expect((await ask('POST', '/v1/messages/retry', filter)).status).toBe(200);
    expect(service.fake.retries.at(-1)).toEqual({ status: ['failed'], limit: 100 });
  });

  test('makes no other message: a repetition without it is a repetition', async () => {
    const headers = { 'idempotency-key': 'with-and-without' };
    const first = await service.post(aBody({ html: null }), headers);
    const again = await service.post(aBody(), headers);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(((await again.json()) as MessageView).id).toBe(((await first.json()) as MessageView).id);
  });

  test.each<[string, Record<string, unknown>, string[]]>([
    ['that is required', { from: null }, ['/from']],
    [
      'that is required, of one that is not',
      { attachments: [{ filename: 'a', content: null }] },
      ['/attachments/0/content'],
    ],
    ['that does not exist', { subjekt: null }, ['/subjekt']],
    ['in a list', { to: ['ada@fabrikam.com', null], tags: [null] }, ['/to/1', '/tags/0']],
    [
      'of a name of yours',
      { metadata: { order: null }, headers: { 'X-Order': null } },
      ['/headers/X-Order', '/metadata/order'],
    ],
    ['all of them', { ...allNull }, ['/from', '/subject', '/to', '/text']],
  ])('is complained about by name: one %s', async (_which, change, pointers) => {
    const { code, errors } = await problemOf(await service.post(aBody(change)));
    expect([code, errors?.map(({ pointer }) => pointer)]).toEqual(['invalid_fields', pointers]);
  });

  test('keeps the meaning that it has', async () => {
    const response = await service.post(aBody({ sendAt: new Date(Date.now() + 3_600_000).toISOString() }));
    const { id } = (await response.json()) as MessageView;
    service.fake.move(id, { status: 'scheduled' });
    const changed = await ask('PATCH', `/v1/messages/${id}`, { sendAt: null });
    expect(await changed.json()).toMatchObject({ status: 'queued' });
    let change: unknown;
    service.fake.api.keys.change = async (_id, given) => {
      change = given;
      return { kind: 'unknown' };
    };
    await ask(
      'PATCH',
      '/v1/keys/key_x',
      { name: null, from: null, rate: { perMinute: 6, burst: null } },
      KEYS.operator,
    );
    expect(change).toEqual({ from: null, rate: { perMinute: 6, burst: 1 } });
  });
});

test('a body that is nothing but null is no message', async () => {
  expect(await problemOf(await service.post(null))).toMatchObject({
    code: 'invalid_fields',
    errors: [{ pointer: '' }],
  });
});
