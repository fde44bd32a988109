import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { aMessage, askToken, aToken, base64, SmtpClient, xoauth2 } from './smtp-client.ts';

let sandbox: Sandbox;
const mailbox = { address: 'sender@contoso.example', password: 'secret' };
const from = mailbox.address;
beforeEach(async () => {
  sandbox = await startSandbox({ mailboxes: [mailbox] });
});
afterEach(async () => {
  await sandbox[Symbol.asyncDispose]();
});

async function put(behaviour: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return await fetch(`${sandbox.http.url}/api/behaviour`, { method: 'PUT', headers, body: JSON.stringify(behaviour) });
}

describe('a rule', () => {
  test('has the server greet with 421 or 554, or not at all', async () => {
    sandbox.behave({ greeting: { reply: '421 4.3.2 Service not available' } });
    const busy = await SmtpClient.connect(sandbox.smtp.port);
    expect(await busy.reply()).toBe('421 4.3.2 Service not available');
    expect(await busy.reply()).toBe('closed');

    sandbox.behave({ greeting: { reply: '554 5.3.2 No service here' } });
    const refused = await SmtpClient.connect(sandbox.smtp.port);
    expect(await refused.reply()).toMatch(/^554 /);
    expect(await refused.ask('EHLO x')).toMatch(/^503 /);
    expect(await refused.ask('QUIT')).toMatch(/^221 /);

    sandbox.behave({ greeting: { afterwards: 'drop' } });
    expect(await (await SmtpClient.connect(sandbox.smtp.port)).reply()).toBe('closed');
    sandbox.behave({ greeting: null });
    expect(await (await SmtpClient.connect(sandbox.smtp.port)).reply()).toMatch(/^220 /);
  });

  test('refuses STARTTLS, or does not even offer it', async () => {
    sandbox.behave({ startTls: { reply: '454 4.7.0 TLS not available' }, advertise: { startTls: false } });
    const client = await SmtpClient.connect(sandbox.smtp.port);
    await client.reply();
    expect(await client.ask('EHLO x')).not.toContain('STARTTLS');
    expect(await client.ask('STARTTLS')).toBe('454 4.7.0 TLS not available');
  });

  test('breaks the login with a known reply, by its id, for one mailbox and so many times', async () => {
    sandbox.behave({
      auth: { reply: 'auth-535-5.7.139-smtpauth-tenant', times: 1, mailbox: 'SENDER@contoso.example' },
    });
    const client = await SmtpClient.secure(sandbox);
    await client.ask(`AUTH LOGIN ${base64(from)}`);
    expect(await client.ask(base64(mailbox.password))).toMatch(
      /^535 5\.7\.139 .*disabled for the Tenant.* \[\S*POSTROOM-SANDBOX/,
    );
    await client.ask(`AUTH LOGIN ${base64(from)}`);
    expect(await client.ask(base64(mailbox.password))).toMatch(/^235 /);
  });

  test('can answer a token by a challenge, as Google does', async () => {
    sandbox.behave({ auth: { reply: `334 ${base64('{"status":"401","schemes":"Bearer"}')}` } });
    const client = await SmtpClient.secure(sandbox);
    expect(await client.ask(`AUTH XOAUTH2 ${xoauth2(from, await aToken(sandbox))}`)).toMatch(/^334 /);
    expect(await client.ask('')).toMatch(/^535 5\.7\.3 /);
  });

  test('refuses the message though it keeps it, or drops the connection after so many octets', async () => {
    sandbox.behave({ message: { reply: '451 4.4.3 Somewhat lost', keep: true }, body: null });
    const client = await SmtpClient.loggedIn(sandbox);
    expect(await client.submit(from, ['a@example.com'], aMessage(from))).toBe('451 4.4.3 Somewhat lost');
    expect(sandbox.inbox.messages()).toHaveLength(1);

    sandbox.behave({ message: null, body: { afterBytes: 5_000, times: 1 } });
    expect(await client.submit(from, ['a@example.com'], aMessage(from))).toMatch(/^250 /);
    expect(await client.submit(from, ['a@example.com'], `${aMessage(from)}${'x'.repeat(6_000)}`)).toBe('closed');
  });

  test('that only delays leaves the limits in force', async () => {
    sandbox.behave({ message: { delayMs: 1 }, limits: { messagesPerWindow: 1 } });
    const client = await SmtpClient.loggedIn(sandbox);
    expect(await client.submit(from, ['a@example.com'], aMessage(from))).toMatch(/^250 /);
    expect(await client.submit(from, ['a@example.com'], aMessage(from))).toMatch(/^432 /);
  });

  test('can come from a hook of the caller’s', async () => {
    await using hooked = await startSandbox({
      mailboxes: [mailbox],
      onReply: ({ stage, recipient }) =>
        stage === 'rcpt' && recipient === 'x@y.example' ? { reply: '450 4.2.1 Not now' } : undefined,
    });
    const client = await SmtpClient.loggedIn(hooked);
    expect(await client.submit(from, ['x@y.example'], aMessage(from))).toBe('450 4.2.1 Not now');
  });
});

test('every connection can be cut at once', async () => {
  const client = await SmtpClient.loggedIn(sandbox);
  sandbox.behave({ dropConnections: true });
  expect(await client.reply()).toBe('closed');
});

describe('the token endpoint', () => {
  test.each([
    [{ status: 503 }, 503, /<html>/],
    [{ status: 429, retryAfterSeconds: 7 }, 429, /<html>/],
    [{ code: 7000222 }, 401, /AADSTS7000222.*expired/],
    [{ code: 90033 }, 503, /temporarily_unavailable/],
    [{ body: 'not JSON' }, 200, /^not JSON$/],
    [{ body: '{"token_type":"Bearer"}' }, 200, /Bearer/],
  ])('does as %j says', async (rule, status, body) => {
    sandbox.behave({ token: { ...rule, times: 1 } });
    const answer = await askToken(sandbox);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('retry-after')).toBe('retryAfterSeconds' in rule ? '7' : null);
    expect(await answer.text()).toMatch(body);
    expect((await askToken(sandbox)).status).toBe(200);
    expect(sandbox.stats()).toMatchObject({ tokenRequests: 2, tokensIssued: 1 });
  });

  test('can drop the connection, and can hang', async () => {
    sandbox.behave({ token: { afterwards: 'drop' } });
    await expect(askToken(sandbox)).rejects.toThrow();
    sandbox.behave({ token: { afterwards: 'hang' } });
    const heard = await Promise.race([
      askToken(sandbox).catch(() => 'cut'),
      new Promise((resolve) => setTimeout(resolve, 100, 'nothing')),
    ]);
    expect(heard).toBe('nothing');
  });
});

describe('the control API', () => {
  test('changes behaviour and shows it', async () => {
    expect((await put({ mail: { reply: '451 4.3.2 Later' }, limits: { connections: 2 } })).status).toBe(200);
    const client = await SmtpClient.loggedIn(sandbox);
    expect(await client.ask(`MAIL FROM:<${from}>`)).toBe('451 4.3.2 Later');
    expect(await (await put({ mail: null })).json()).toEqual({ limits: { connections: 2 } });
    expect(await (await fetch(`${sandbox.http.url}/api/behaviour`)).json()).toEqual({ limits: { connections: 2 } });
    expect(await (await fetch(`${sandbox.http.url}/api/stats`)).json()).toMatchObject({
      connections: { now: 1, peak: 1 },
      mailboxes: { [from]: { connectionsNow: 1 } },
    });
  });

  test.each([
    [{ mial: {} }, 'mial: not known'],
    [{ constructor: {} }, 'constructor: not known'],
    [{ mail: 'x' }, 'mail: expected an object or null'],
    [{ mail: { replay: '250' } }, 'mail.replay: not known'],
    [{ mail: { reply: 'no-such-id' } }, 'mail.reply'],
    [{ token: { afterwards: 'reset' } }, 'token.afterwards'],
    [{ limits: { windowSeconds: 0 } }, 'limits.windowSeconds'],
    [{ entra: { claims: 'none' } }, 'entra.claims'],
    [[], 'the body'],
  ])('refuses %j by name', async (behaviour, fault) => {
    const answer = await put(behaviour);
    expect(answer.status).toBe(422);
    expect(((await answer.json()) as { detail: string }).detail).toContain(fault);
  });

  test('refuses a body beyond 64 KiB', async () => {
    expect((await put({ mail: { reply: `250 ${'x'.repeat(100_000)}` } })).status).toBe(413);
  });

  test('takes nothing that a form on a foreign page could send', async () => {
    const body = '{"greeting":{"afterwards":"drop"}}';
    const answer = await fetch(`${sandbox.http.url}/api/behaviour`, {
      method: 'PUT',
      headers: { 'content-type': 'text/plain' },
      body,
    });
    expect(answer.status).toBe(415);
  });
});
