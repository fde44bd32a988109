import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StoreUnavailable } from '../../src/gateway/api.ts';
import type { MessageView } from '../../src/gateway/view.ts';
import { KEYS } from '../support/fake-api.ts';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';
import { until } from '../support/raw-http.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService();
});
afterAll(() => service.app.close());

async function aMessage(on = service): Promise<string> {
  return ((await (await on.post(aBody())).json()) as MessageView).id;
}

const follow = (id: string, on = service, headers: Record<string, string> = {}) =>
  on.get(`/v1/messages/${id}/events`, { accept: 'text/event-stream', ...headers });

/** The statuses a stream tells, with their ids. */
const told = (text: string) =>
  [...text.matchAll(/id: (\d+)\nevent: status\ndata: (.*)\n\n/g)].map(([, id, data]) => [
    Number(id),
    (JSON.parse(data ?? '') as { status: string }).status,
  ]);

test.each([
  ['text/event-stream', true],
  ['application/json, Text/Event-Stream;q=0.5', true],
  ['text/event-stream;q=0', false],
  ['text/event-stream; q=0.0, application/json', false],
  ['*/*', false],
])('to a reader who accepts %s it is a stream: %s', async (accept, isStream) => {
  const id = await aMessage();
  service.fake.move(id, { status: 'sent' });
  const response = await service.get(`/v1/messages/${id}/events`, { accept });
  expect(response.headers.get('content-type')?.startsWith('text/event-stream')).toBe(isStream);
  await response.text();
});

test('the timeline is read oldest first', async () => {
  const id = await aMessage();
  service.fake.move(id, { status: 'sending' });
  service.fake.move(id, { status: 'sent' });
  const answer = await service.get(`/v1/messages/${id}/events`);
  const { events } = (await answer.json()) as { events: object[] };
  expect(events).toMatchObject([
    { number: 1, status: 'queued' },
    { number: 2, status: 'sending' },
    { number: 3, status: 'sent' },
  ]);
});

test.each([{}, { accept: 'text/event-stream' }])('another caller’s timeline is not found (%o)', async (accept) => {
  const id = await aMessage();
  const headers = { authorization: `Bearer ${KEYS.other}`, ...accept };
  const response = await service.get(`/v1/messages/${id}/events`, headers);
  expect(await problemOf(response)).toMatchObject({ status: 404, code: 'message_not_found' });
});

describe('a stream', () => {
  test('tells each move as it happens, and ends after a final one', async () => {
    const id = await aMessage();
    const stream = await follow(id);
    expect(stream.headers.get('content-type')).toBe('text/event-stream');
    await until(() => service.fake.listeners(id) === 1);
    service.fake.move(id, { status: 'sending' });
    service.fake.move(id, { status: 'sent' });
    expect(told(await stream.text())).toEqual([
      [1, 'queued'],
      [2, 'sending'],
      [3, 'sent'],
    ]);
    await until(() => service.fake.listeners(id) === 0);
  });

  test('goes on after the event that the reader has', async () => {
    const id = await aMessage();
    service.fake.move(id, { status: 'sending' });
    service.fake.move(id, { status: 'sent' });
    const stream = await follow(id, service, { 'last-event-id': '2' });
    expect(told(await stream.text())).toEqual([[3, 'sent']]);
  });

  test('with nothing left to tell is 204, so that an EventSource does not come back', async () => {
    const id = await aMessage();
    service.fake.move(id, { status: 'sent' });
    expect((await follow(id, service, { 'last-event-id': '2' })).status).toBe(204);
  });

  test.each(['none', '-1', '1e3', '3', '9'.repeat(14), '9'.repeat(40)])(
    'begins at the beginning after the unknown event %s',
    async (last) => {
      const id = await aMessage();
      service.fake.move(id, { status: 'sent' });
      const stream = await follow(id, service, { 'last-event-id': last });
      expect(told(await stream.text())).toHaveLength(2);
    },
  );

  test('shows that it lives while nothing happens, without looking again', async () => {
    await using quick = await startHttpService({ limits: { heartbeatMilliseconds: 10 } });
    const id = await aMessage(quick);
    const stream = await follow(id, quick);
    await until(() => quick.fake.calls.changed > 5);
    expect(quick.fake.calls.timeline).toBe(2);
    quick.fake.move(id, { status: 'sent' });
    expect(await stream.text()).toContain(': still here\n\n');
  });

  test('misses nothing that happens between the look and the listening', async () => {
    await using other = await startHttpService();
    const id = await aMessage(other);
    const { timeline } = other.fake.api;
    other.fake.api.timeline = async (...given) => {
      const before = await timeline(...given);
      if (other.fake.calls.timeline === 2) other.fake.move(id, { status: 'sent' });
      return before;
    };
    expect(told(await (await follow(id, other)).text())).toEqual([
      [1, 'queued'],
      [2, 'sent'],
    ]);
  });

  test('says at its beginning when to come back, not all readers at the same moment', async () => {
    const id = await aMessage();
    service.fake.move(id, { status: 'sent' });
    const texts = await Promise.all(Array.from({ length: 20 }, async () => (await follow(id)).text()));
    const times = texts.map((text) => Number(/^: open\nretry: (\d+)\n\n/.exec(text)?.[1]));
    for (const time of times) expect([time, time >= 1_000 && time <= 3_000]).toEqual([time, true]);
    expect(new Set(times).size).toBeGreaterThan(1);
  });

  test('ends when its time is over', async () => {
    await using short = await startHttpService({ limits: { streamMilliseconds: 20 } });
    const id = await aMessage(short);
    expect(told(await (await follow(id, short)).text())).toEqual([[1, 'queued']]);
  });

  test('ends when the store is away, so that its reader comes back', async () => {
    await using other = await startHttpService();
    const id = await aMessage(other);
    const stream = await follow(id, other);
    await until(() => other.fake.listeners(id) === 1);
    other.fake.api.timeline = async () => {
      throw new StoreUnavailable('away');
    };
    other.fake.move(id, { status: 'sent' });
    expect(told(await stream.text())).toEqual([[1, 'queued']]);
  });

  test('of a reader who goes away is forgotten', async () => {
    const id = await aMessage();
    const leaving = new AbortController();
    const headers = { authorization: `Bearer ${KEYS.all}`, accept: 'text/event-stream' };
    await fetch(`${service.baseUrl}/v1/messages/${id}/events`, { headers, signal: leaving.signal });
    await until(() => service.fake.listeners(id) === 1);
    leaving.abort();
    await until(() => service.fake.listeners(id) === 0);
  });

  test('ends when the server closes', async () => {
    const closing = await startHttpService();
    const id = await aMessage(closing);
    const stream = await follow(id, closing);
    await until(() => closing.fake.listeners(id) === 1);
    await closing.app.close();
    expect(told(await stream.text())).toEqual([[1, 'queued']]);
  });

  test('serves 1,000 readers who look only when something happens', async () => {
    const id = await aMessage();
    const before = service.fake.calls.timeline;
    const streams = await Promise.all(Array.from({ length: 1_000 }, () => follow(id)));
    await until(() => service.fake.listeners(id) === 1_000, 20_000);
    service.fake.move(id, { status: 'sent' });
    for (const stream of streams) expect(told(await stream.text())).toHaveLength(2);
    expect(service.fake.calls.timeline - before).toBe(3_000);
  });
});

test('a stream that ends a little after the server began to close does not hold it up by its connection', async () => {
  const { api } = service.fake;
  const changed: typeof api.changed = async (...asked) => {
    const answer = await api.changed(...asked);
    await new Promise((resolve) => setTimeout(resolve, 20));
    return answer;
  };
  const closing = await startHttpService({ api: { ...api, changed } });
  const stream = await follow(await aMessage(), closing);
  await Promise.all([closing.app.close(), stream.text()]);
});
