import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createSecureContext, type SecureVersion, TLSSocket } from 'node:tls';
import { type Certificate, makeCertificate } from '../../src/sandbox/certificate.ts';

/** What a server says to a line; undefined says nothing. `hear` is the whole connection since the login, for a check. */
export type Script = (line: string, heard: readonly string[], socket: Socket) => string | undefined;

/** How its TLS is other than usual. Each is read anew for every connection. */
export interface ScriptedTls {
  certificate?: Certificate;
  maxVersion?: SecureVersion;
  /** Anything else than before makes all tickets of before void, as a restart does. */
  ticketKeys?: Buffer;
  /** Has the connection to itself once STARTTLS was answered; true says that it has dealt with it. */
  insteadOfHandshake?: (plain: Socket) => boolean;
  /** Once the handshake is over. */
  secured?: (secure: TLSSocket, isResumed: boolean) => void;
  /** What AUTH gets in the end; undefined never answers. */
  welcome?: () => string | undefined;
}

export interface ScriptedServer {
  readonly port: number;
  readonly caPem: string;
  /** Of each connection that asked for TLS: did it take up the session of an earlier one? Undefined where none came about. */
  readonly resumed: (boolean | undefined)[];
  /** What was said after the login, line by line; a body is lines like any other. */
  readonly heard: string[];
  /** Says something unasked, on the newest connection. */
  blurt(text: string): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A server that lets everybody in by STARTTLS and AUTH LOGIN and then says what a test wants, however wrong. */
export async function startScriptedServer(
  script: Script,
  offers: string[],
  tls: ScriptedTls = {},
): Promise<ScriptedServer> {
  const usual = tls.certificate ?? (await makeCertificate());
  const usualTicketKeys = randomBytes(48);
  const resumed: (boolean | undefined)[] = [];
  const sockets = new Set<Socket>();
  const heard: string[] = [];
  let newest: Socket | undefined;

  const server = createServer((plain) => {
    sockets.add(plain);
    plain.on('error', () => undefined).on('close', () => sockets.delete(plain));
    plain.write('220 scripted ESMTP\r\n');
    onLines(plain, (line, stop) => {
      if (/^EHLO/.test(line)) plain.write('250-scripted\r\n250 STARTTLS\r\n');
      if (line !== 'STARTTLS') return;
      stop();
      plain.write('220 Go ahead\r\n');
      const connection = resumed.push(undefined) - 1;
      if (tls.insteadOfHandshake?.(plain)) return;
      const secure = new TLSSocket(plain, { isServer: true, secureContext: contextNow() });
      secure
        .on('error', () => undefined)
        .once('secure', () => {
          resumed[connection] = secure.isSessionReused();
          tls.secured?.(secure, secure.isSessionReused());
        });
      newest = secure;
      converse(secure);
    });
  });

  function contextNow() {
    const { key, cert } = tls.certificate ?? usual;
    const { maxVersion, ticketKeys = usualTicketKeys } = tls;
    return createSecureContext({ key, cert, ticketKeys, ...(maxVersion && { maxVersion }) });
  }

  function converse(secure: TLSSocket): void {
    let isIn = false;
    let asked = 0;
    onLines(secure, (line) => {
      if (isIn) {
        heard.push(line);
        const answer = script(line, heard, secure);
        if (answer !== undefined && secure.writable) secure.write(`${answer}\r\n`);
        return;
      }
      if (/^EHLO/.test(line)) {
        secure.write(`${['scripted', ...offers].map((offer) => `250-${offer}`).join('\r\n')}\r\n250 AUTH LOGIN\r\n`);
        return;
      }
      asked += 1;
      if (asked < 3) return void secure.write('334 VXNlcm5hbWU6\r\n');
      const welcome = tls.welcome ? tls.welcome() : '235 2.7.0 In';
      isIn = welcome?.startsWith('235') ?? false;
      if (welcome !== undefined) secure.write(`${welcome}\r\n`);
    });
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    caPem: usual.caPem,
    resumed,
    heard,
    blurt: (text) => void newest?.write(text),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function onLines(socket: Socket, onLine: (line: string, stop: () => void) => void): void {
  let rest = '';
  const onData = (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1')).split('\r\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line, stop);
  };
  const stop = () => void socket.off('data', onData);
  socket.on('data', onData);
}
