import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KEYS } from '../support/fake-api.ts';
import { type HttpService, startHttpService } from '../support/http-service.ts';
import { exchange } from '../support/raw-http.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService({
    limits: { headersMilliseconds: 150, requestMilliseconds: 300, keepAliveMilliseconds: 150, checkMilliseconds: 25 },
  });
});
afterAll(() => service.app.close());

const HEAD = `POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEYS.all}\r\nContent-Type: application/json\r\n`;

test.each([
  ['silent from the start', ''],
  ['slow in its first line', 'POST /v1/mess'],
  ['slow in its headers', `${HEAD}X-Slow: `],
  ['slow in its body', `${HEAD}Content-Length: 100\r\n\r\n{"from":`],
  ['slow in its chunks', `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n{"a"`],
])('a client that is %s is told so and closed', async (_name, bytes) => {
  const answer = await exchange(service.port, bytes);
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(answer).toContain('"code":"request_timeout"');
});

test('one that drips a byte now and then is closed too', async () => {
  const answer = await exchange(service.port, `${HEAD}X-Slow: `, (socket) => {
    const drip = setInterval(() => socket.write('x'), 20);
    socket.once('close', () => clearInterval(drip));
  });
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
});

test('an idle connection is closed after its answer', async () => {
  const answer = await exchange(service.port, 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
});

test('300 half-open ones do not keep others from being served', async () => {
  const slow = Array.from({ length: 300 }, () => exchange(service.port, `${HEAD}X-Slow: `));
  expect((await service.get('/health/live')).status).toBe(200);
  expect((await Promise.all(slow)).every((answer) => answer.startsWith('HTTP/1.1 408 '))).toBe(true);
});

test('waiting for a message is not slowness', async () => {
  const response = await service.post({ from: 'a@b.example', to: 'a@b.example', subject: '', text: '' });
  const { id } = (await response.json()) as { id: string };
  expect((await service.get(`/v1/messages/${id}?wait=1`)).status).toBe(200);
});

test('one over which nothing was ever asked does not hold up the end of the process', async () => {
  const patient = await startHttpService({ limits: { headersMilliseconds: 200_000, requestMilliseconds: 200_000 } });
  const socket = connect(patient.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.resume();
  expect((await patient.get('/health/live')).status).toBe(200);
  await Promise.all([once(socket, 'close'), patient.app.close()]);
});
