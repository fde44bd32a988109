import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import type { ClientCredential } from '../../src/smtp/client-authentication.ts';
import { makeClientCertificate, makeIssuer } from '../support/client-certificate.ts';
import { KEY, mailboxOf, startPostroom } from '../support/postroom.ts';

const folder = mkdtempSync(join(tmpdir(), 'postroom-credentials-'));
afterAll(() => rmSync(folder, { recursive: true }));

function loggingInWith(credential: ClientCredential) {
  return (sandbox: Sandbox) => {
    const { tenantId, clientId, authority } = sandbox;
    const scope = 'https://outlook.office365.com/.default';
    const auth = { type: 'clientCredentials', tenantId, clientId, authority, scope, ...credential } as const;
    return { ...mailboxOf(sandbox), auth };
  };
}

describe('a mailbox without a client secret', () => {
  it('sends with a certificate', async () => {
    const clientCertificate = await makeClientCertificate();
    await using postroom = await startPostroom({
      sandbox: { clientCertificates: [clientCertificate.certificate] },
      mailbox: loggingInWith({ clientCertificate }),
    });
    await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'sent');
    expect(postroom.sandbox.inbox.messages()).toHaveLength(1);
    expect(postroom.logged()).not.toContain('PRIVATE KEY');
  });

  it('is held while its certificate is not registered, and loses nothing', async () => {
    await using postroom = await startPostroom({
      mailbox: loggingInWith({ clientCertificate: await makeClientCertificate() }),
    });
    const { failure } = await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'held');
    expect(failure).toMatchObject({ code: 'token_credentials_invalid', scope: 'tenant', plan: 'afterFix' });
    expect(postroom.sandbox.stats().authAttempts).toBe(0);
  });

  it('sends with a federated token file, and needs no restart when that comes late', async () => {
    const issuer = makeIssuer();
    const path = join(folder, 'assertion');
    await using postroom = await startPostroom({
      sandbox: { federatedCredentials: [issuer.credential] },
      mailbox: loggingInWith({ federatedTokenFile: path }),
    });
    const id = await postroom.sendTo('ada@fabrikam.com');
    const { failure } = await postroom.until(id, 'held');
    expect(failure).toMatchObject({ category: 'configuration', remedy: expect.stringContaining('is mounted where') });
    const assertion = issuer.assertion();
    writeFileSync(path, assertion);
    await postroom.until(id, 'sent', 30_000);
    expect(postroom.logged()).not.toContain(assertion);
  }, 60_000);

  it('uses the federated token file as it is when the next token is needed', async () => {
    const [before, after] = [makeIssuer('before'), makeIssuer('after')];
    const path = join(folder, 'rotating');
    writeFileSync(path, before.assertion());
    await using postroom = await startPostroom({
      sandbox: { federatedCredentials: [before.credential, after.credential] },
      mailbox: loggingInWith({ federatedTokenFile: path }),
    });
    await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'sent');
    writeFileSync(path, after.assertion());
    postroom.sandbox.behave({ revokeTokens: true, dropConnections: true });
    await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'sent');
    expect(postroom.sandbox.stats().tokensIssued).toBe(2);
  });
});

it('a secret that is refused is shown no more often for another one of the same application that works', async () => {
  const passwordOf = (name: string) => ({ address: `${name}@contoso.com`, password: `the password of ${name}` });
  await using postroom = await startPostroom({ sandbox: { mailboxes: [passwordOf('new'), passwordOf('old')] } });
  const { sandbox } = postroom;
  const mailbox = (id: string, clientSecret: string) => {
    const own = { ...loggingInWith({ clientSecret })(sandbox), id, address: `${id}@contoso.com` };
    return { ...own, from: [own.address] };
  };
  await postroom.restart({
    mailboxes: [mailbox('new', sandbox.clientSecret), mailbox('old', 'a secret that has ended')],
  });
  const waiting = await postroom.sendTo('ada@fabrikam.com', { from: 'old@contoso.com' });
  const { failure } = await postroom.until(waiting, 'held');
  expect(failure?.code).toBe('token_credentials_invalid');
  for (let number = 0; number < 5; number += 1)
    await postroom.until(await postroom.sendTo('ada@fabrikam.com', { from: 'new@contoso.com' }), 'sent');
  expect((await postroom.read(waiting)).status).toBe('held');
  expect(postroom.logged().split('"Mailbox held"')).toHaveLength(2);
  expect(postroom.logged()).not.toContain('"Mailbox released"');
  expect(sandbox.stats().tokenRequests).toBe(2);
  await postroom.restart({
    mailboxes: [mailbox('new', sandbox.clientSecret), mailbox('old', sandbox.clientSecret)],
  });
  await postroom.until(waiting, 'sent');
  expect(postroom.logged()).toContain('Mailbox released, since its settings have changed');
  const metrics = await fetch(`${postroom.url}/metrics`, { headers: { authorization: `Bearer ${KEY}` } });
  expect(await metrics.text()).not.toContain('postroom_holds{');
});

it('a token endpoint that is throttled holds whoever needs a token of it, and nobody else on the same SMTP server', async () => {
  const logins = ['one', 'two', 'other'].map((name) => ({
    address: `${name}@contoso.com`,
    password: `the password of ${name}`,
  }));
  await using postroom = await startPostroom({ sandbox: { mailboxes: logins } });
  const { sandbox } = postroom;
  const mailbox = (id: string) => ({
    ...mailboxOf(sandbox),
    id,
    address: `${id}@contoso.com`,
    from: [`${id}@contoso.com`],
  });
  const byPassword = { type: 'password', password: 'the password of other' } as const;
  await postroom.restart({ mailboxes: [mailbox('one'), mailbox('two'), { ...mailbox('other'), auth: byPassword }] });
  sandbox.behave({ token: { status: 429, retryAfterSeconds: 3_600 } });
  for (const id of ['one', 'two']) {
    const waiting = await postroom.sendTo('ada@fabrikam.com', { from: `${id}@contoso.com` });
    const { failure } = await postroom.until(waiting, 'held');
    expect(failure).toMatchObject({ code: 'token_unavailable', scope: 'tenant' });
  }
  expect(sandbox.stats().tokenRequests).toBe(1);
  await postroom.until(await postroom.sendTo('ada@fabrikam.com', { from: 'other@contoso.com' }), 'sent');
});
