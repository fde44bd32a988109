import type { ConnectionOptions, TLSSocket } from 'node:tls';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import { withoutCertificate } from './lean-session.ts';
import { presentedChain } from './presented-certificate.ts';

/**
 * TLS sessions that the next connection to the same server may take up (RFC 8446 §2.2; for TLS 1.2, RFC 5077): no
 * certificate is sent, checked or signed with again. In memory only, since a session is a secret.
 */
export interface TlsSessions {
  /** The newest one with this server; undefined asks for a whole handshake. */
  find(server: string): KeptSession | undefined;
  keep(server: string, kept: KeptSession): void;
  forget(server: string): void;
}

export interface KeptSession {
  /** As Node serialises it: the keys and, in TLS 1.2, the server's certificate; up to some kilobytes. */
  session: Buffer;
  /** When the certificate was verified, and until when that is believed. Milliseconds since the epoch. */
  verifiedAt: number;
  until: number;
}

/**
 * How long a verified certificate is believed without being seen again. The server's ticket may end sooner, which OpenSSL
 * sees to. A server with traffic pays for one whole handshake an hour then, and a certificate that it must no longer
 * show, or one of somebody else in its place, is found out within the hour.
 */
const BELIEVED_MILLISECONDS = 60 * 60_000;
const MOST_SERVERS = 100;

/** Those who keep sessions here must trust the same roots and the same versions of TLS. */
export function tlsSessions(most = MOST_SERVERS): TlsSessions {
  const sessions = new Map<string, KeptSession>();
  return {
    find(server) {
      const kept = sessions.get(server);
      if (!kept) return undefined;
      sessions.delete(server);
      const now = Date.now();
      // One of the future was kept before the clock was set back, and nobody knows how old it is.
      if (now < kept.verifiedAt || now >= kept.until) return undefined;
      // Behind the others: what is at the front was not used for longest.
      sessions.set(server, kept);
      return kept;
    },
    keep(server, kept) {
      sessions.delete(server);
      sessions.set(server, kept);
      const [oldest] = sessions.keys();
      if (sessions.size > most && oldest !== undefined) sessions.delete(oldest);
    },
    forget: (server) => void sessions.delete(server),
  };
}

/** How a connection's session with its server came about. */
export interface Resumption {
  /** Has the handshake begun? */
  begun: boolean;
  /** With a session of an earlier connection? */
  offered: boolean;
  /** Ends the connection at once, so that one in its place is not one more for the server to count. */
  cut(): void;
}

/** What nodemailer keeps to itself: it goes over to TLS in this, and tells nobody of the socket it makes. */
interface Insides {
  _socket: TLSSocket;
  _upgradeConnection(done: (error: Error | null, secured?: boolean) => void): void;
}

/**
 * Lets a connection take up a session, and keeps those that its server hands out: in TLS 1.3 some tickets after the
 * handshake, of which the newest is kept, so that one which was used is replaced.
 *
 * @param tls of this connection alone; the session is put in when the handshake begins
 */
export function resumeOn(
  connection: SMTPConnection,
  tls: ConnectionOptions,
  server: string,
  sessions: TlsSessions,
): Resumption {
  const insides = connection as unknown as Insides;
  const upgrade = insides._upgradeConnection;
  const resumption = { begun: false, offered: false, cut: () => void insides._socket.destroy() };
  insides._upgradeConnection = (done) => {
    const offered = sessions.find(server);
    resumption.begun = true;
    resumption.offered = offered !== undefined;
    if (offered) tls.session = offered.session;
    upgrade.call(connection, done);
    const socket = insides._socket;
    let verified: Omit<KeptSession, 'session'> | undefined;
    socket.on('session', (session: Buffer) => {
      if (!socket.authorized) return;
      // A session that was taken up is as old as its certificate's check, however new its tickets are.
      verified ??= socket.isSessionReused() ? offered : verifiedNow(socket);
      const lean = socket.getProtocol() === 'TLSv1.3' ? withoutCertificate(session) : session;
      if (verified) sessions.keep(server, { ...verified, session: lean });
    });
  };
  return resumption;
}

/** Believed as long as every certificate up to the root is valid. */
function verifiedNow(socket: TLSSocket): Omit<KeptSession, 'session'> {
  const verifiedAt = Date.now();
  const ends = presentedChain(socket.getPeerCertificate(true)).map(({ validTo }) => validTo.getTime());
  return { verifiedAt, until: Math.min(verifiedAt + BELIEVED_MILLISECONDS, ...ends) };
}
