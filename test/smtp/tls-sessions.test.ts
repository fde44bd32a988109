import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { makeCertificate } from '../../src/sandbox/certificate.ts';
import { openConnection, quitConnection } from '../../src/smtp/connection.ts';
import { withoutCertificate } from '../../src/smtp/lean-session.ts';
import { openProbe } from '../../src/smtp/probe.ts';
import { resumeOn, type TlsSessions, tlsSessions } from '../../src/smtp/tls-sessions.ts';
import { type ScriptedServer, type ScriptedTls, startScriptedServer } from '../support/scripted-smtp.ts';

const MINUTE = 60_000;
const HELO = 'gateway.contoso.com';

afterEach(() => void vi.useRealTimers());

function server(tls: ScriptedTls = {}): Promise<ScriptedServer> {
  return startScriptedServer((line) => (line === 'QUIT' ? '221 Bye' : '250 Yes'), [], tls);
}

/** Logs in and leaves again. @returns what went wrong, if anything did */
async function visit({ port, caPem }: ScriptedServer, { host = '127.0.0.1', ca = caPem } = {}) {
  const login = { type: 'password', user: 'main@contoso.com', password: 'let me in' } as const;
  const opening = await openConnection({ host, port, ca, heloName: HELO }, login);
  if (!opening.ok) return opening.trouble;
  await quitConnection(opening.connection);
  return undefined;
}

/** As far as STARTTLS and EHLO, with the sessions of one server, `it`. @returns its TLS socket */
async function connectOnce(
  { port }: ScriptedServer,
  sessions: TlsSessions,
  tls: ConnectionOptions,
): Promise<TLSSocket> {
  const connection = new SMTPConnection({ host: '127.0.0.1', port, requireTLS: true, tls });
  resumeOn(connection, tls, 'it', sessions);
  connection.connect(() => undefined);
  await once(connection, 'connect');
  connection.close();
  return (connection as unknown as { _socket: TLSSocket })._socket;
}

describe('the next connection to a server', () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
    it(`takes up the session of the one before over ${maxVersion}, and logs in anew`, async () => {
      let logins = 0;
      const welcome = () => `235 2.7.0 You are number ${++logins}`;
      await using tried = await server({ maxVersion, welcome });
      for (let time = 0; time < 4; time++) expect(await visit(tried)).toBeUndefined();
      expect(tried.resumed).toEqual([false, true, true, true]);
      expect(logins).toBe(4);
    });

  it('makes a whole handshake where the server is called by another name', async () => {
    await using tried = await server();
    for (const host of ['127.0.0.1', 'localhost', '127.0.0.1', 'localhost']) await visit(tried, { host });
    expect(tried.resumed).toEqual([false, false, true, true]);
  });

  it('is refused by a name that the certificate is not for, although the server is known by another', async () => {
    const certificate = await makeCertificate({ names: ['127.0.0.1'] });
    await using tried = await server({ certificate });
    expect(await visit(tried)).toBeUndefined();
    expect(await visit(tried, { host: 'localhost' })).toMatchObject({ via: 'client', stage: 'connect' });
  });

  it('makes a whole handshake where other roots are trusted', async () => {
    await using tried = await server();
    await visit(tried);
    const { caPem } = await makeCertificate({ names: ['ca.contoso.com'] });
    expect(await visit(tried, { ca: caPem })).toMatchObject({ message: expect.stringContaining('self-signed') });
    expect(await visit(tried, { ca: `${tried.caPem}\n${caPem}` })).toBeUndefined();
    expect(tried.resumed.at(-1)).toBe(false);
  });

  it('makes a whole handshake where the server has restarted and forgotten its tickets', async () => {
    const tls: ScriptedTls = { ticketKeys: Buffer.alloc(48, 1) };
    await using tried = await server(tls);
    await visit(tried);
    tls.ticketKeys = Buffer.alloc(48, 2);
    for (let time = 0; time < 2; time++) expect(await visit(tried)).toBeUndefined();
    expect(tried.resumed).toEqual([false, false, true]);
  });
});

describe('a certificate that was verified', () => {
  it('is looked at again after an hour', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    await using tried = await server();
    for (const minutes of [0, 59, 2, 2]) {
      vi.setSystemTime(Date.now() + minutes * MINUTE);
      await visit(tried);
    }
    expect(tried.resumed).toEqual([false, true, false, true]);
  });

  it('is not believed past its own end', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const notAfter = new Date(Date.now() + 10 * MINUTE);
    await using tried = await server({ certificate: await makeCertificate({ notAfter }) });
    for (const minutes of [0, 9, 2]) {
      vi.setSystemTime(Date.now() + minutes * MINUTE);
      await visit(tried);
    }
    expect(tried.resumed).toEqual([false, true, false]);
  });

  it('is looked at again where the clock was set back', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    await using tried = await server();
    await visit(tried);
    vi.setSystemTime(Date.now() - MINUTE);
    await visit(tried);
    expect(tried.resumed).toEqual([false, false]);
  });

  it('grows no younger by a newer ticket, which takes the place of the one that was used', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    await using tried = await server();
    const sessions = tlsSessions();
    await connectOnce(tried, sessions, { ca: tried.caPem });
    const first = sessions.find('it');
    vi.setSystemTime(Date.now() + 40 * MINUTE);
    const socket = await connectOnce(tried, sessions, { ca: tried.caPem });
    // Node's own servers hand out none to whoever has taken up a session; others do.
    socket.emit('session', Buffer.from('a newer one'));
    expect(tried.resumed).toEqual([false, true]);
    expect(sessions.find('it')).toEqual({ ...first, session: Buffer.from('a newer one') });
  });

  it('leaves no session behind where it was not trusted', async () => {
    await using tried = await server();
    const sessions = tlsSessions();
    await connectOnce(tried, sessions, { rejectUnauthorized: false });
    expect(tried.resumed).toEqual([false]);
    expect(sessions.find('it')).toBeUndefined();
  });

  it('is shown to an examination by a handshake of its own', async () => {
    await using tried = await server();
    await visit(tried);
    await visit(tried);
    const { port, caPem: ca } = tried;
    const opened = await openProbe('127.0.0.1', { host: '127.0.0.1', port, ca, heloName: HELO }, { user: 'main' });
    if (!opened.ok) throw new Error(JSON.stringify(opened.trouble));
    const { greeting, hello, startTls, secure, quit } = opened.conversation;
    for (const step of [greeting, hello, startTls]) await step();
    expect(await secure()).toMatchObject({ ok: true, chain: [{ subject: 'localhost' }] });
    await quit();
    expect(tried.resumed).toEqual([false, true, false]);
  });
});

const ALERT = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28]);

describe('a session that the server does not want any more', () => {
  const refusals: [string, (plain: Socket) => void][] = [
    ['hangs up on', (plain) => void plain.end()],
    ['resets', (plain) => void plain.resetAndDestroy()],
    ['refuses with an alert', (plain) => void plain.write(ALERT)],
    ['answers with rubbish', (plain) => void plain.write('550 What is this?\r\n')],
  ];
  for (const [does, refuse] of refusals)
    it(`is given up where it ${does}, and the connection is opened all the same`, async () => {
      const tls: ScriptedTls = {};
      await using tried = await server(tls);
      await visit(tried);
      let refused = 0;
      tls.insteadOfHandshake = (plain) => {
        if (refused++ > 0) return false;
        refuse(plain);
        return true;
      };
      for (let time = 0; time < 2; time++) expect(await visit(tried)).toBeUndefined();
      expect(tried.resumed).toEqual([false, undefined, false, true]);
    });

  it('is given up where the server breaks whatever takes it up', async () => {
    await using tried = await server({ secured: (secure, isResumed) => void (isResumed && secure.destroy()) });
    for (let time = 0; time < 3; time++) expect(await visit(tried)).toBeUndefined();
    expect(tried.resumed).toEqual([false, true, false, true, false]);
  });

  it('is given up although other connections are handed new ones meanwhile', async () => {
    await using tried = await server({ secured: (secure, isResumed) => void (isResumed && secure.destroy()) });
    for (let round = 0; round < 4; round++) {
      const visits = await Promise.all(Array.from({ length: 12 }, () => visit(tried)));
      expect(visits).toEqual(visits.map(() => undefined));
    }
    expect(tried.resumed).toContain(true);
  });

  it('is not blamed for a whole handshake that fails: that is not tried twice', async () => {
    const tls: ScriptedTls = { insteadOfHandshake: (plain) => !!plain.end() };
    await using tried = await server(tls);
    expect(await visit(tried)).toMatchObject({ via: 'client' });
    expect(tried.resumed).toHaveLength(1);
  });

  it('is given up where a login is not answered, which is not sent twice', async () => {
    let answer: string | undefined = '235 2.7.0 In';
    const tls: ScriptedTls = { welcome: () => answer };
    await using tried = await server(tls);
    await visit(tried);
    answer = undefined;
    tls.secured = (secure) => {
      // After the name and the password, of which each is a line.
      let lines = 0;
      secure.on('data', () => void (++lines === 4 && secure.destroy()));
    };
    expect(await visit(tried)).toMatchObject({ via: 'client' });
    expect(tried.resumed).toEqual([false, true]);
    answer = '235 2.7.0 In';
    delete tls.secured;
    await visit(tried);
    expect(tried.resumed).toEqual([false, true, false]);
  });

  it('outlives a login that was refused, for which nothing is tried twice', async () => {
    let answer = '235 2.7.0 In';
    await using tried = await server({ welcome: () => answer });
    await visit(tried);
    answer = '535 5.7.3 Authentication unsuccessful';
    expect(await visit(tried)).toMatchObject({ via: 'smtp', reply: { code: 535 } });
    answer = '235 2.7.0 In';
    await visit(tried);
    expect(tried.resumed).toEqual([false, true, true]);
  });
});

describe('what is kept', () => {
  const kept = (octet: number) => ({
    session: Buffer.of(octet),
    verifiedAt: Date.now(),
    until: Date.now() + MINUTE,
  });

  it('has the certificate in it only over TLS 1.2, where Node does not do without', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      await using tried = await server({ maxVersion });
      const sessions = tlsSessions();
      await connectOnce(tried, sessions, { ca: tried.caPem });
      const certificate = new X509Certificate(tried.caPem).raw;
      expect(sessions.find('it')?.session.includes(certificate)).toBe(maxVersion === 'TLSv1.2');
    }
  });

  it('is the newest session of each server, and of so many servers those that were used last', () => {
    const sessions = tlsSessions(2);
    sessions.keep('a', kept(1));
    sessions.keep('b', kept(2));
    sessions.keep('a', kept(3));
    sessions.find('b');
    sessions.keep('c', kept(4));
    expect(['a', 'b', 'c'].map((each) => sessions.find(each)?.session[0])).toEqual([undefined, 2, 4]);
    sessions.keep('c', kept(5));
    expect(sessions.find('c')?.session[0]).toBe(5);
  });
});

describe('a session that is not as OpenSSL writes it', () => {
  const field = [0xa3, 2, 5, 0];
  it.each([
    ['is empty', []],
    ['is no sequence', [0x04, 4, ...field]],
    ['ends too soon', [0x30, 5, ...field]],
    ['goes on behind its end', [0x30, 4, ...field, 0]],
    ['has a field that is longer than it', [0x30, 4, 0xa3, 3, 5, 0]],
    ['has a length without an end', [0x30, 4, 0xa3, 0x80, 5, 0]],
    ['has a length that ends too soon', [0x30, 0x83, 1]],
    ['has no certificate', [0x30, 3, 2, 1, 1]],
  ])('stays as it is: one that %s', (_what, octets) => {
    const session = Buffer.from(octets);
    expect(withoutCertificate(session)).toBe(session);
  });

  it.each([2, 0x79, 0x80, 0xfe, 0x100, 0xfffe, 0x10000])(
    'loses only its certificate, with %d octets beside',
    (length) => {
      const other = Buffer.concat([Buffer.of(0x04, 0x83, length >> 16, length >> 8, length), Buffer.alloc(length)]);
      const whole = (content: Buffer) => {
        const octets = Buffer.of(0x30, 0x83, content.length >> 16, content.length >> 8, content.length);
        return Buffer.concat([octets, content]);
      };
      const lean = withoutCertificate(whole(Buffer.concat([other, Buffer.from(field)])));
      const header = lean.length - other.length;
      expect(lean.subarray(header).equals(other)).toBe(true);
      expect(lean[0]).toBe(0x30);
      expect(header === 2 ? lean[1] : lean.readUIntBE(2, header - 2)).toBe(other.length);
    },
  );

  it('keeps the host that newer versions of Node write before it', () => {
    const host = Buffer.from('\0nodejs:tls:session:1\0\0\x03abc', 'latin1');
    const session = (content: number[]) => Buffer.concat([host, Buffer.of(0x30, content.length, ...content)]);
    expect(withoutCertificate(session([2, 1, 1, ...field]))).toEqual(session([2, 1, 1]));
    const cut = session(field).subarray(0, host.length - 2);
    expect(withoutCertificate(cut)).toBe(cut);
  });
});
