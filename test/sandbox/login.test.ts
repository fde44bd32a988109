import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { aMessage, askToken, aToken, base64, SmtpClient, xoauth2 } from './smtp-client.ts';

let sandbox: Sandbox;
const mailbox = { address: 'Billing@contoso.example', password: 'pässword with = and spaces' };
beforeEach(async () => {
  sandbox = await startSandbox({
    mailboxes: [mailbox, { ...mailbox, address: 'closed@contoso.example', appAccess: false }],
  });
});
afterEach(async () => {
  await sandbox[Symbol.asyncDispose]();
});

const ACCEPTED = '235 2.7.0 Authentication successful';

describe('AUTH LOGIN', () => {
  test('asks for user and password and lets the right one in', async () => {
    const client = await SmtpClient.secure(sandbox);
    expect(await client.ask('AUTH LOGIN')).toBe('334 VXNlcm5hbWU6');
    expect(await client.ask(base64('billing@CONTOSO.example'))).toBe('334 UGFzc3dvcmQ6');
    expect(await client.ask(base64(mailbox.password))).toBe(ACCEPTED);
    expect(await client.ask('AUTH LOGIN')).toMatch(/^503 /);
  });

  test('takes the user with the command', async () => {
    const client = await SmtpClient.secure(sandbox);
    expect(await client.ask(`AUTH LOGIN ${base64(mailbox.address)}`)).toBe('334 UGFzc3dvcmQ6');
    expect(await client.ask(base64(mailbox.password))).toBe(ACCEPTED);
  });

  test.each([
    ['another password', mailbox.address, 'wrong'],
    ['no password', mailbox.address, ''],
    ['another user', 'someone@contoso.example', mailbox.password],
    ['a name that every object has', '__proto__', ''],
  ])('refuses %s as a credential fault and signs it', async (_what, user, password) => {
    const client = await SmtpClient.secure(sandbox);
    await client.ask(`AUTH LOGIN ${base64(user)}`);
    expect(await client.ask(password === '' ? '' : base64(password))).toMatch(
      /^535 5\.7\.139 Authentication unsuccessful, the user credentials were incorrect\. \[\S+OUTLOOK\.COM \d{4}-\S+Z 08D\w{13}\]$/,
    );
    expect(await client.ask(`MAIL FROM:<${mailbox.address}>`)).toMatch(
      /^530 5\.7\.57 Client not authenticated to send mail\. Error: 535 5\.7\.139 [^[]+ \[/,
    );
    expect(sandbox.stats()).toMatchObject({ authAttempts: 1, authFailures: 1, cleartextAuthAttempts: 0 });
  });

  test('can be cancelled, and wants base64', async () => {
    const client = await SmtpClient.secure(sandbox);
    await client.ask('AUTH LOGIN');
    expect(await client.ask('*')).toMatch(/^501 /);
    await client.ask('AUTH LOGIN');
    expect(await client.ask('not base64!')).toMatch(/^501 /);
  });
});

describe('AUTH XOAUTH2', () => {
  test('lets in a token that Entra’s stand-in has issued, with and without an initial response', async () => {
    const token = await aToken(sandbox);
    const client = await SmtpClient.secure(sandbox);
    expect(await client.ask(`AUTH XOAUTH2 ${xoauth2(mailbox.address, token)}`)).toBe(ACCEPTED);

    const patient = await SmtpClient.secure(sandbox);
    expect(await patient.ask('AUTH XOAUTH2')).toMatch(/^334/);
    expect(await patient.ask(xoauth2(mailbox.address, token))).toBe(ACCEPTED);
    expect(await patient.submit(mailbox.address, ['a@example.com'], aMessage(mailbox.address))).toMatch(
      /^250 2\.0\.0 OK/,
    );
  });

  test.each([
    ['a token of nobody', async () => 'eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJ4In0.AAAA'],
    ['no JWT at all', async () => 'x'],
    ['a token with another signature', async () => `${(await aToken(sandbox)).slice(0, -8)}AAAAAAAA`],
    ['a token for Microsoft Graph', () => aToken(sandbox, { scope: 'https://graph.microsoft.com/.default' })],
    ['another sandbox’s token', foreignToken],
  ])('refuses %s with the bare 535 5.7.3', async (_what, makeToken) => {
    const client = await SmtpClient.secure(sandbox);
    expect(await client.ask(`AUTH XOAUTH2 ${xoauth2(mailbox.address, await makeToken())}`)).toMatch(
      /^535 5\.7\.3 Authentication unsuccessful \[/,
    );
  });

  async function foreignToken(): Promise<string> {
    const { tenantId, clientId, clientSecret } = sandbox;
    const other = await startSandbox({ tenantId, clientId, clientSecret });
    const token = await aToken(other);
    await other[Symbol.asyncDispose]();
    return token;
  }

  test('refuses a good token for a mailbox that does not exist', async () => {
    const client = await SmtpClient.secure(sandbox);
    const token = await aToken(sandbox);
    expect(await client.ask(`AUTH XOAUTH2 ${xoauth2('other@contoso.example', token)}`)).toMatch(/^535 5\.7\.3 /);
  });

  test('refuses a token whose time has run out', async () => {
    await using brief = await startSandbox({ mailboxes: [mailbox], tokenLifetimeSeconds: 0 });
    const client = await SmtpClient.secure(brief);
    expect(await client.ask(`AUTH XOAUTH2 ${xoauth2(mailbox.address, await aToken(brief))}`)).toMatch(/^535 5\.7\.3 /);
  });

  test('refuses a revoked token and takes the next', async () => {
    const revoked = await aToken(sandbox);
    sandbox.behave({ revokeTokens: true });
    const client = await SmtpClient.secure(sandbox);
    expect(await client.ask(`AUTH XOAUTH2 ${xoauth2(mailbox.address, revoked)}`)).toMatch(/^535 5\.7\.3 /);
    expect(await client.ask(`AUTH XOAUTH2 ${xoauth2(mailbox.address, await aToken(sandbox))}`)).toBe(ACCEPTED);
  });

  test.each([['user=a@b'], ['user=a@b\u0001auth=Basic x\u0001\u0001'], ['']])(
    'refuses the malformed %j',
    async (text) => {
      const client = await SmtpClient.secure(sandbox);
      expect(await client.ask(`AUTH XOAUTH2 ${base64(text) || '='}`)).toMatch(/^501 /);
    },
  );

  test('succeeds where the application has no rights on the mailbox, and then no message passes', async () => {
    const client = await SmtpClient.secure(sandbox);
    await client.ask(`AUTH XOAUTH2 ${xoauth2('closed@contoso.example', await aToken(sandbox))}`);
    const reply = await client.submit('closed@contoso.example', ['a@example.com'], aMessage('closed@contoso.example'));
    expect(reply).toMatch(/^430 4\.2\.0 STOREDRV; mailbox logon failure/);
  });
});

test('AUTH in clear text is refused before the secret is asked for, and counted', async () => {
  const client = await SmtpClient.connect(sandbox.smtp.port);
  await client.reply();
  await client.ask('EHLO client.example');
  expect(await client.ask('AUTH LOGIN')).toMatch(/^451 5\.7\.3 /);
  expect(sandbox.stats().cleartextAuthAttempts).toBe(1);
});

test('AUTH PLAIN is not offered and not taken', async () => {
  const client = await SmtpClient.secure(sandbox);
  expect(await client.ask('AUTH PLAIN AGEAYg==')).toMatch(/^504 5\.7\.4 /);
});

describe('the token endpoint', () => {
  test('issues a token by secret in the body or by Basic', async () => {
    const answer = await askToken(sandbox);
    const body = (await answer.json()) as { access_token: string };
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 3_599 });
    expect(JSON.parse(Buffer.from(body.access_token.split('.')[1] ?? '', 'base64url').toString())).toMatchObject({
      aud: 'https://outlook.office365.com',
      tid: sandbox.tenantId,
      appid: sandbox.clientId,
      roles: ['SMTP.SendAsApp'],
    });
    const basic = await fetch(`${sandbox.authority}/${sandbox.tenantId}/oauth2/v2.0/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${base64(`${sandbox.clientId}:${encodeURIComponent(sandbox.clientSecret)}`)}` },
      body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'https://outlook.office365.com/.default' }),
    });
    expect(basic.status).toBe(200);
  });

  test.each([
    [{ client_secret: 'wrong' }, 401, 'invalid_client', 7000215],
    [{ client_secret: '' }, 401, 'invalid_client', 7000218],
    [{ client_id: '11111111-1111-1111-1111-111111111111' }, 400, 'unauthorized_client', 700016],
    [{ client_id: '' }, 400, 'invalid_request', 900144],
    [{ grant_type: 'password' }, 400, 'unsupported_grant_type', 70003],
    [{ scope: 'https://outlook.office365.com/SMTP.Send' }, 400, 'invalid_scope', 1002012],
    [{ scope: 'openid https://outlook.office365.com/.default' }, 400, 'invalid_scope', 70011],
    [{ scope: 'https://nothing.example/.default' }, 400, 'invalid_resource', 500011],
    [{ scope: '' }, 400, 'invalid_request', 900144],
  ])('answers %j as Entra does', async (fields, status, error, code) => {
    const answer = await askToken(sandbox, fields as Record<string, string>);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({
      error,
      error_codes: [code],
      error_description: expect.stringMatching(
        new RegExp(`^AADSTS${code}: .+ Trace ID: \\S+ Correlation ID: \\S+ Timestamp: `),
      ),
    });
  });

  test.each([
    ['00000000-0000-0000-0000-000000000000', 90002],
    ['common', 50194],
  ])('knows no tenant %s', async (tenant, code) => {
    const url = `${sandbox.authority}/${tenant}/oauth2/v2.0/token`;
    const answer = await fetch(url, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    expect(await answer.json()).toMatchObject({ error: 'invalid_request', error_codes: [code] });
  });

  test('is where discovery says it is', async () => {
    const answer = await fetch(`${sandbox.authority}/${sandbox.tenantId}/v2.0/.well-known/openid-configuration`);
    expect(await answer.json()).toMatchObject({
      issuer: `${sandbox.authority}/${sandbox.tenantId}/v2.0`,
      token_endpoint: `${sandbox.authority}/${sandbox.tenantId}/oauth2/v2.0/token`,
    });
  });
});
