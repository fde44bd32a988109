import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { makeCertificate } from '../../src/sandbox/certificate.ts';

/** What a server says to a line; undefined says nothing. `hear` is the whole connection since the login, for a check. */
export type Script = (line: string, heard: readonly string[], socket: Socket) => string | undefined;

export interface ScriptedServer {
  readonly port: number;
  readonly caPem: string;
  /** What was said after the login, line by line; a body is lines like any other. */
  readonly heard: string[];
  /** Says something unasked, on the newest connection. */
  blurt(text: string): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A server that lets everybody in by STARTTLS and AUTH LOGIN and then says what a test wants, however wrong. */
export async function startScriptedServer(script: Script, offers: string[]): Promise<ScriptedServer> {
  const certificate = await makeCertificate();
  const context = createSecureContext({ key: certificate.key, cert: certificate.cert });
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
      const secure = new TLSSocket(plain, { isServer: true, secureContext: context });
      secure.on('error', () => undefined);
      newest = secure;
      converse(secure);
    });
  });

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
      isIn = asked === 3;
      secure.write(isIn ? '235 2.7.0 In\r\n' : '334 VXNlcm5hbWU6\r\n');
    });
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    caPem: certificate.caPem,
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
