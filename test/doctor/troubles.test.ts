import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { MailboxConfig } from '../../src/mailbox-config.ts';
import type { Behaviour } from '../../src/sandbox/behaviour.ts';
import { makeCertificate } from '../../src/sandbox/certificate.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.ts';
import { type DnsServer, startDnsServer, type Zone } from '../support/dns-server.ts';
import { mailboxOf } from '../support/postroom.ts';
import { freePort } from '../support/process.ts';
import { examineMailbox, examineSandbox, HEALTHY_ZONE, MAILBOX } from './patient.ts';

let sandbox: Sandbox;
let dns: DnsServer;
beforeAll(async () => {
  sandbox = await startSandbox({ mailboxes: [MAILBOX] });
  dns = await startDnsServer(HEALTHY_ZONE);
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
  await dns[Symbol.asyncDispose]();
});

const ORDINARY: Behaviour = {
  ...{ greeting: null, hello: null, startTls: null, auth: null, mail: null, message: null, reset: null, rcpt: null },
  ...{ token: null, entra: null, advertise: null, limits: null },
};
afterEach(() => sandbox.behave(ORDINARY));

const here = () => ({ dns: { servers: [dns.address] } });
const oauth = (of = sandbox) => mailboxOf(of).auth as Extract<MailboxConfig['auth'], { clientSecret: string }>;
const smtpOf = (change: Partial<MailboxConfig['smtp']>, of = sandbox) => ({ ...mailboxOf(of).smtp, ...change });

test('a healthy mailbox has nothing wrong, down to a real message', async () => {
  const { troubles, step, steps } = await examineSandbox(sandbox, {}, here(), true);
  expect(troubles).toEqual([]);
  expect(step('send').finding).toContain('Sent to billing@contoso.com');
  expect(sandbox.inbox.messages().at(-1)).toBeDefined();
  const skipped = steps.filter(({ status }) => status === 'skipped').map(({ id }) => id);
  expect(skipped).toEqual(['secretExpiry', 'redis', 'redisEviction', 'redisDurability', 'redisMemory', 'tcpIpv6']);
});

test('without --send nothing is sent', async () => {
  await sandbox.inbox.clear();
  const { step } = await examineSandbox(sandbox, {}, here());
  expect(step('send')).toMatchObject({ status: 'skipped', finding: expect.stringContaining('--send') });
  expect(sandbox.inbox.messages()).toHaveLength(0);
});

describe('what Microsoft 365 or Entra ID does', () => {
  const cases: [string, Behaviour, step: string, code: string | undefined, words: RegExp][] = [
    [
      'a server that is too busy to greet',
      { greeting: { reply: '421 4.3.2 Service not available' } },
      'banner fail',
      'server_busy',
      /421 4\.3\.2/,
    ],
    [
      'a server that never greets',
      { greeting: { afterwards: 'hang' } },
      'banner fail',
      'timeout',
      /Greeting never received/,
    ],
    [
      'a connection cut before the greeting',
      { greeting: { afterwards: 'drop' } },
      'banner fail',
      'connection_dropped',
      /closed unexpectedly/,
    ],
    [
      'EHLO refused for its name',
      { hello: { reply: '501 5.5.4 Invalid domain name' } },
      'ehlo fail',
      'client_config_invalid',
      /501/,
    ],
    ['no STARTTLS', { advertise: { startTls: false } }, 'startTls fail', undefined, /does not offer STARTTLS/],
    [
      'STARTTLS refused',
      { startTls: { reply: '454 4.7.0 TLS not available' } },
      'startTls fail',
      'tls_required',
      /454/,
    ],
    [
      'no XOAUTH2',
      { advertise: { mechanisms: ['LOGIN'] } },
      'authMechanisms fail',
      undefined,
      /Only LOGIN; XOAUTH2 is needed/,
    ],
    ['no login at all', { advertise: { mechanisms: [] } }, 'authMechanisms fail', undefined, /None/],
    ['a wrong secret', { token: { code: 7000215 } }, 'token fail', 'token_credentials_invalid', /AADSTS7000215/],
    ['an expired secret', { token: { code: 7000222 } }, 'token fail', 'token_credentials_invalid', /AADSTS7000222/],
    ['a token endpoint that is down', { token: { status: 503 } }, 'token fail', 'token_unavailable', /HTTP 503/],
    [
      'a token endpoint that is throttled',
      { token: { status: 429, retryAfterSeconds: 9 } },
      'token fail',
      'token_unavailable',
      /HTTP 429/,
    ],
    [
      'a token endpoint that hangs',
      { token: { afterwards: 'hang' } },
      'token fail',
      'token_unavailable',
      /no answer in time/,
    ],
    ['a token endpoint that hangs up', { token: { afterwards: 'drop' } }, 'token fail', 'token_unavailable', /./],
    ['a token endpoint that answers garbage', { token: { body: 'not JSON' } }, 'token fail', 'token_unavailable', /./],
    [
      'a token for Graph',
      { entra: { claims: { aud: 'https://graph.microsoft.com' } } },
      'tokenClaims fail',
      undefined,
      /Graph/,
    ],
    [
      'a token of another tenant',
      { entra: { claims: { tid: '11111111-2222-3333-4444-555555555555' } } },
      'tokenClaims fail',
      undefined,
      /another tenant/,
    ],
    [
      'a token without a role, as with application RBAC',
      { entra: { claims: { roles: null } } },
      'tokenClaims warn',
      undefined,
      /lacks the role SMTP\.SendAsApp/,
    ],
    [
      'a clock that is ten minutes behind',
      { entra: { clockAheadSeconds: 600 } },
      'clock fail',
      undefined,
      /600 s behind|601 s behind|599 s behind/,
    ],
    ['a clock that is a minute ahead', { entra: { clockAheadSeconds: -60 } }, 'clock warn', undefined, /ahead/],
    [
      'SMTP AUTH switched off',
      { auth: { reply: 'auth-535-5.7.139-smtpauth-tenant' } },
      'auth fail',
      'auth_smtp_disabled',
      /disabled for the Tenant/,
    ],
    [
      'a token that Exchange refuses',
      { auth: { reply: 'auth-535-5.7.3-oauth' } },
      'auth fail',
      'auth_token_invalid',
      /535 5\.7\.3/,
    ],
    ['a login that is cut', { auth: { afterwards: 'drop' } }, 'auth fail', 'connection_dropped', /closed/],
    [
      'Send As denied at MAIL',
      { mail: { reply: '550 5.7.60 SMTP; Client does not have permissions to send as this sender' } },
      'mailFrom fail',
      'sender_not_permitted',
      /billing@contoso\.com: The server said: 550 5\.7\.60/,
    ],
    [
      'a RSET that is not understood',
      { reset: { reply: '500 5.3.3 Unrecognized command' } },
      'mailFrom fail',
      undefined,
      /RSET/,
    ],
  ];

  test.each(cases)('%s', async (_name, behaviour, trouble, code, words) => {
    sandbox.behave(behaviour);
    const { troubles, steps, step } = await examineSandbox(sandbox, {}, here());
    expect(troubles).toEqual([trouble]);
    const found = step(trouble.split(' ')[0] ?? '');
    expect(found.finding).toMatch(words);
    expect(found.remedy).toBeTruthy();
    if (code) expect(found.failure?.code).toBe(code);
    expect(steps.length).toBe(29);
  });

  test('no permission on the mailbox, which only a message shows', async () => {
    await using without = await startSandbox({ mailboxes: [{ ...MAILBOX, appAccess: false }] });
    expect((await examineSandbox(without, {}, here())).troubles).toEqual([]);
    const { troubles, step } = await examineSandbox(without, {}, here(), true);
    expect(troubles).toEqual(['send fail']);
    expect(step('send').failure?.code).toBe('mailbox_permission_missing');
  });

  test('Send As denied after the message; the doctor then stops', async () => {
    const from = ['billing@contoso.com', 'ceo@contoso.com', 'cfo@contoso.com'];
    const { troubles, step } = await examineSandbox(sandbox, { from }, here(), true);
    expect(troubles).toEqual(['send fail']);
    expect(step('send').finding).toContain('From ceo@contoso.com');
    expect(step('send').failure?.code).toBe('sender_not_permitted');
  });

  test('a mailbox that is busy sending is not called broken', async () => {
    sandbox.behave({ message: { reply: 'data-432-4.3.2-concurrent' } });
    expect((await examineSandbox(sandbox, {}, here(), true)).troubles).toEqual(['send warn']);
  });

  test('a wrong tenant, a wrong application and a wrong secret', async () => {
    const wrong = [
      [{ tenantId: '99999999-0000-0000-0000-000000000000' }, /AADSTS90002|AADSTS700016/],
      [{ clientId: '99999999-0000-0000-0000-000000000000' }, /AADSTS700016/],
      [{ clientSecret: 'planted-wrong-secret' }, /AADSTS7000215/],
    ] as const;
    for (const [change, words] of wrong) {
      const { troubles, step } = await examineSandbox(sandbox, { auth: { ...oauth(), ...change } }, here());
      expect(troubles).toEqual(['token fail']);
      expect(step('token').finding).toMatch(words);
      expect(step('auth')).toMatchObject({ status: 'skipped', finding: expect.stringContaining('Access token') });
    }
  });
});

describe('TLS', () => {
  const day = 86_400_000;
  async function withCertificate(options: SandboxOptions, ca?: string) {
    await using other = await startSandbox({ mailboxes: [MAILBOX], ...options });
    return await examineSandbox(other, { smtp: smtpOf({ ca: ca ?? other.caPem }, other) }, here());
  }

  test('an expired certificate', async () => {
    const certificate = await makeCertificate({
      notBefore: new Date(Date.now() - 9 * day),
      notAfter: new Date(Date.now() - day),
    });
    const { troubles, step } = await withCertificate({ certificate });
    expect(troubles).toEqual(['certificate fail']);
    expect(step('certificate').finding).toMatch(/certificate has expired.*valid until/);
    expect(step('certificate').failure?.code).toBe('tls_failed');
    expect(step('auth').status).toBe('skipped');
  });

  test('one that is about to expire is only warned of', async () => {
    const { troubles } = await withCertificate({
      certificate: await makeCertificate({ notAfter: new Date(Date.now() + 3 * day) }),
    });
    expect(troubles).toEqual(['certificate warn']);
  });

  test('a self-signed certificate, and who issued it', async () => {
    const { ca: _, ...smtp } = smtpOf({});
    const { troubles, step } = await examineSandbox(sandbox, { smtp }, here());
    expect(troubles).toEqual(['certificate fail']);
    expect(step('certificate').finding).toMatch(/self-signed certificate.*issued by localhost/);
    expect(step('certificate').remedy).toContain('M365_SMTP_CA_FILE');
  });

  test('a certificate for another name', async () => {
    const { troubles, step } = await withCertificate({
      certificate: await makeCertificate({ names: ['mail.fabrikam.com'] }),
    });
    expect(troubles).toEqual(['certificate fail']);
    expect(step('certificate').finding).toContain('mail.fabrikam.com');
    expect(step('certificate').remedy).toContain('M365_SMTP_HOST');
  });

  test('only TLS 1.1', async () => {
    const { troubles, step } = await withCertificate({ tls: 'old' });
    expect(troubles).toEqual(['tls fail']);
    expect(step('tls').finding).toContain('no TLS 1.2 or newer');
  });

  test('no credential is sent over a session that is not trusted', async () => {
    const before = sandbox.stats().authAttempts;
    const { ca: _, ...smtp } = smtpOf({});
    await examineSandbox(sandbox, { smtp }, here());
    expect(sandbox.stats().authAttempts).toBe(before);
  });
});

describe('the network', () => {
  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) server.close();
  });
  async function serverThat(act: (socket: Socket) => void): Promise<number> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      act(socket);
    }).listen(0, '127.0.0.1');
    servers.push(server.unref());
    await once(server, 'listening');
    return (server.address() as { port: number }).port;
  }

  test('a closed port', async () => {
    const { troubles, step } = await examineSandbox(sandbox, { smtp: smtpOf({ port: await freePort() }) }, here());
    expect(troubles).toEqual(['tcpIpv4 fail']);
    expect(step('tcpIpv4')).toMatchObject({
      finding: expect.stringContaining('ECONNREFUSED'),
      failure: { code: 'connection_failed' },
    });
    expect(step('banner').status).toBe('skipped');
  });

  test('a black hole that lets us connect and says nothing', async () => {
    const port = await serverThat(() => undefined);
    const { troubles, step } = await examineSandbox(sandbox, { smtp: smtpOf({ port }) }, here());
    expect(troubles).toEqual(['banner fail']);
    expect(step('banner').failure?.code).toBe('timeout');
  });

  test('another program on the port', async () => {
    const port = await serverThat((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const { troubles, step } = await examineSandbox(sandbox, { smtp: smtpOf({ port }) }, here());
    expect(troubles).toEqual(['banner fail']);
    expect(step('banner').failure?.code).toBe('protocol_error');
  });

  test('a server that never ends its line costs neither time nor memory', async () => {
    const port = await serverThat((socket) => {
      const timer = setInterval(() => socket.write(`220-${'x'.repeat(10_000)}`), 1);
      socket.once('close', () => clearInterval(timer));
    });
    expect((await examineSandbox(sandbox, { smtp: smtpOf({ port }) }, here())).troubles).toEqual(['banner fail']);
  });

  test('something else after STARTTLS than TLS', async () => {
    const port = await serverThat((socket) => {
      socket.write('220 hello\r\n');
      socket.on('data', (chunk) => {
        const line = chunk.toString();
        if (line.startsWith('EHLO')) socket.write('250-hello\r\n250 STARTTLS\r\n');
        else socket.write('220 ready\r\nthis is no handshake\r\n');
      });
    });
    expect((await examineSandbox(sandbox, { smtp: smtpOf({ port }) }, here())).troubles).toEqual(['tls fail']);
  });

  const named = (zone: Zone) => ({ ...HEALTHY_ZONE, ...zone });
  test.each([
    ['a host name that does not exist', named({}), undefined, ['dns fail']],
    ['a host name without an address', named({ 'smtp.contoso.com': {} }), undefined, ['dns fail']],
    ['a name server that is broken for it', named({ 'smtp.contoso.com': 'servfail' }), undefined, ['dns fail']],
    ['a name server that does not answer for it', named({ 'smtp.contoso.com': 'silent' }), undefined, ['dns fail']],
    ['broken DNS altogether', {}, 'servfail', ['dns fail', 'spf warn', 'dkim warn', 'dmarc warn']],
    ['silent DNS altogether', {}, 'silent', ['dns fail', 'spf warn', 'dkim warn', 'dmarc warn']],
  ] as const)('%s', async (_name, zone, all, expected) => {
    await using server = await startDnsServer(zone as Zone, all);
    const { troubles, step } = await examineSandbox(
      sandbox,
      { smtp: smtpOf({ host: 'smtp.contoso.com' }) },
      { dns: { servers: [server.address], milliseconds: 600 } },
    );
    expect(troubles).toEqual(expected);
    expect(step('dns').failure?.category).toBe('connection');
    expect(step('token').status).toBe('ok');
  });

  test('an IPv6 address that does not answer is a warning while IPv4 works', async () => {
    await using server = await startDnsServer(named({ localhost: { A: ['127.0.0.1'], AAAA: ['::1'] } }));
    const { step, troubles } = await examineSandbox(
      sandbox,
      { smtp: smtpOf({ host: 'localhost' }) },
      { dns: { servers: [server.address] } },
    );
    expect(step('tcpIpv4').status).toBe('ok');
    expect(['warn', 'skipped']).toContain(step('tcpIpv6').status);
    expect(troubles.filter((each) => each !== 'tcpIpv6 warn')).toEqual([]);
  });
});

describe('what receivers look up', () => {
  const cases: [string, Zone, string[]][] = [
    ['no SPF', { 'contoso.com': { TXT: ['MS=ms123'] } }, ['spf warn']],
    ['SPF without Microsoft', { 'contoso.com': { TXT: ['v=spf1 mx -all'] } }, ['spf warn']],
    [
      'SPF twice',
      { 'contoso.com': { TXT: ['v=spf1 -all', 'v=spf1 include:spf.protection.outlook.com -all'] } },
      ['spf warn'],
    ],
    [
      'SPF that includes one that names Microsoft',
      {
        'contoso.com': { TXT: ['v=spf1 include:_spf.contoso.com -all'] },
        '_spf.contoso.com': { TXT: ['v=spf1 include:spf.protection.outlook.com ~all'] },
      },
      [],
    ],
    ['SPF that includes itself', { 'contoso.com': { TXT: ['v=spf1 include:contoso.com -all'] } }, ['spf warn']],
    ['one DKIM selector', { 'selector2._domainkey.contoso.com': {} }, ['dkim warn']],
    ['no DMARC', { '_dmarc.contoso.com': {} }, ['dmarc warn']],
    ['a lookup that gets no answer', { '_dmarc.contoso.com': 'silent' }, ['dmarc warn']],
  ];
  test.each(cases)('%s', async (_name, zone, expected) => {
    await using server = await startDnsServer({ ...HEALTHY_ZONE, ...zone });
    const { troubles } = await examineSandbox(sandbox, {}, { dns: { servers: [server.address], milliseconds: 900 } });
    expect(troubles).toEqual(expected);
  });

  test('a subdomain is under the DMARC policy of its organisation', async () => {
    await using server = await startDnsServer(HEALTHY_ZONE);
    const { step } = await examineSandbox(
      sandbox,
      { from: ['*@mail.contoso.com'] },
      { dns: { servers: [server.address] } },
    );
    expect(step('dmarc').finding).toContain('of contoso.com');
  });
});

describe('the configuration', () => {
  const password = { type: 'password', password: MAILBOX.password } as const;
  const soon = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
  const cases: [string, () => Partial<MailboxConfig>, string[], RegExp][] = [
    ['a password', () => ({ auth: password }), ['loginMethod warn'], /December 2026.*second half of 2027/],
    ['another From address', () => ({ from: ['sales@contoso.com'] }), ['senders warn'], /sales@contoso\.com/],
    [
      'a From address on onmicrosoft.com',
      () => ({ from: ['a@contoso.onmicrosoft.com'] }),
      ['senders warn'],
      /onmicrosoft/,
    ],
    [
      'an EHLO name without a dot',
      () => ({ smtp: smtpOf({ heloName: 'container7f' }) }),
      ['heloName fail', 'ehlo'],
      /fully qualified/,
    ],
    [
      'too many connections',
      () => ({ limits: { ...mailboxOf(sandbox).limits, connections: 8 } }),
      ['limits warn'],
      /8 connections/,
    ],
    [
      'too fast a pace',
      () => ({ limits: { ...mailboxOf(sandbox).limits, messagesPerMinute: 300 } }),
      ['limits warn'],
      /300 messages/,
    ],
    [
      'a secret that ends soon',
      () => ({ auth: { ...oauth(), secretExpires: soon(12) } }),
      ['secretExpiry warn'],
      /in 1[12] days/,
    ],
    [
      'a secret that has ended',
      () => ({ auth: { ...oauth(), secretExpires: soon(-3) } }),
      ['secretExpiry fail'],
      /ended/,
    ],
    ['a process without a login', () => ({ auth: undefined }) as never, ['loginMethod warn'], /no login/],
  ];
  test.each(cases)('%s', async (_name, change, expected, words) => {
    const { troubles, step } = await examineSandbox(sandbox, change(), here());
    const [first = ''] = expected;
    expect(troubles.filter((each) => !expected.includes(each.split(' ')[0] ?? ''))).toEqual([first]);
    expect(step(first.split(' ')[0] ?? '').finding).toMatch(words);
  });

  test('two mailboxes with one login share its three connections', async () => {
    const one = mailboxOf(sandbox);
    const { troubles, step } = await examineMailbox(one, [one, { ...one, id: 'other' }], here());
    expect(troubles).toEqual(['limits warn']);
    expect(step('limits').finding).toMatch(/6 connections.*main, other/);
  });

  test('a wrong password is tried once only', async () => {
    const before = sandbox.stats().authAttempts;
    const auth = { type: 'password', password: 'planted-wrong-password' } as const;
    const { troubles, step } = await examineSandbox(sandbox, { auth }, here());
    expect(troubles).toEqual(['loginMethod warn', 'auth fail']);
    expect(step('auth').failure?.code).toBe('auth_invalid_credentials');
    expect(sandbox.stats().authAttempts).toBe(before + 1);
  });
});
