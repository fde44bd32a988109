import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Api } from '../../src/gateway/api.ts';
import type { Examination } from '../../src/gateway/examination.ts';
import { examination } from '../../src/http/schemas/examination.ts';
import { KEYS } from '../support/fake-api.ts';
import { type HttpService, problemOf, startHttpService } from '../support/http-service.ts';
import { eventually } from '../support/postroom.ts';

const FOUND: Examination = {
  mailbox: 'main',
  healthy: false,
  steps: [{ id: 'dns', title: 'DNS', status: 'fail', finding: 'None.', remedy: 'Look.', milliseconds: 3 }],
};

let service: HttpService;
let asked: Parameters<Api['verify']>[] = [];
beforeAll(async () => {
  service = await startHttpService();
  answerWith(async () => ({ kind: 'examined', examination: FOUND }));
});
afterAll(() => service.app.close());
afterEach(() => {
  asked = [];
  answerWith(async () => ({ kind: 'examined', examination: FOUND }));
});

function answerWith(answer: Api['verify']): void {
  service.fake.api.verify = (...question) => {
    asked.push(question);
    return answer(...question);
  };
}

function verify(body?: unknown, options: { key?: string; signal?: AbortSignal } = {}): Promise<Response> {
  const { key = KEYS.operator, signal } = options;
  return fetch(`${service.baseUrl}/v1/mailboxes/main/verify`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  });
}

test('an operator is told every step, also without a body', async () => {
  for (const body of [undefined, {}, { send: false }]) {
    const response = await verify(body);
    expect(response.status).toBe(200);
    expect(examination.parse(await response.json())).toEqual(FOUND);
  }
  expect(asked.map(([id, { send }]) => [id, send])).toEqual([
    ['main', false],
    ['main', false],
    ['main', false],
  ]);
});

test('a real message is sent only where that is asked for', async () => {
  await verify({ send: true });
  expect(asked[0]?.[1].send).toBe(true);
});

test('nobody else may', async () => {
  for (const key of [KEYS.all, KEYS.sendOnly, KEYS.readOnly])
    expect(await problemOf(await verify({}, { key }))).toMatchObject({ status: 403, code: 'insufficient_scope' });
  expect(asked).toEqual([]);
});

test('there is no such mailbox', async () => {
  answerWith(async () => undefined);
  expect(await problemOf(await verify())).toMatchObject({ status: 404, code: 'mailbox_not_found' });
});

test('a second examination of the same mailbox has to wait', async () => {
  answerWith(async () => ({ kind: 'busy' }));
  const response = await verify();
  expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
  expect(await problemOf(response)).toMatchObject({ status: 409, code: 'examination_running' });
});

test.each([
  [{ send: 'yes' }, '/send'],
  [{ sned: true }, '/sned'],
])('refuses %j by field', async (body, pointer) => {
  const problem = await problemOf(await verify(body));
  expect(problem).toMatchObject({ status: 422, code: 'invalid_fields' });
  expect(problem.errors?.[0]?.pointer).toBe(pointer);
});

test('a caller that goes away ends the examination', async () => {
  let ended = false;
  answerWith(async (_id, { signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    ended = true;
    return { kind: 'examined', examination: FOUND };
  });
  const leaving = new AbortController();
  const gone = verify({}, { signal: leaving.signal }).catch(() => 'gone');
  await eventually(() => asked.length > 0);
  leaving.abort();
  expect(await gone).toBe('gone');
  await eventually(() => ended);
});
