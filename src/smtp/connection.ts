import type { ConnectionOptions } from 'node:tls';
import SMTPConnection, { type SMTPConnectionCustomAuthContext } from 'nodemailer/lib/smtp-connection';
import type { Trouble } from '../failure/failure.ts';
import { MAX_RESPONSE_LENGTH, parseReply, type Stage } from '../mail/reply.ts';
import { type Session, sessionOn } from './session.ts';
import { resumeOn } from './tls-sessions.ts';
import type { TokenSource } from './token.ts';
import { type Trust, trusting } from './trust.ts';

/** Where a mailbox submits its mail: RFC 6409 with mandatory STARTTLS (RFC 3207). */
export interface SmtpServer {
  host: string;
  port: number;
  /** PEM certificates to trust beside the built-in ones, for a private CA. */
  ca?: string;
  /** The name in EHLO: a fully qualified domain name, else Microsoft answers 501 5.5.4. */
  heloName: string;
}

export type Login =
  | { type: 'password'; user: string; password: string }
  | { type: 'xoauth2'; user: string; tokens: TokenSource };

export type Opening =
  | { ok: true; connection: Session }
  | { ok: false; trouble: Trouble; retryAfterMilliseconds?: number };

const CONNECT_TIMEOUT = 20_000;
const GREETING_TIMEOUT = 15_000;
const DNS_TIMEOUT = 10_000;
/** From the first packet to a login; a server that drips bytes defeats every shorter limit. */
const OPENING_DEADLINE = 60_000;
/** RFC 5321 §4.5.3.2.6: ten minutes for the answer to the final dot. */
const SOCKET_TIMEOUT = 600_000;

/**
 * Connects, upgrades to TLS and logs in. Never sends a credential without a verified TLS session.
 *
 * @returns a connection ready for MAIL FROM, or what went wrong; never throws
 */
export async function openConnection(server: SmtpServer, login: Login, signal?: AbortSignal): Promise<Opening> {
  const deadline = performance.now() + OPENING_DEADLINE;
  const trust = trusting(server.ca);
  const { mayBeItsSession, ...opening } = await dial(server, login, trust, deadline, signal);
  if (!mayBeItsSession || signal?.aborted || performance.now() >= deadline) return opening;
  // What earlier connections left must not make this one fail: once more at once, with nothing of any of them.
  const afresh = { ...trust, sessions: { ...trust.sessions, find: () => undefined } };
  const { mayBeItsSession: _, ...second } = await dial(server, login, afresh, deadline, signal);
  return second;
}

/** With a session that was taken up, and failed before a credential was sent or the server had refused anything. */
type Dialled = Opening & { mayBeItsSession?: boolean };

async function dial(
  server: SmtpServer,
  login: Login,
  { context, sessions }: Trust,
  deadline: number,
  signal?: AbortSignal,
): Promise<Dialled> {
  const tls: ConnectionOptions = { rejectUnauthorized: true, secureContext: context };
  const connection = clientFor(server, login, tls);
  // Errors of an idle connection have nobody else to hear them; `end` follows and retires the connection.
  connection.on('error', () => undefined);
  const peer = peerName(server);
  const resumption = resumeOn(connection, tls, peer, sessions);
  let isLoggingIn = false;
  const failed = await withDeadline(connection, deadline, signal, async () => {
    await step(connection, (done) => connection.connect(done));
    if (!connection.secure) throw new Error('The connection is not encrypted');
    isLoggingIn = true;
    await step(connection, (done) => connection.login(credentials(login), done));
  });
  if (!failed) return { ok: true, connection: sessionOn(connection) };
  connection.close();
  const isUnanswered = failed.trouble.via === 'client';
  if (resumption.begun && (!isLoggingIn || isUnanswered)) sessions.forget(peer);
  const mayBeItsSession = resumption.offered && !isLoggingIn && isUnanswered;
  if (mayBeItsSession) resumption.cut();
  return { ok: false, ...failed, mayBeItsSession };
}

function clientFor(server: SmtpServer, login: Login, tls: ConnectionOptions): SMTPConnection {
  return new SMTPConnection({
    host: server.host,
    port: server.port,
    secure: false,
    requireTLS: true,
    name: server.heloName,
    connectionTimeout: CONNECT_TIMEOUT,
    greetingTimeout: GREETING_TIMEOUT,
    dnsTimeout: DNS_TIMEOUT,
    socketTimeout: SOCKET_TIMEOUT,
    maxResponseSize: 64 * 1024,
    tls,
    customAuth: login.type === 'xoauth2' ? { XOAUTH2: (context) => xoauth2(context, login.tokens) } : {},
  });
}

const QUIT_MILLISECONDS = 2_000;

/**
 * Ends the session politely (RFC 5321 §4.1.1.10); resolves when the server has answered or two seconds have passed. One
 * that waits for a message's octets would take the words for them, and is just closed.
 */
export async function quitConnection(session: Session): Promise<void> {
  if (session.isOpen() && session.ahead === 0) {
    const timer = setTimeout(() => session.close(), QUIT_MILLISECONDS);
    session.say('QUIT');
    await session.hear().catch(() => undefined);
    clearTimeout(timer);
  }
  session.close();
  await session.gone;
}

/**
 * Whose certificate was checked. Node does not compare the host's name with the certificate again when a session is taken
 * up (`checkServerIdentity` is left out), so one may only be taken up by a connection to the same name. The mailbox is
 * not part of it: a session says who the server is and nothing of who logs in, and every connection sends AUTH anew.
 */
function peerName({ host, port }: SmtpServer): string {
  return `${host}:${port}`;
}

/** Runs one step of nodemailer's callback interface; a connection that fails meanwhile emits `error` only. */
function step(connection: SMTPConnection, run: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error | null) => {
      connection.off('error', settle);
      connection.off('end', ended);
      if (error) reject(error);
      else resolve();
    };
    const ended = () => settle(Object.assign(new Error('Connection closed unexpectedly'), { code: 'ECONNECTION' }));
    connection.once('error', settle);
    connection.once('end', ended);
    run(settle);
  });
}

type OpeningFailure = { trouble: Trouble; retryAfterMilliseconds?: number };

async function withDeadline(
  connection: SMTPConnection,
  deadline: number,
  signal: AbortSignal | undefined,
  run: () => Promise<void>,
): Promise<OpeningFailure | undefined> {
  const timer = setTimeout(() => connection.close(), deadline - performance.now());
  const abort = () => connection.close();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    await run();
    return undefined;
  } catch (error) {
    if (error instanceof TokenFailure) return error.failure;
    return { trouble: troubleOf(error, connection.secure ? 'auth' : 'connect') };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

function credentials(login: Login) {
  if (login.type === 'password')
    return { user: login.user, method: 'LOGIN', credentials: { user: login.user, pass: login.password } };
  // The empty `oauth2` is what makes nodemailer choose XOAUTH2 although the server offers LOGIN first.
  return { user: login.user, method: 'XOAUTH2', oauth2: {} as never };
}

class TokenFailure extends Error {
  readonly failure: OpeningFailure;
  constructor(failure: OpeningFailure) {
    super('No access token');
    this.failure = failure;
  }
}

/**
 * SASL XOAUTH2. Exchange answers a stale token with a plain 535, sometimes with a 334 challenge first; either way the
 * token is replaced once and tried again on the same connection (learn.microsoft.com, "Authenticate an IMAP, POP or
 * SMTP connection using OAuth", read 2026-11).
 */
async function xoauth2(context: SMTPConnectionCustomAuthContext, tokens: TokenSource): Promise<void> {
  const user = context.auth.user ?? '';
  const first = await tokens.get();
  if (!first.ok) throw new TokenFailure(first);
  const answer = await authenticate(context, user, first.token);
  if (answer.status === 235) return;
  if (answer.status !== 535) throw refusedLogin(answer.response);
  const fresh = await tokens.replace(first.token);
  if (!fresh.ok) throw new TokenFailure(fresh);
  if (fresh.token === first.token) throw refusedLogin(answer.response);
  const second = await authenticate(context, user, fresh.token);
  if (second.status !== 235) throw refusedLogin(second.response);
}

async function authenticate(context: SMTPConnectionCustomAuthContext, user: string, token: string) {
  const initial = Buffer.from(`user=${user}\u0001auth=Bearer ${token}\u0001\u0001`).toString('base64');
  const answer = await context.sendCommand(`AUTH XOAUTH2 ${initial}`);
  return answer.status === 334 ? context.sendCommand('') : answer;
}

function refusedLogin(response: string): Error {
  return Object.assign(new Error('Authentication refused'), {
    code: 'EAUTH',
    command: 'AUTH XOAUTH2',
    response,
    responseCode: Number.parseInt(response, 10) || undefined,
  });
}

interface NodemailerFields {
  code?: string;
  originalCode?: string;
  command?: string;
  response?: string;
  responseCode?: number;
}

/**
 * Turns nodemailer's error into what was observed. A reply, where there is one, is all that counts; its stage is read
 * off the command, and where nodemailer only says `CONN` (whatever had happened), off `reached`, which we track.
 */
export function troubleOf(error: unknown, reached: Stage): Trouble {
  const { code, originalCode, command, response, responseCode } = error as NodemailerFields;
  const stage = stageOf(command, code) ?? reached;
  const reply = response && responseCode ? parseReply(response, stage, responseCode) : undefined;
  const mechanism = command === 'AUTH XOAUTH2' ? 'XOAUTH2' : command?.startsWith('AUTH') ? 'LOGIN' : undefined;
  if (reply) return { via: 'smtp', reply, ...(mechanism && { mechanism }) };
  const message = (error instanceof Error ? error.message : String(error)).slice(0, MAX_RESPONSE_LENGTH);
  return {
    via: 'client',
    ...((originalCode ?? code) && { code: [code, originalCode].filter(Boolean).join(' ') }),
    ...(command && { command }),
    message,
    stage,
  };
}

function stageOf(command: string | undefined, code: string | undefined): Stage | undefined {
  if (command === undefined || command === 'CONN' || command === 'API') return undefined;
  if (command.startsWith('AUTH')) return 'auth';
  if (command === 'DATA') return code === 'EMESSAGE' ? 'after-dot' : 'data';
  const stages: Record<string, Stage> = {
    EHLO: 'ehlo',
    HELO: 'ehlo',
    STARTTLS: 'tls',
    'MAIL FROM': 'mail',
    'RCPT TO': 'rcpt',
  };
  return stages[command];
}
