import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../src/config.ts';
import { envExample, SETTINGS } from '../src/settings.ts';
import { makeClientCertificate, makeIssuer, type TestCertificate } from './support/client-certificate.ts';

const OAUTH = {
  M365_MAILBOX: 'App@Contoso.com',
  M365_TENANT_ID: 'tenant',
  M365_CLIENT_ID: 'client',
  M365_CLIENT_SECRET: 'secret',
};
const PRODUCTION = {
  NODE_ENV: 'production',
  REDIS_URL: 'redis://redis:6379',
  POSTROOM_API_KEY: 'k'.repeat(32),
  ...OAUTH,
};

const file = (content: string) => {
  const path = join(mkdtempSync(join(tmpdir(), 'postroom-config-')), 'file');
  writeFileSync(path, content);
  return path;
};
const faultsOf = (environment: Record<string, string>) => {
  try {
    readConfig(environment);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
};

describe('.env.example', () => {
  it('says just what the code reads', () => {
    expect(readFileSync(new URL('../.env.example', import.meta.url), 'utf8')).toBe(envExample());
  });

  it('names every variable once', () => {
    expect(new Set(SETTINGS.map(({ name }) => name)).size).toBe(SETTINGS.length);
  });
});

describe('the configuration', () => {
  it('needs nothing outside production', () => {
    expect(readConfig({})).toMatchObject({ role: 'all', port: 3000, host: '127.0.0.1', production: false });
    expect(readConfig({}).redisUrl).toBeUndefined();
    expect(readConfig({}).mailboxes).toBeUndefined();
  });

  it('tells the two kinds of keys apart by their beginning', () => {
    const testKey = `pr_test_${'k'.repeat(32)}`;
    expect(readConfig({ POSTROOM_TEST_API_KEY: testKey }).testApiKey).toBe(testKey);
    expect(faultsOf({ POSTROOM_TEST_API_KEY: 'k'.repeat(32) })).toContain('must begin with pr_test_');
    expect(faultsOf({ POSTROOM_TEST_API_KEY: 'pr_test_' })).toContain('POSTROOM_TEST_API_KEY must be 32 to 512');
    expect(faultsOf({ POSTROOM_API_KEY: testKey })).toContain('POSTROOM_API_KEY begins with pr_test_');
  });

  it('has no mailbox whose name is that of a lane for tests', () => {
    const mailbox = { id: 'main~test', address: 'app@contoso.com', auth: { type: 'password', password: 'p' } };
    const path = file(JSON.stringify({ mailboxes: [mailbox] }));
    expect(faultsOf({ M365_MAILBOXES_FILE: path })).toContain('letters, digits, dots, hyphens or underscores');
  });

  it('embeds nothing in production, and lists all that is missing at once', () => {
    const faults = faultsOf({ NODE_ENV: 'production' });
    for (const name of ['REDIS_URL', 'POSTROOM_API_KEY', 'M365_MAILBOX']) expect(faults).toContain(name);
  });

  it('takes one mailbox with OAuth, with Microsoft’s limits', () => {
    const [mailbox] = readConfig(PRODUCTION).mailboxes ?? [];
    expect(mailbox).toMatchObject({
      address: 'App@contoso.com',
      from: ['app@contoso.com'],
      auth: { type: 'clientCredentials', authority: 'https://login.microsoftonline.com' },
      smtp: { host: 'smtp.office365.com', port: 587, heloName: 'contoso.com' },
      limits: { messagesPerMinute: 30, windowSeconds: 60, connections: 3, recipientsPerDay: 10_000 },
    });
  });

  it('takes one mailbox with a password', () => {
    const [mailbox] = readConfig({ M365_MAILBOX: 'app@contoso.com', M365_PASSWORD: 'p' }).mailboxes ?? [];
    expect(mailbox?.auth).toEqual({ type: 'password', password: 'p' });
  });

  it('takes whom a staging installation may write to, and starts with no list that it cannot read', () => {
    expect(readConfig({ POSTROOM_ALLOW_TO: '*@Contoso.com, Ada@fabrikam.com' }).allowTo).toEqual([
      '*@contoso.com',
      'ada@fabrikam.com',
    ]);
    expect(faultsOf({ POSTROOM_ALLOW_TO: '*@contoso.com,fabrikam.com' })).toContain(
      'POSTROOM_ALLOW_TO: "fabrikam.com"',
    );
    expect(faultsOf({ POSTROOM_ALLOW_TO: ',' })).toContain('POSTROOM_ALLOW_TO');
  });

  it('needs no secret of a mailbox in a process that only accepts', () => {
    const { M365_CLIENT_SECRET: _, ...known } = PRODUCTION;
    expect(readConfig({ ...known, POSTROOM_ROLE: 'api' }).mailboxes?.[0]?.auth).toBeUndefined();
  });

  it('reads secrets from files', () => {
    const { M365_CLIENT_SECRET: _, ...known } = PRODUCTION;
    const config = readConfig({ ...known, M365_CLIENT_SECRET_FILE: file('from a file\n') });
    expect(config.mailboxes?.[0]?.auth).toMatchObject({ clientSecret: 'from a file' });
  });

  it('allows a fraction of a second as the window, so that a test can shrink the minute', () => {
    expect(readConfig({ ...OAUTH, M365_WINDOW_SECONDS: '0.5' }).mailboxes?.[0]?.limits.windowSeconds).toBe(0.5);
  });

  it('takes many mailboxes from a file', () => {
    const auth = { type: 'clientCredentials', tenantId: 't', clientId: 'c', clientSecret: 's' };
    const mailboxes = [
      { id: 'billing', address: 'billing@contoso.com', from: ['*@billing.contoso.com'], auth },
      {
        id: 'alerts',
        address: 'alerts@contoso.com',
        auth: { type: 'password', passwordFile: file('pw') },
        smtp: { host: '127.0.0.1', port: 2587 },
        limits: { messagesPerMinute: 10 },
      },
    ];
    const config = readConfig({ M365_MAILBOXES_FILE: file(JSON.stringify({ mailboxes })) });
    expect(config.mailboxes).toMatchObject([
      { id: 'billing', from: ['*@billing.contoso.com'] },
      {
        id: 'alerts',
        auth: { password: 'pw' },
        smtp: { port: 2587 },
        limits: { messagesPerMinute: 10, connections: 3 },
      },
    ]);
  });

  it('takes no address twice whose limits would be exceeded, since they are those of one mailbox under whatever ids', () => {
    const auth = { type: 'password', password: 'pw' };
    const faultsWith = (address: string, smtp?: object, limits?: object) => {
      const first = { id: 'billing', address: 'app@contoso.com', auth, limits };
      const second = { id: 'alerts', address, auth, smtp, limits };
      return () => readConfig({ M365_MAILBOXES_FILE: file(JSON.stringify({ mailboxes: [first, second] })) });
    };
    const part = { connections: 1, messagesPerMinute: 15, recipientsPerDay: 5_000 };
    expect(faultsWith('app@contoso.com', undefined, part)).not.toThrow();
    for (const more of [{ connections: 2 }, { messagesPerMinute: 16 }, { recipientsPerDay: 5_001 }])
      expect(faultsWith('app@contoso.com', undefined, { ...part, ...more })).toThrow('its limits would be exceeded');
    for (const address of ['app@contoso.com', 'App@CONTOSO.com'])
      expect(faultsWith(address)).toThrow('app@contoso.com is the address of "billing" and of "alerts"');
    expect(faultsWith('app@fabrikam.com')).not.toThrow();
    expect(faultsWith('app@contoso.com', { host: 'localhost' })).not.toThrow();
  });

  it('tells the place of every fault in that file', () => {
    const mailboxes = [{ id: 'a b', address: 'x', auth: { type: 'token' }, limits: { connections: 0 }, extra: 1 }];
    const faults = faultsOf({ M365_MAILBOXES_FILE: file(JSON.stringify({ mailboxes })) });
    for (const place of ['mailboxes.0.id', 'mailboxes.0.auth', 'mailboxes.0.limits.connections', 'extra'])
      expect(faults).toContain(place);
  });

  it.each([
    ['PORT', 'http'],
    ['PORT', '70000'],
    ['POSTROOM_ROLE', 'both'],
    ['LOG_LEVEL', 'loud'],
    ['POSTROOM_API_KEY', 'short'],
    ['POSTROOM_API_KEY', `with a space ${'x'.repeat(40)}`],
    ['REDIS_URL', 'localhost:6379'],
    ['M365_MAILBOX', 'nobody'],
    ['M365_HELO_NAME', 'container-7f'],
    ['M365_AUTHORITY', 'http://login.example.com'],
    ['M365_WINDOW_SECONDS', '-1'],
    ['M365_CONNECTIONS', '1.5'],
    ['M365_SMTP_CA_FILE', '/nonexistent.pem'],
    ['M365_SECRET_EXPIRES', '31.03.2027'],
    ['M365_SECRET_EXPIRES', '2027-02-30'],
    ['M365_CLIENT_SECRET_FILE', '/nonexistent'],
    ['M365_MAILBOXES_FILE', '/nonexistent.json'],
  ])('names %s if it is "%s"', (name, value) => {
    expect(faultsOf({ ...OAUTH, [name]: value })).toContain(name);
  });

  it('tells all faults at once and no secret', () => {
    const faults = faultsOf({
      PORT: 'x',
      M365_MAILBOX: 'app@contoso.com',
      M365_CLIENT_SECRET: 'hush-hush',
      M365_CONNECTIONS: 'y',
    });
    for (const name of ['PORT', 'M365_TENANT_ID', 'M365_CLIENT_ID', 'M365_CONNECTIONS']) expect(faults).toContain(name);
    expect(faults).not.toContain('hush-hush');
  });

  it('lets no setting of a mailbox pass in silence where there is no mailbox', () => {
    expect(faultsOf({ M365_SMTP_HOST: 'smtp.office365.com' })).toContain('M365_MAILBOX is missing');
    const mailboxes = [{ id: 'a', address: 'a@contoso.com', auth: { type: 'password', password: 'p' } }];
    const path = file(JSON.stringify({ mailboxes }));
    expect(faultsOf({ M365_MAILBOXES_FILE: path, M365_CONNECTIONS: '2' })).toContain('M365_CONNECTIONS is set beside');
  });

  it('gives the sandbox the pace that is asked for', () => {
    expect(readConfig({ M365_WINDOW_SECONDS: '1' }).pace).toMatchObject({ windowSeconds: 1, messagesPerMinute: 30 });
  });

  it('does not take a misspelt production for development', () => {
    expect(faultsOf({ NODE_ENV: 'Production' })).toContain('NODE_ENV');
    expect(readConfig({ ...PRODUCTION, NODE_ENV: ' production ' }).production).toBe(true);
  });

  it('does not accept two ways to log in, or to name mailboxes', () => {
    expect(faultsOf({ ...OAUTH, M365_PASSWORD: 'p' })).toContain('keep one way to log in');
    expect(faultsOf({ ...OAUTH, M365_MAILBOXES_FILE: file('{}') })).toContain('keep one');
  });
});

describe('webhooks', () => {
  it('may go to no inside address unless the environment says so', () => {
    expect(readConfig({}).webhooks).toMatchObject({ allow: [], allowHttp: false, disableDays: 5, keepDays: 3 });
    const { webhooks } = readConfig({
      POSTROOM_WEBHOOK_ALLOW: '10.20.0.0/16, hooks.corp.example',
      POSTROOM_WEBHOOK_ALLOW_HTTP: 'true',
      POSTROOM_WEBHOOK_RETRY_SECONDS: '1, 2.5',
    });
    expect(webhooks).toMatchObject({ allow: ['10.20.0.0/16', 'hooks.corp.example'], retrySeconds: [1, 2.5] });
  });

  it('have each fault of their settings told', () => {
    expect(faultsOf({ POSTROOM_WEBHOOK_ALLOW: '10.0.0.0/40' })).toContain('POSTROOM_WEBHOOK_ALLOW: "10.0.0.0/40"');
    expect(faultsOf({ POSTROOM_WEBHOOK_ALLOW_HTTP: 'yes' })).toContain('POSTROOM_WEBHOOK_ALLOW_HTTP');
    expect(faultsOf({ POSTROOM_WEBHOOK_RETRY_SECONDS: 'soon' })).toContain('POSTROOM_WEBHOOK_RETRY_SECONDS');
    expect(faultsOf({ POSTROOM_WEBHOOK_KEEP_DAYS: '1' })).toContain('POSTROOM_WEBHOOK_KEEP_DAYS');
  });
});

describe('a login without a client secret', () => {
  const { M365_CLIENT_SECRET: _, ...APPLICATION } = OAUTH;
  const { M365_MAILBOX, ...KNOWN } = APPLICATION;
  let own: TestCertificate;
  let other: TestCertificate;
  let past: TestCertificate;
  beforeAll(async () => {
    [own, other, past] = await Promise.all([
      makeClientCertificate({ notAfter: new Date('2027-03-31T12:00:00Z') }),
      makeClientCertificate(),
      makeClientCertificate({ notAfter: new Date('2021-01-01') }),
    ]);
  });
  const authOf = (environment: Record<string, string>) =>
    readConfig({ ...APPLICATION, ...environment }).mailboxes?.[0]?.auth;
  const inFile = (auth: object) => ({
    M365_MAILBOXES_FILE: file(
      JSON.stringify({
        mailboxes: [
          {
            id: 'a',
            address: M365_MAILBOX,
            auth: { type: 'clientCredentials', tenantId: 't', clientId: 'c', ...auth },
          },
        ],
      }),
    ),
  });
  const encryptedKey = ({ privateKey }: TestCertificate) =>
    createPrivateKey(privateKey)
      .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' })
      .toString();
  const ecKey = () =>
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });

  it('takes a certificate with its key in the same file, and knows when it ends', () => {
    const path = file(`${own.privateKey}\n${own.certificate}`);
    expect(authOf({ M365_CLIENT_CERTIFICATE_FILE: path, M365_SECRET_EXPIRES: '2026-01-01' })).toMatchObject({
      type: 'clientCredentials',
      clientCertificate: { certificate: expect.stringContaining('BEGIN CERTIFICATE') },
      secretExpires: '2027-03-31',
    });
  });

  it('takes a key in a file of its own, and finds its certificate among others', () => {
    const pkcs1 = createPrivateKey(own.privateKey).export({ type: 'pkcs1', format: 'pem' }).toString();
    const chain = file(`${other.certificate}\n${own.certificate}`);
    const auth = authOf({ M365_CLIENT_CERTIFICATE_FILE: chain, M365_CLIENT_KEY_FILE: file(pkcs1) });
    const { certificate = '' } = (auth?.type === 'clientCredentials' && auth.clientCertificate) || {};
    expect(new X509Certificate(certificate).fingerprint256).toBe(new X509Certificate(own.certificate).fingerprint256);
  });

  it('takes a certificate that has ended: mail is accepted, and held', () => {
    const path = file(`${past.certificate}\n${past.privateKey}`);
    expect(authOf({ M365_CLIENT_CERTIFICATE_FILE: path })).toMatchObject({ secretExpires: '2021-01-01' });
  });

  it('takes a federated token file, of which only the path is kept', () => {
    const path = file(`${makeIssuer().assertion()}\n`);
    const auth = authOf({ M365_FEDERATED_TOKEN_FILE: path, M365_SECRET_EXPIRES: '2027-03-31' });
    expect(auth).toMatchObject({ type: 'clientCredentials', federatedTokenFile: path });
    expect(auth).not.toHaveProperty('secretExpires');
  });

  it('takes both from the mailboxes file', () => {
    const certificateFile = file(own.certificate);
    const keyFile = file(own.privateKey);
    const federatedTokenFile = file(makeIssuer().assertion());
    expect(readConfig(inFile({ certificateFile, keyFile })).mailboxes?.[0]?.auth).toHaveProperty('clientCertificate');
    expect(readConfig(inFile({ federatedTokenFile })).mailboxes?.[0]?.auth).toMatchObject({ federatedTokenFile });
  });

  it.each([
    [
      'there is no such file',
      () => ({ M365_CLIENT_CERTIFICATE_FILE: '/nonexistent' }),
      'M365_CLIENT_CERTIFICATE_FILE cannot be read',
    ],
    [
      'it holds no certificate',
      () => ({ M365_CLIENT_CERTIFICATE_FILE: file(own.privateKey) }),
      'M365_CLIENT_CERTIFICATE_FILE holds no PEM certificate',
    ],
    [
      'its certificate is damaged',
      () => ({ M365_CLIENT_CERTIFICATE_FILE: file(`${own.privateKey}${own.certificate.replace(/\n[^-]{60}/, '\n')}`) }),
      'M365_CLIENT_CERTIFICATE_FILE holds a certificate that cannot be read',
    ],
    [
      'it holds no key',
      () => ({ M365_CLIENT_CERTIFICATE_FILE: file(own.certificate) }),
      'M365_CLIENT_CERTIFICATE_FILE holds no PEM private key; put it into the same file, or name its file in M365_CLIENT_KEY_FILE',
    ],
    [
      'the key’s file holds none',
      () => ({ M365_CLIENT_CERTIFICATE_FILE: file(own.certificate), M365_CLIENT_KEY_FILE: file('x') }),
      'M365_CLIENT_KEY_FILE holds no PEM private key.',
    ],
    [
      'there is no such key file',
      () => ({ M365_CLIENT_CERTIFICATE_FILE: file(own.certificate), M365_CLIENT_KEY_FILE: '/nonexistent' }),
      'M365_CLIENT_KEY_FILE cannot be read',
    ],
    [
      'the key is damaged',
      () => ({
        M365_CLIENT_CERTIFICATE_FILE: file(own.certificate),
        M365_CLIENT_KEY_FILE: file(own.privateKey.replace(/\n[^-]{60}/, '\n')),
      }),
      'M365_CLIENT_KEY_FILE holds a private key that cannot be read',
    ],
    [
      'the key is encrypted',
      () => ({ M365_CLIENT_CERTIFICATE_FILE: file(own.certificate), M365_CLIENT_KEY_FILE: file(encryptedKey(own)) }),
      'M365_CLIENT_KEY_FILE holds an encrypted private key',
    ],
    [
      'the key is none of RSA',
      () => ({ M365_CLIENT_CERTIFICATE_FILE: file(own.certificate), M365_CLIENT_KEY_FILE: file(String(ecKey())) }),
      'M365_CLIENT_KEY_FILE must hold an RSA key',
    ],
    [
      'the key is another’s',
      () => ({ M365_CLIENT_CERTIFICATE_FILE: file(own.certificate), M365_CLIENT_KEY_FILE: file(other.privateKey) }),
      'The private key in M365_CLIENT_KEY_FILE does not belong to the certificate in M365_CLIENT_CERTIFICATE_FILE',
    ],
    [
      'a key stands alone',
      () => ({ M365_CLIENT_KEY_FILE: file(own.privateKey) }),
      'M365_CLIENT_KEY_FILE is set without M365_CLIENT_CERTIFICATE_FILE',
    ],
    [
      'there is no such token file',
      () => ({ M365_FEDERATED_TOKEN_FILE: '/nonexistent' }),
      'M365_FEDERATED_TOKEN_FILE cannot be read',
    ],
    [
      'the token file holds no token',
      () => ({ M365_FEDERATED_TOKEN_FILE: file('not a JWT') }),
      'M365_FEDERATED_TOKEN_FILE holds no JWT',
    ],
    [
      'there are two ways',
      () => ({ M365_CLIENT_SECRET: 's', M365_FEDERATED_TOKEN_FILE: file('') }),
      'M365_CLIENT_SECRET and M365_FEDERATED_TOKEN_FILE are both set; keep one way to log in',
    ],
    [
      'a password stands beside it',
      () => ({ M365_PASSWORD: 'p', M365_FEDERATED_TOKEN_FILE: file('') }),
      'keep one way to log in',
    ],
    ['there is no way at all', () => ({}), 'M365_CLIENT_SECRET is missing'],
  ])('tells it by name if %s, and no key', (_what, environment, sentence) => {
    const faults = faultsOf({ ...APPLICATION, ...environment() });
    expect(faults).toContain(sentence);
    expect(faults.trim().split('\n')).toHaveLength(2);
    expect(faults).not.toContain('PRIVATE KEY');
  });

  it.each([
    [
      'nothing',
      () => ({}),
      'auth.clientSecret is missing (or auth.clientSecretFile, auth.certificateFile or auth.federatedTokenFile)',
    ],
    ['two secrets', () => ({ clientSecret: 's', clientSecretFile: file('s') }), 'auth.clientSecretFile are both set'],
    ['an empty secret', () => ({ clientSecretFile: file('') }), 'auth.clientSecretFile names an empty file'],
    [
      'two ways',
      () => ({ certificateFile: file(''), federatedTokenFile: file('') }),
      'mailboxes.0.auth.certificateFile and M365_MAILBOXES_FILE: mailboxes.0.auth.federatedTokenFile are both set',
    ],
    [
      'another key',
      () => ({ certificateFile: file(own.certificate), keyFile: file(other.privateKey) }),
      'does not belong to the certificate',
    ],
  ])('tells the place in the mailboxes file that has %s', (_what, auth, sentence) => {
    const faults = faultsOf(inFile(auth()));
    expect(faults).toContain(sentence);
    expect(faults).toContain('M365_MAILBOXES_FILE: mailboxes.0.auth');
    expect(faults.trim().split('\n')).toHaveLength(2);
  });

  it('is stray without a mailbox', () => {
    expect(faultsOf({ ...KNOWN, M365_CLIENT_KEY_FILE: 'x' })).toContain('M365_MAILBOX is missing, although');
  });
});
