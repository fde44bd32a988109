import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config.ts';
import { envExample, SETTINGS } from '../src/settings.ts';

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

  it('does not accept two ways to log in, or to name mailboxes', () => {
    expect(faultsOf({ ...OAUTH, M365_PASSWORD: 'p' })).toContain('keep one way to log in');
    expect(faultsOf({ ...OAUTH, M365_MAILBOXES_FILE: file('{}') })).toContain('keep one');
  });
});
