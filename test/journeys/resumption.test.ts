import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostroom, type TestPostroom } from '../support/postroom.ts';
import { type ScriptedServer, type ScriptedTls, startScriptedServer } from '../support/scripted-smtp.ts';

const tls: ScriptedTls = {};
let server: ScriptedServer;
let postroom: TestPostroom;

beforeAll(async () => {
  let isBody = false;
  server = await startScriptedServer(
    (line, _heard, socket) => {
      if (line === 'DATA') isBody = true;
      if (line === 'DATA') return '354 Go ahead';
      if (isBody && line !== '.') return undefined;
      if (!isBody) return '250 2.1.0 Yes';
      isBody = false;
      // Each message needs a login of its own.
      socket.end('250 2.0.0 Kept\r\n');
      return undefined;
    },
    ['SIZE 1000000'],
    tls,
  );
  postroom = await startPostroom({
    mailbox: () => ({
      auth: { type: 'password', password: 'let me in' },
      smtp: { host: '127.0.0.1', port: server.port, ca: server.caPem, heloName: 'gateway.contoso.com' },
    }),
  });
});
afterAll(async () => {
  await postroom[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test('a server that breaks every resumed session gets each message in one attempt, and holds nothing up', async () => {
  tls.secured = (secure, isResumed) => void (isResumed && secure.destroy());
  for (let time = 0; time < 3; time++) {
    const { attempts } = await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'sent');
    expect(attempts).toMatchObject([{ number: 1, outcome: 'sent' }]);
  }
  expect(server.resumed).toEqual([false, true, false, true, false]);
  expect(postroom.logged()).not.toContain('Mailbox held');
});
