import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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

const statusOf = async (response: Response) => ((await response.json()) as MessageView).status;

test('a message is read with its ETag, and not again while it is unchanged', async () => {
  const id = await aMessage();
  const first = await service.get(`/v1/messages/${id}`);
  const etag = first.headers.get('etag') ?? '';
  // Weak, since the estimate in the answer changes without it.
  expect(etag).toBe('W/"r1"');
  expect(await statusOf(first)).toBe('queued');
  for (const seen of [etag, '"r1"', `"other", ${etag}`, `W/"a,b" ,${etag},`, '*']) {
    const again = await service.get(`/v1/messages/${id}`, { 'if-none-match': seen });
    expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag]);
  }
  service.fake.move(id, { status: 'sending' });
  expect(await statusOf(await service.get(`/v1/messages/${id}`, { 'if-none-match': etag }))).toBe('sending');
});

test.each(['"r2"', 'W/"r"', 'r1', 'W/"a, *, r1"', '"other", W/"r12"', '""', ''])(
  'a message is read anew by whoever has %s',
  async (seen) => {
    const id = await aMessage();
    expect(await statusOf(await service.get(`/v1/messages/${id}`, { 'if-none-match': seen }))).toBe('queued');
  },
);

test('a change that depends on an ETag is refused, since a weak one proves nothing; one that asks for any is made', async () => {
  const change = async (ifMatch: string) => {
    const { id } = (await (await service.post(aBody())).json()) as MessageView;
    return fetch(`${service.baseUrl}/v1/messages/${id}/expedite`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.all}`, 'if-match': ifMatch },
    });
  };
  for (const given of ['W/"r1"', '"r1"', '"x", "y"']) {
    expect(await problemOf(await change(given))).toMatchObject({ status: 412, code: 'precondition_failed' });
  }
  expect((await change('*')).status).toBe(200);
  const accepted = service.fake.submissions.length;
  expect((await service.post(aBody(), { 'if-match': '"r1"' })).status).toBe(412);
  expect(service.fake.submissions).toHaveLength(accepted);
});

test.each([
  'msg_none',
  'x'.repeat(5_000),
  '..%2f..%2fetc',
  '%00',
  'a%0d%0ab',
  '*',
  "'; DROP",
  '%F0%9F%8E%89',
  '__proto__',
])('the id %s is not found', async (id) => {
  expect(await problemOf(await service.get(`/v1/messages/${id}`))).toMatchObject({ status: 404 });
});

test('another caller’s message is not found', async () => {
  const id = await aMessage();
  const response = await service.get(`/v1/messages/${id}?wait=5`, { authorization: `Bearer ${KEYS.other}` });
  expect(await problemOf(response)).toMatchObject({ status: 404, code: 'message_not_found' });
});

describe('with ?wait=', () => {
  test('the answer comes when the status changes', async () => {
    const id = await aMessage();
    const waiting = service.get(`/v1/messages/${id}?wait=60`);
    await until(() => service.fake.listeners(id) === 1);
    service.fake.move(id, { status: 'sending' });
    expect(await statusOf(await waiting)).toBe('sending');
    expect(service.fake.listeners(id)).toBe(0);
  });

  test('a final status is answered at once', async () => {
    const id = await aMessage();
    service.fake.move(id, { status: 'sent' });
    expect(await statusOf(await service.get(`/v1/messages/${id}?wait=60`))).toBe('sent');
    const seen = await service.get(`/v1/messages/${id}?wait=60`, { 'if-none-match': '"r2"' });
    expect(seen.status).toBe(304);
  });

  test('what the caller has not seen yet is answered at once', async () => {
    const id = await aMessage();
    service.fake.move(id, { status: 'deferred' });
    expect(await statusOf(await service.get(`/v1/messages/${id}?wait=60`, { 'if-none-match': '"r1"' }))).toBe(
      'deferred',
    );
  });

  test('when nothing changes, the time is over at last', async () => {
    const id = await aMessage();
    expect(await statusOf(await service.get(`/v1/messages/${id}?wait=0.05`))).toBe('queued');
    expect((await service.get(`/v1/messages/${id}?wait=0.05`, { 'if-none-match': '"r1"' })).status).toBe(304);
  });

  test('a change that is none to the caller does not end the waiting', async () => {
    await using other = await startHttpService();
    const id = await aMessage(other);
    const { changed } = other.fake.api;
    let rounds = 0;
    other.fake.api.changed = async (...given) => (++rounds < 4 ? true : changed(...given));
    const waiting = other.get(`/v1/messages/${id}?wait=60`);
    await until(() => rounds === 4);
    other.fake.move(id, { status: 'sent' });
    expect(await statusOf(await waiting)).toBe('sent');
  });

  test('a change between the look and the listening is not missed', async () => {
    await using other = await startHttpService();
    const id = await aMessage(other);
    const { read } = other.fake.api;
    other.fake.api.read = async (...given) => {
      const before = await read(...given);
      if (other.fake.calls.read === 1) other.fake.move(id, { status: 'sent' });
      return before;
    };
    expect(await statusOf(await other.get(`/v1/messages/${id}?wait=60`))).toBe('sent');
  });

  test('a reader who goes away is forgotten', async () => {
    const id = await aMessage();
    const leaving = new AbortController();
    const headers = { authorization: `Bearer ${KEYS.all}` };
    const gone = fetch(`${service.baseUrl}/v1/messages/${id}?wait=60`, { headers, signal: leaving.signal }).catch(
      () => 'gone',
    );
    await until(() => service.fake.listeners(id) === 1);
    leaving.abort();
    expect(await gone).toBe('gone');
    await until(() => service.fake.listeners(id) === 0);
  });

  test('when the server closes, readers get what there is', async () => {
    const closing = await startHttpService();
    const id = await aMessage(closing);
    const waiting = closing.get(`/v1/messages/${id}?wait=60`);
    await until(() => closing.fake.listeners(id) === 1);
    await closing.app.close();
    expect(await statusOf(await waiting)).toBe('queued');
  });

  test('1,000 readers wait without asking again, and all are told', async () => {
    const id = await aMessage();
    const before = service.fake.calls.read;
    const waiting = Array.from({ length: 1_000 }, () => service.get(`/v1/messages/${id}?wait=60`).then(statusOf));
    await until(() => service.fake.listeners(id) === 1_000, 20_000);
    expect(service.fake.calls.read - before).toBe(1_000);
    service.fake.move(id, { status: 'sent' });
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['sent']));
    expect(service.fake.calls.read - before).toBe(2_000);
  });

  test.each(['wait=60', 'respond-async, Wait = "60"; x=1', 'wait=600, wait=0'])(
    'a reader may as well prefer it: %s',
    async (prefer) => {
      const id = await aMessage();
      const waiting = service.get(`/v1/messages/${id}`, { prefer });
      await until(() => service.fake.listeners(id) === 1);
      service.fake.move(id, { status: 'sent' });
      const response = await waiting;
      expect([response.headers.get('preference-applied'), await statusOf(response)]).toEqual(['wait=60', 'sent']);
    },
  );

  test.each(['wait', 'wait=soon', 'wait=-1', 'wait=1.5', 'await=60', 'x="wait=60"', 'wait=60x', 'handling=strict'])(
    'a preference that makes no sense is none: %s',
    async (prefer) => {
      const response = await service.get(`/v1/messages/${await aMessage()}`, { prefer });
      expect([response.headers.get('preference-applied'), await statusOf(response)]).toEqual([null, 'queued']);
    },
  );

  test('a preference does not count beside it', async () => {
    const response = await service.get(`/v1/messages/${await aMessage()}?wait=0`, { prefer: 'wait=60' });
    expect([response.headers.get('preference-applied'), await statusOf(response)]).toEqual([null, 'queued']);
  });

  test.each(['', '%20', '61', '-1', 'soon', '1;2', '1&wait=2', '1e9', 'NaN'])(
    'wait=%s is refused by its name',
    async (wait) => {
      const id = await aMessage();
      const problem = await problemOf(await service.get(`/v1/messages/${id}?wait=${wait}`));
      expect(problem).toMatchObject({ status: 400, code: 'invalid_parameter', errors: [{ parameter: 'wait' }] });
    },
  );

  test('an unknown parameter is refused by its name', async () => {
    const problem = await problemOf(await service.get(`/v1/messages/msg_1?wiat=30`));
    expect(problem).toMatchObject({ status: 400, code: 'invalid_parameter', errors: [{ parameter: 'wiat' }] });
  });
});
