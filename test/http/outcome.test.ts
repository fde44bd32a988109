import { describe, expect, test } from 'vitest';
import { StoreUnavailable } from '../../src/gateway/api.ts';
import type { MessageView } from '../../src/gateway/view.ts';
import type { HttpLimits } from '../../src/http/server.ts';
import { KEYS } from '../support/fake-api.ts';
import { FORM, formOf, messagePart } from '../support/form.ts';
import { aBody, problemOf, startHttpService } from '../support/http-service.ts';
import { eventually } from '../support/postroom.ts';

async function startService(limits: Partial<HttpLimits> = {}) {
  const service = await startHttpService({ limits });
  const send = async (query: string, body: unknown = aBody(), headers: Record<string, string> = {}) => {
    const response = await fetch(`${service.baseUrl}/v1/messages${query}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.all}`, 'content-type': 'application/json', ...headers },
      body: Buffer.isBuffer(body) ? (body as never) : JSON.stringify(body),
    });
    return response;
  };
  /** Once it is waited for. */
  const listenedTo = (id: string, readers = 1) => eventually(() => service.fake.listeners(id) === readers);
  return { ...service, send, listenedTo };
}

const read = async (response: Response) => (await response.json()) as MessageView;

describe('a message that is submitted with ?wait=', () => {
  test('is answered with its outcome, not with every move on the way to it', async () => {
    await using service = await startService();
    const answer = service.send('?wait=60');
    await service.listenedTo('msg_1');
    service.fake.move('msg_1', { status: 'sending' });
    await eventually(() => service.fake.calls.read >= 2);
    await service.listenedTo('msg_1');
    service.fake.move('msg_1', { status: 'sent' });
    const response = await answer;
    expect([response.status, response.headers.get('location')]).toEqual([202, '/v1/messages/msg_1']);
    expect(response.headers.get('retry-after')).toBeNull();
    expect(await read(response)).toMatchObject({ id: 'msg_1', status: 'sent' });
    expect(service.fake.listeners('msg_1')).toBe(0);
  });

  test('is told why it waits, as soon as it does', async () => {
    await using service = await startService();
    const answer = service.send('?wait=60');
    await service.listenedTo('msg_1');
    service.fake.move('msg_1', { status: 'held' });
    const response = await answer;
    expect([response.headers.get('retry-after'), (await read(response)).status]).toEqual(['1', 'held']);
  });

  test('is answered as it stands when the time is over', async () => {
    await using service = await startService();
    const response = await service.send('?wait=0.05');
    expect([response.status, (await read(response)).status]).toEqual([202, 'queued']);
  });

  test('is waited for where it comes as a form, and where it was accepted before', async () => {
    await using service = await startService();
    const key = { 'idempotency-key': 'once' };
    const form = formOf([messagePart(aBody())]);
    const first = service.send('?wait=60', form, { 'content-type': FORM, ...key });
    await service.listenedTo('msg_1');
    const again = service.send('?wait=60', form, { 'content-type': FORM, ...key });
    await service.listenedTo('msg_1', 2);
    service.fake.move('msg_1', { status: 'sent' });
    for (const response of [await first, await again])
      expect(await read(response)).toMatchObject({ id: 'msg_1', status: 'sent' });
    expect((await again).headers.get('idempotent-replayed')).toBe('true');
    expect(service.fake.submissions).toHaveLength(1);
  });

  test('is accepted all the same when the store is gone meanwhile', async () => {
    await using service = await startService();
    const { read: reading } = service.fake.api;
    let away = false;
    service.fake.api.read = async (...asked) => {
      if (away) throw new StoreUnavailable('away');
      return reading(...asked);
    };
    const answer = service.send('?wait=60');
    await service.listenedTo('msg_1');
    away = true;
    service.fake.move('msg_1', { status: 'sending' });
    const response = await answer;
    expect([response.status, (await read(response)).id]).toEqual([202, 'msg_1']);
  });

  test('takes no place among the requests in work meanwhile, and is not waited for where too many wait', async () => {
    await using service = await startService({ callerRequests: 1, callerWaiting: 1 });
    const waiting = service.send('?wait=60');
    await service.listenedTo('msg_1');
    const at = await read(await service.send('?wait=60'));
    expect(at).toMatchObject({ id: 'msg_2', status: 'queued' });
    service.fake.move('msg_1', { status: 'failed' });
    expect((await read(await waiting)).status).toBe('failed');
  });

  test('holds no room for its body meanwhile', async () => {
    await using service = await startService({ bodyMemoryBytes: 6_000_000, bodyWaitMilliseconds: 100 });
    const large = aBody({ text: 'x'.repeat(1_000_000) });
    const waiting = service.send('?wait=60', large);
    await service.listenedTo('msg_1');
    expect((await service.send('', large)).status).toBe(202);
    service.fake.move('msg_1', { status: 'sent' });
    expect((await waiting).status).toBe(202);
  });

  test('may as well be submitted with Prefer: wait', async () => {
    await using service = await startService();
    const answer = service.send('', aBody(), { prefer: 'wait=30' });
    await service.listenedTo('msg_1');
    service.fake.move('msg_1', { status: 'sent' });
    const response = await answer;
    expect([response.status, response.headers.get('preference-applied')]).toEqual([202, 'wait=30']);
    expect((await read(response)).status).toBe('sent');
    const other = await service.send('?wait=0', aBody(), { prefer: 'wait=30' });
    expect([(await read(other)).status, other.headers.get('preference-applied')]).toEqual(['queued', null]);
  });

  test('is answered when the process stops', async () => {
    const service = await startService();
    const answer = service.send('?wait=60');
    await service.listenedTo('msg_1');
    await service.app.close();
    expect((await read(await answer)).status).toBe('queued');
  });
});

test.each([
  ['?wait=soon', 'wait', 'This must be a number of seconds from 0 to 60.'],
  ['?wait=61', 'wait', 'This must be a number of seconds from 0 to 60.'],
  ['?dryRun=true', 'dryRun', expect.stringContaining('There is no parameter "dryRun"')],
])('a message that is submitted with %s is not accepted', async (query, parameter, message) => {
  await using service = await startService();
  for (const [body, headers] of [
    [aBody(), {}],
    [formOf([messagePart(aBody())]), { 'content-type': FORM }],
  ] as const) {
    const problem = await problemOf(await service.send(query, body, headers));
    expect(problem).toMatchObject({ status: 400, code: 'invalid_parameter', errors: [{ parameter, message }] });
  }
  expect(service.fake.submissions).toEqual([]);
});
