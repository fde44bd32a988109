import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { classify } from '../../src/failure/classify.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.ts';
import type { ClientCredential } from '../../src/smtp/client-authentication.ts';
import { openConnection, quitConnection } from '../../src/smtp/connection.ts';
import { type ClientCredentials, type NoToken, type TokenResult, tokenSource } from '../../src/smtp/token.ts';
import { makeClientCertificate, makeIssuer, type TestCertificate } from '../support/client-certificate.ts';
import { eventually } from '../support/postroom.ts';
import { startTokenEndpoint } from '../support/token-endpoint.ts';

const issuer = makeIssuer();
let certificate: TestCertificate;
let unregistered: TestCertificate;
let expired: TestCertificate;
beforeAll(async () => {
  [certificate, unregistered, expired] = await Promise.all([
    makeClientCertificate(),
    makeClientCertificate(),
    makeClientCertificate({ notAfter: new Date('2021-01-01') }),
  ]);
});

const folder = mkdtempSync(join(tmpdir(), 'postroom-token-'));
afterAll(() => rmSync(folder, { recursive: true }));
const tokenFile = (name: string, content: string) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

const SCOPE = 'https://outlook.office365.com/.default';
const entra = (options: SandboxOptions = {}) =>
  startSandbox({
    clientCertificates: [certificate.certificate, expired.certificate],
    federatedCredentials: [issuer.credential],
    ...options,
  });
const credentials = (sandbox: Sandbox, credential?: ClientCredential): ClientCredentials => {
  const { tenantId, clientId, clientSecret, authority } = sandbox;
  return { tenantId, clientId, authority, scope: SCOPE, ...(credential ?? { clientSecret }) };
};
const elsewhere = (authority: string, credential: ClientCredential = { clientSecret: 'hush-hush' }) =>
  ({ tenantId: 'tenant', clientId: 'client', authority, scope: SCOPE, ...credential }) as const;

/** A clock that only the test moves. */
const stoppedClock = () => {
  let milliseconds = 0;
  const pass = (seconds: number) => {
    milliseconds += seconds * 1_000;
  };
  return { now: () => milliseconds, pass };
};
const tokenOf = (result: TokenResult) => {
  if (!result.ok) throw new Error(`No token: ${JSON.stringify(result)}`);
  return result.token;
};
const noToken = (result: TokenResult): NoToken => {
  if (result.ok) throw new Error('There was a token');
  return result;
};
const failureOf = (result: TokenResult) => classify(noToken(result).trouble, new Date());

describe('a token', () => {
  it('is asked for once, however many want it at the same time', async () => {
    await using sandbox = await entra();
    const tokens = tokenSource(credentials(sandbox));
    const results = await Promise.all(Array.from({ length: 50 }, () => tokens.get()));
    expect(new Set(results.map(tokenOf)).size).toBe(1);
    expect(sandbox.stats().tokenRequests).toBe(1);
  });

  it('is renewed when a fifth of its life is left, and nobody waits for that', async () => {
    await using sandbox = await entra({ tokenLifetimeSeconds: 100 });
    const clock = stoppedClock();
    const tokens = tokenSource(credentials(sandbox), clock);
    const first = tokenOf(await tokens.get());
    clock.pass(79);
    expect(tokenOf(await tokens.get())).toBe(first);
    expect(sandbox.stats().tokenRequests).toBe(1);
    sandbox.behave({ token: { afterwards: 'hang', times: 1 } });
    clock.pass(2);
    expect(tokenOf(await tokens.get())).toBe(first);
    await eventually(() => sandbox.stats().tokenRequests === 2);
    expect(tokenOf(await tokens.get())).toBe(first);
  });

  it('is replaced by the renewed one', async () => {
    await using sandbox = await entra({ tokenLifetimeSeconds: 100 });
    const clock = stoppedClock();
    const tokens = tokenSource(credentials(sandbox), clock);
    const first = tokenOf(await tokens.get());
    clock.pass(81);
    await eventually(async () => tokenOf(await tokens.get()) !== first);
    expect(sandbox.stats().tokenRequests).toBe(2);
  });

  it('is kept while it is valid if its renewal fails, which is tried again after a while', async () => {
    await using sandbox = await entra({ tokenLifetimeSeconds: 1_000_000 });
    const clock = stoppedClock();
    const tokens = tokenSource(credentials(sandbox), clock);
    const first = tokenOf(await tokens.get());
    sandbox.behave({ token: { status: 503 } });
    clock.pass(800_001);
    // The clock stands still: however often it is asked for, the endpoint hears of it once.
    await eventually(async () => {
      expect(tokenOf(await tokens.get())).toBe(first);
      return sandbox.stats().tokenRequests > 1;
    });
    for (let asked = 0; asked < 20; asked++) {
      expect(tokenOf(await tokens.get())).toBe(first);
      await fetch(`${sandbox.http.url}/api/stats`);
    }
    expect(sandbox.stats().tokenRequests).toBe(2);
    await eventually(async () => {
      clock.pass(31);
      expect(tokenOf(await tokens.get())).toBe(first);
      return sandbox.stats().tokenRequests > 2;
    });
    clock.pass(200_000);
    expect(noToken(await tokens.get()).trouble).toEqual({ via: 'token', httpStatus: 503 });
    sandbox.behave({ token: null });
    expect(tokenOf(await tokens.get())).not.toBe(first);
  });

  it('that was rejected is replaced once, whoever noticed', async () => {
    await using sandbox = await entra();
    const tokens = tokenSource(credentials(sandbox));
    const first = tokenOf(await tokens.get());
    const replaced = await Promise.all([1, 2, 3].map(() => tokens.replace(first)));
    expect(new Set(replaced.map(tokenOf)).size).toBe(1);
    expect(tokenOf(await tokens.replace(first))).toBe(replaced.map(tokenOf)[0]);
    expect(replaced.map(tokenOf)[0]).not.toBe(first);
    expect(sandbox.stats().tokenRequests).toBe(2);
  });

  it('counts as living ten minutes where the answer does not say', async () => {
    let issued = 0;
    await using endpoint = await startTokenEndpoint((response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ token_type: 'Bearer', access_token: `token-${++issued}` }));
    });
    const clock = stoppedClock();
    const tokens = tokenSource(elsewhere(endpoint.authority), clock);
    expect(tokenOf(await tokens.get())).toBe('token-1');
    clock.pass(479);
    expect(tokenOf(await tokens.get())).toBe('token-1');
    expect(endpoint.bodies).toHaveLength(1);
    clock.pass(121);
    expect(tokenOf(await tokens.get())).toBe('token-2');
  });
});

describe('a token endpoint in trouble', () => {
  it.each([
    ['throttles', { status: 429 }],
    ['has a fault', { status: 500 }],
    ['shows the page of an overloaded front end', { status: 503 }],
    ['says that it is unavailable', { code: 90033 }],
    ['hangs', { afterwards: 'hang' as const }],
    ['hangs up', { afterwards: 'drop' as const }],
    ['answers something that is no JSON', { body: '<html>Sign in to the proxy</html>' }],
    ['answers half of its JSON', { body: '{"token_type":"Bearer","access_token":"eyJ0' }],
    ['answers without a token', { body: '{"token_type":"Bearer","expires_in":3599}' }],
    ['answers with a token of another type', { body: '{"token_type":"mac","access_token":"eyJ0","expires_in":9}' }],
  ])('refuses no login if it %s: it is tried again', async (_what, rule) => {
    await using sandbox = await entra();
    sandbox.behave({ token: rule });
    const tokens = tokenSource(credentials(sandbox), { timeoutMilliseconds: 300 });
    expect(failureOf(await tokens.get())).toMatchObject({ category: 'serviceUnavailable', plan: 'backoff' });
    sandbox.behave({ token: null });
    expect((await tokens.get()).ok).toBe(true);
  });

  it('is not reached at all: the same', async () => {
    const gone = await startTokenEndpoint(() => undefined);
    await gone[Symbol.asyncDispose]();
    const result = await tokenSource(elsewhere(gone.authority)).get();
    expect(failureOf(result)).toMatchObject({ category: 'serviceUnavailable', plan: 'backoff' });
    expect(noToken(result).trouble).toMatchObject({ message: expect.stringContaining('ECONNREFUSED') });
  });

  it('that drips its answer is given up in time', async () => {
    await using endpoint = await startTokenEndpoint((response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{');
    });
    const result = await tokenSource(elsewhere(endpoint.authority), { timeoutMilliseconds: 300 }).get();
    expect(noToken(result).trouble).toMatchObject({ message: 'token request failed: no answer in time' });
  });

  it('that answers without end is cut off', async () => {
    await using endpoint = await startTokenEndpoint((response) => {
      const more = () => {
        while (response.write('x'.repeat(65_536))) if (response.destroyed) return;
      };
      response.on('drain', more);
      response.on('error', () => undefined);
      more();
    });
    const result = await tokenSource(elsewhere(endpoint.authority), { timeoutMilliseconds: 10_000 }).get();
    expect(noToken(result).trouble).toMatchObject({ message: expect.not.stringContaining('no answer in time') });
  });

  it('is not asked before the time that it named', async () => {
    await using sandbox = await entra();
    const clock = stoppedClock();
    const tokens = tokenSource(credentials(sandbox), clock);
    sandbox.behave({ token: { status: 429, retryAfterSeconds: 60, times: 1 } });
    const first = await tokens.get();
    expect(first).toMatchObject({ ok: false, retryAfterMilliseconds: 60_000 });
    clock.pass(20);
    expect(await tokens.get()).toEqual({ ...first, retryAfterMilliseconds: 40_000 });
    expect(sandbox.stats().tokenRequests).toBe(1);
    clock.pass(40);
    expect((await tokens.get()).ok).toBe(true);
  });

  it.each([
    [() => '0', 0, 0],
    [() => '999999', 3_600_000, 3_600_000],
    [() => new Date(Date.now() + 120_000).toUTCString(), 100_000, 120_000],
    [() => new Date(0).toUTCString(), 0, 0],
    [() => 'soon', undefined, undefined],
  ])('may name that time as %s', async (value, least, most) => {
    await using endpoint = await startTokenEndpoint((response) => {
      response.writeHead(503, { 'retry-after': value() }).end();
    });
    const { retryAfterMilliseconds } = noToken(await tokenSource(elsewhere(endpoint.authority)).get());
    if (least === undefined) return expect(retryAfterMilliseconds).toBeUndefined();
    expect(retryAfterMilliseconds).toBeGreaterThanOrEqual(least);
    expect(retryAfterMilliseconds).toBeLessThanOrEqual(most ?? 0);
  });

  it('that says a secret back gives none of it away', async () => {
    await using endpoint = await startTokenEndpoint((response, body) => {
      const form = Object.fromEntries(new URLSearchParams(body));
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ error: `invalid_client ${body}`, error_description: `${JSON.stringify(form)} ${body}` }),
      );
    });
    const assertion = issuer.assertion();
    const proofs: ClientCredential[] = [
      { clientSecret: 'a secret+with/all & sorts=of~things' },
      { clientCertificate: certificate },
      { federatedTokenFile: tokenFile('echoed', assertion) },
    ];
    for (const proof of proofs) {
      const told = JSON.stringify(await tokenSource(elsewhere(endpoint.authority, proof)).get());
      const sent = new URLSearchParams(endpoint.bodies.at(-1));
      const secret = sent.get('client_secret') ?? sent.get('client_assertion') ?? '';
      expect(secret.length).toBeGreaterThan(20);
      expect(told).toContain('[secret]');
      expect(told).not.toContain(secret);
      expect(told).not.toContain(new URLSearchParams({ v: secret }).toString().slice(2));
      expect(told).not.toContain(secret.slice(-20));
    }
  });

  it('that hands out a token in a broken answer does not get it into a log', async () => {
    await using endpoint = await startTokenEndpoint((response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"access_token":"the-access-token"]');
    });
    const told = JSON.stringify(await tokenSource(elsewhere(endpoint.authority)).get());
    expect(told).not.toMatch(/access.token/);
  });
});

describe('a login', () => {
  const login = (sandbox: Sandbox, tokens: ReturnType<typeof tokenSource>) =>
    openConnection(
      { ...sandbox.smtp, ca: sandbox.caPem, heloName: 'gateway.contoso.com' },
      { type: 'xoauth2', user: sandbox.mailboxes[0]?.address ?? '', tokens },
    );

  it('whose token is refused gets a fresh one and succeeds', async () => {
    await using sandbox = await entra();
    const tokens = tokenSource(credentials(sandbox));
    await tokens.get();
    sandbox.behave({ revokeTokens: true });
    const opening = await login(sandbox, tokens);
    expect(opening.ok).toBe(true);
    if (opening.ok) await quitConnection(opening.connection);
    expect(sandbox.stats()).toMatchObject({ tokenRequests: 2, authAttempts: 2, authFailures: 1 });
  });

  it('that is refused anyway tries a fresh token once', async () => {
    await using sandbox = await entra();
    sandbox.behave({ auth: { reply: 'auth-535-5.7.3-oauth' } });
    const opening = await login(sandbox, tokenSource(credentials(sandbox)));
    expect(opening).toMatchObject({ ok: false, trouble: { via: 'smtp', reply: { code: 535 } } });
    expect(sandbox.stats()).toMatchObject({ tokenRequests: 2, authAttempts: 2 });
  });

  it('tells how long the token endpoint wants to be left alone', async () => {
    await using sandbox = await entra({ behaviour: { token: { status: 429, retryAfterSeconds: 30 } } });
    const opening = await login(sandbox, tokenSource(credentials(sandbox)));
    expect(opening).toMatchObject({ ok: false, trouble: { via: 'token', httpStatus: 429 } });
    expect(opening).toMatchObject({ retryAfterMilliseconds: expect.closeTo(30_000, -4) });
  });
});

describe('an application with a certificate', () => {
  it('gets tokens, each with an assertion of its own', async () => {
    await using sandbox = await entra();
    const tokens = tokenSource(credentials(sandbox, { clientCertificate: certificate }));
    const first = tokenOf(await tokens.get());
    expect(tokenOf(await tokens.replace(first))).not.toBe(first);
  });

  it.each([
    ['is not registered', () => unregistered, 'The key was not found'],
    ['has expired', () => expired, 'The key used is expired'],
    ['does not fit its key', () => ({ ...certificate, privateKey: unregistered.privateKey }), 'did not match'],
  ])('is refused if it %s, until a person corrects it', async (_what, clientCertificate, sentence) => {
    await using sandbox = await entra();
    const result = await tokenSource(credentials(sandbox, { clientCertificate: clientCertificate() })).get();
    expect(noToken(result).trouble).toMatchObject({ description: expect.stringContaining(sentence) });
    expect(failureOf(result)).toMatchObject({ code: 'token_credentials_invalid', scope: 'tenant', plan: 'afterFix' });
  });

  it('that cannot even sign has trouble of its own, and its key stays its own', async () => {
    await using sandbox = await entra();
    const clientCertificate = { ...certificate, privateKey: certificate.privateKey.replace(/\n\w{40}/, '\nAAAA') };
    const result = await tokenSource(credentials(sandbox, { clientCertificate })).get();
    expect(noToken(result).trouble.via).toBe('client');
    expect(JSON.stringify(result)).not.toContain(certificate.privateKey.slice(200, 240));
    expect(sandbox.stats().tokenRequests).toBe(0);
  });
});

describe('an application with a federated token file', () => {
  it('shows what the file holds now, for every token', async () => {
    await using sandbox = await entra();
    const path = tokenFile('rotating', `${issuer.assertion()}\n`);
    const tokens = tokenSource(credentials(sandbox, { federatedTokenFile: path }));
    const first = tokenOf(await tokens.get());
    writeFileSync(path, issuer.assertion({ exp: 1 }));
    const refused = await tokens.replace(first);
    expect(noToken(refused).trouble).toMatchObject({ description: expect.stringContaining('AADSTS700024') });
    expect(failureOf(refused)).toMatchObject({ plan: 'afterFix', summary: expect.stringContaining('token file') });
    writeFileSync(path, issuer.assertion());
    expect((await tokens.get()).ok).toBe(true);
    expect(sandbox.stats()).toMatchObject({ tokenRequests: 3, tokensIssued: 2 });
  });

  it('is told which credential is missing for it', async () => {
    await using sandbox = await entra();
    const path = tokenFile('stranger', makeIssuer('system:serviceaccount:mail:stranger').assertion());
    const result = await tokenSource(credentials(sandbox, { federatedTokenFile: path })).get();
    expect(failureOf(result)).toMatchObject({
      code: 'token_config_invalid',
      plan: 'afterFix',
      remedy: expect.stringContaining('issuer, subject and audience'),
    });
  });

  it.each([
    ['is gone', () => join(folder, 'nowhere'), 'nowhere'],
    ['is empty', () => tokenFile('empty', ''), 'empty'],
    ['holds something else', () => tokenFile('other', 'a password, for example'), 'other'],
  ])('that %s asks for no token, names the file, and goes on when it is there', async (_what, make, name) => {
    await using sandbox = await entra();
    const path = make();
    const tokens = tokenSource(credentials(sandbox, { federatedTokenFile: path }));
    const result = await tokens.get();
    expect(failureOf(result)).toMatchObject({ scope: 'tenant', plan: 'backoff', category: 'configuration' });
    expect(noToken(result).trouble).toMatchObject({ message: expect.stringContaining(name) });
    expect(JSON.stringify(result)).not.toContain('a password');
    expect(sandbox.stats().tokenRequests).toBe(0);
    writeFileSync(path, issuer.assertion());
    expect((await tokens.get()).ok).toBe(true);
  });
});
