import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Trouble } from '../failure/failure.ts';
import { parseReply, type Reply, type Stage } from '../mail/reply.ts';
import { type PresentedCertificate, presentedChain, whyUntrusted } from './presented-certificate.ts';
import { type ReplyReader, readReplies } from './reply-reader.ts';
import { trusting } from './trust.ts';

/** What was heard: a reply of any kind, or why there was none. */
export type Heard = { ok: true; reply: Reply } | { ok: false; trouble: Trouble };

export type Secured =
  | {
      ok: true;
      version: string;
      cipher: string;
      chain: PresentedCertificate[];
      untrusted?: { code: string; message: string };
    }
  | { ok: false; trouble: Trouble };

export interface ProbedServer {
  host: string;
  port: number;
  ca?: string;
  heloName: string;
}

export interface ProbedLogin {
  user: string;
  /** Absent for a mailbox that logs in with a token. */
  password?: string;
}

/** Bounds on each wait, in milliseconds. */
export interface ProbeWaits {
  connect: number;
  /** For the greeting; servers that delay it on purpose take some seconds. */
  greeting: number;
  handshake: number;
  reply: number;
  /** For the answer to a whole message. */
  message: number;
}

export const USUAL_WAITS: ProbeWaits = {
  connect: 10_000,
  greeting: 20_000,
  handshake: 10_000,
  reply: 20_000,
  message: 60_000,
};

export type Probe = Awaited<ReturnType<typeof talkTo>>;

/** Opens a TCP connection to one address of the server. Never rejects. */
export async function openProbe(
  address: string,
  server: ProbedServer,
  login: ProbedLogin,
  waits: ProbeWaits = USUAL_WAITS,
): Promise<{ ok: true; conversation: Probe } | { ok: false; trouble: Trouble }> {
  const socket = connect({ host: address, port: server.port });
  const trouble = await settled(socket, 'connect', waits.connect, 'connect', 'Connection timeout');
  if (!trouble) return { ok: true, conversation: talkTo(socket, server, login, waits) };
  socket.destroy();
  return { ok: false, trouble };
}

/**
 * An SMTP session taken one step at a time, for diagnosis: it tells everything and decides nothing. Each step sends one
 * command and waits for one reply, however bad it is (RFC 5321 §4.2). Unlike the connection that delivers, the handshake
 * is completed with an untrusted certificate too, so that it can be shown; then no credential is sent.
 */
function talkTo(tcp: Socket, server: ProbedServer, login: ProbedLogin, waits: ProbeWaits) {
  let replies: ReplyReader = readReplies(tcp);
  let socket: Socket = tcp;
  let isTrusted = false;

  async function hear(stage: Stage, what: string, wait = waits.reply): Promise<Heard> {
    const read = await replies.next(wait);
    if ('lost' in read) return { ok: false, trouble: client(stage, ...lostWords(read.lost, what)) };
    const reply = parseReply(read.text, stage);
    if (reply) return { ok: true, reply };
    const words = `Invalid ${stage === 'greeting' ? 'greeting' : 'response'}. response=${read.text.slice(0, 200)}`;
    return { ok: false, trouble: client(stage, 'EPROTOCOL', words) };
  }

  async function ask(stage: Stage, line: string, what: string): Promise<Heard> {
    socket.write(`${line}\r\n`);
    return hear(stage, what);
  }

  async function secure(): Promise<Secured> {
    replies.stop();
    const names = isIP(server.host) ? { host: server.host } : { host: server.host, servername: server.host };
    const secured = connectTls({
      socket: tcp,
      ...names,
      // As connections that deliver trust it, but with no session of theirs: a resumed one shows no certificate.
      secureContext: trusting(server.ca).context,
      // Completed with any certificate, in order to show it; logIn refuses to go on with an untrusted one.
      rejectUnauthorized: false,
    });
    const trouble = await settled(secured, 'secureConnect', waits.handshake, 'tls', 'The TLS handshake timed out');
    if (trouble) return { ok: false, trouble };
    socket = secured;
    replies = readReplies(secured);
    isTrusted = secured.authorized;
    return describeSession(secured);
  }

  async function logIn(token?: string): Promise<Heard> {
    if (!isTrusted) throw new Error('No credential is sent over a session that is not trusted');
    if (token !== undefined) {
      const response = Buffer.from(`user=${login.user}\u0001auth=Bearer ${token}\u0001\u0001`).toString('base64');
      const heard = await ask('auth', `AUTH XOAUTH2 ${response}`, 'AUTH XOAUTH2');
      // A 334 carries the error; the final reply follows an empty line.
      return heard.ok && heard.reply.code === 334 ? ask('auth', '', 'AUTH XOAUTH2') : heard;
    }
    let heard = await ask('auth', 'AUTH LOGIN', 'AUTH LOGIN');
    for (const part of [login.user, login.password ?? '']) {
      if (!heard.ok || heard.reply.code !== 334) return heard;
      heard = await ask('auth', Buffer.from(part).toString('base64'), 'AUTH LOGIN');
    }
    return heard;
  }

  async function submit(reversePath: string, recipient: string, mime: Buffer): Promise<Heard> {
    const commands = [
      ['mail', `MAIL FROM:<${reversePath}>`, 'MAIL FROM'],
      ['rcpt', `RCPT TO:<${recipient}>`, 'RCPT TO'],
      ['data', 'DATA', 'DATA'],
    ] as const;
    for (const [stage, line, what] of commands) {
      const heard = await ask(stage, line, what);
      if (!heard.ok || heard.reply.code >= 400) return heard;
    }
    const text = mime.toString('latin1').replace(/^\./gm, '..');
    socket.write(`${text}${text.endsWith('\r\n') ? '' : '\r\n'}.\r\n`, 'latin1');
    return hear('after-dot', 'the message', waits.message);
  }

  return {
    greeting: () => hear('greeting', 'Greeting', waits.greeting),
    hello: () => ask('ehlo', `EHLO ${server.heloName}`, 'EHLO'),
    startTls: () => ask('tls', 'STARTTLS', 'STARTTLS'),
    secure,
    logIn,
    mail: (reversePath: string) => ask('mail', `MAIL FROM:<${reversePath}>`, 'MAIL FROM'),
    reset: () => ask('mail', 'RSET', 'RSET'),
    submit,
    async quit() {
      if (!socket.destroyed && socket.writable) {
        socket.write('QUIT\r\n');
        await replies.next(QUIT_WAIT);
      }
      replies.stop();
      socket.destroy();
      tcp.destroy();
    },
  };
}

const QUIT_WAIT = 1_000;

function describeSession(secured: TLSSocket): Secured {
  const chain = presentedChain(secured.getPeerCertificate(true));
  const untrusted = secured.authorized ? undefined : whyUntrusted(secured.authorizationError);
  const { name } = secured.getCipher();
  return {
    ok: true,
    version: secured.getProtocol() ?? 'unknown',
    cipher: name,
    chain,
    ...(untrusted && { untrusted }),
  };
}

function lostWords(lost: 'timeout' | 'closed' | Error, what: string): [code: string, message: string] {
  if (lost === 'timeout')
    return ['ETIMEDOUT', what === 'Greeting' ? 'Greeting never received' : `Timeout: no answer to ${what}`];
  if (lost === 'closed') return ['ECONNECTION', 'Connection closed unexpectedly'];
  return ['ESOCKET', lost.message];
}

function client(stage: Stage, code: string, message: string): Trouble {
  return { via: 'client', code, message, stage };
}

/** Waits for one event of a socket, no longer than `wait`. @returns what went wrong */
function settled(
  socket: Socket,
  event: string,
  wait: number,
  stage: Stage,
  onTimeout: string,
): Promise<Trouble | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(client(stage, 'ETIMEDOUT', onTimeout)), wait);
    const end = (trouble?: Trouble) => {
      clearTimeout(timer);
      resolve(trouble);
    };
    // Later errors of this socket have nobody else to hear them.
    socket.on('error', (error: NodeJS.ErrnoException) => end(failed(error, stage)));
    socket.once('close', () => end(client(stage, 'ECONNECTION', 'Connection closed unexpectedly')));
    socket.once(event, () => end());
  });
}

function failed(error: NodeJS.ErrnoException, stage: Stage): Trouble {
  const kind = stage === 'tls' ? 'ETLS' : 'ESOCKET';
  return client(stage, error.code ? `${kind} ${error.code}` : kind, error.message);
}
