import { createServer, type Server } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { accepts } from './answer.ts';
import type { Certificate } from './certificate.ts';
import { openSession } from './session.ts';
import { obey, refuseLine, type Talk } from './smtp-commands.ts';
import type { SmtpPolicy } from './smtp-policy.ts';
import { Wire } from './wire.ts';

// Why our own SMTP server and not the `smtp-server` package: that one composes its success replies itself ("250 OK:
// message queued"), so it cannot say `250 2.0.0 OK <id> [Hostname=…]`; it cannot hang up in the middle of a body,
// after the final dot, or never answer; and what a client meets at those instants is what the sandbox is for.
//
// Spoken here: RFC 5321 with PIPELINING (2920), STARTTLS (3207), AUTH (4954), SIZE (1870), 8BITMIME (6152), SMTPUTF8
// (6531), DSN (3461, parameters taken and kept to itself) and ENHANCEDSTATUSCODES (2034). Microsoft 365 also offers
// CHUNKING and BINARYMIME (RFC 3030); we do not, since the gateway sends by DATA, so BDAT gets a 500.

export interface SmtpServerOptions {
  host: string;
  /** 0 chooses a free one. */
  port: number;
  certificate: Certificate;
  /** `old`: TLS 1.0 and 1.1 only. */
  tls?: 'modern' | 'old';
  policy: SmtpPolicy;
  /** Octets of a message to keep in memory; a longer one is read to its end and reported as too big. */
  maxBodyBytes: () => number;
  /** Silence of the client after which the connection is closed. RFC 5321 §4.5.3.2.7 asks for at least 5 minutes. */
  idleMs?: number;
  /** Connections at once, from everyone; one more is greeted with 421. */
  maxConnections?: number;
  onError?: (error: unknown) => void;
}

export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  /** Cuts every open connection, as a failing network would. */
  dropConnections(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

const VERSIONS = {
  modern: { minVersion: 'TLSv1.2' },
  // OpenSSL 3 has the old versions only at its lowest security level.
  old: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
} as const;

const IDLE_MS = 5 * 60_000;
const MAX_CONNECTIONS = 500;

/** Starts listening. @throws the listen error, for example EADDRINUSE */
export async function startSmtpServer(options: SmtpServerOptions): Promise<SmtpServer> {
  const { key, cert } = options.certificate;
  const secureContext = createSecureContext({ key, cert, ...VERSIONS[options.tls ?? 'modern'] });
  const open = new Map<Wire, Promise<void>>();
  const server = createServer((socket) => {
    const wire = new Wire(socket, options.idleMs ?? IDLE_MS);
    const isFull = open.size >= (options.maxConnections ?? MAX_CONNECTIONS);
    const conversation = (isFull ? turnAway(wire) : serve(wire, options, secureContext)).finally(() =>
      open.delete(wire),
    );
    open.set(wire, conversation);
  });
  await listen(server, options.port, options.host);
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : options.port;
  const dropConnections = () => {
    for (const wire of open.keys()) wire.destroy();
  };
  return {
    host: options.host,
    port,
    dropConnections,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      dropConnections();
      await Promise.all([closed, ...open.values()]);
    },
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      // From here on an error is a connection that could not be accepted, which is the client's loss alone.
      server.removeAllListeners('error').on('error', () => undefined);
      resolve();
    });
  });
}

async function turnAway(wire: Wire): Promise<void> {
  await wire.answer({ say: '421 4.3.2 Service not available', afterwards: 'close' });
}

async function serve(wire: Wire, options: SmtpServerOptions, secureContext: SecureContext): Promise<void> {
  const { policy, maxBodyBytes } = options;
  const session = openSession(wire.remoteAddress);
  try {
    await converse({ wire, session, policy, secureContext, maxBodyBytes, strikes: 0 });
  } catch (error) {
    // A fault of ours must end this connection and not the process.
    options.onError?.(error);
  } finally {
    wire.destroy();
    policy.closed(session);
  }
}

async function converse(talk: Talk): Promise<void> {
  const { wire, session, policy } = talk;
  const greeting = policy.greet(session);
  if (!(await wire.answer(greeting))) return;
  // RFC 5321 §3.1: after a 554 greeting the server only waits for QUIT.
  const isTurnedAway = !accepts(greeting);
  for (;;) {
    const line = await wire.readLine();
    if (!line) return;
    const goesOn = 'fault' in line ? await refuseLine(talk, line.fault) : await obey(talk, line.text, isTurnedAway);
    if (!goesOn) return;
  }
}
