import type { Socket } from 'node:net';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import { endOfReply, MAX_REPLY_CHARACTERS } from './reply-reader.ts';

/**
 * A connection that has logged in. nodemailer has opened it, and says when it breaks; what is said on it from now on is
 * ours, since only then do we know how far a transaction had come, and what every reply was (`docs/decisions.md`).
 */
export interface Session {
  /** What the server's last EHLO offered, for example `PIPELINING`. */
  offers(extension: string): boolean;
  /** Octets that a message may have by the server's own word (RFC 1870 §4); undefined where it sets no bound. */
  readonly maxMessageBytes: number | undefined;
  /** May it carry a transaction? Not where it is broken, or where the server said something that nobody asked for. */
  isOpen(): boolean;
  /** Replies that are due to commands of the next transaction, which left with the final dot of this one. */
  ahead: number;
  /** Sends commands, each a line, in one write. */
  say(...commands: string[]): void;
  /** Sends octets as they are; resolves when there is room for more. @throws what became of the connection */
  write(octets: Buffer): Promise<void>;
  /** The next reply, its lines joined with `\n`. @throws what became of the connection, as nodemailer says it */
  hear(): Promise<string>;
  /** Has a reply come that `hear` has not given yet, or is the connection lost? */
  hasNews(): boolean;
  /** Breaks the connection, and tells whoever waits for it this reason. */
  close(reason?: Error): void;
  /** Resolves when the connection is gone. */
  readonly gone: Promise<void>;
}

/** What nodemailer keeps to itself. Its version is pinned, and `test/smtp` opens a real session with it. */
interface Insides {
  _socket: Socket;
  _supportedExtensions: readonly string[];
  _maxAllowedSize: number;
  _onData(chunk: Buffer): void;
}

/** @param connection connected and logged in, with nothing under way */
export function sessionOn(connection: SMTPConnection): Session {
  const insides = connection as unknown as Insides;
  const socket = insides._socket;
  const replies: string[] = [];
  let received = '';
  let lost: Error | undefined;
  let wake = () => {};

  insides._onData = (chunk) => {
    received += chunk.toString('latin1');
    for (let end = endOfReply(received); end !== undefined; end = endOfReply(received)) {
      const reply = received.slice(0, end).trim();
      received = received.slice(end);
      if (reply) replies.push(decoded(reply));
    }
    if (received.length > MAX_REPLY_CHARACTERS) return close(tooLong());
    wake();
  };

  function lose(error: Error): void {
    if (lost) return;
    lost = error;
    // A server that hangs up in the middle of a refusal has refused all the same.
    if (/^[45]\d\d[ -]/.test(received)) replies.push(decoded(received.trim()));
    wake();
  }

  function close(reason = closedUnexpectedly()): void {
    lose(reason);
    connection.close();
  }

  const gone = new Promise<void>((resolve) => {
    const end = () => {
      lose(closedUnexpectedly());
      resolve();
    };
    if (connection.destroyed) end();
    else connection.once('end', end);
  });
  connection.on('error', lose);
  socket.on('drain', () => wake());

  const change = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });

  return {
    ahead: 0,
    offers: (extension) => insides._supportedExtensions.includes(extension),
    maxMessageBytes: insides._maxAllowedSize || undefined,
    isOpen() {
      return !lost && socket.writable && replies.length <= this.ahead;
    },
    hasNews: () => lost !== undefined || replies.length > 0,
    say(...commands) {
      socket.write(`${commands.join('\r\n')}\r\n`);
    },
    async write(octets) {
      if (lost) throw lost;
      socket.write(octets);
      while (socket.writableNeedDrain && !lost) await change();
      if (lost) throw lost;
    },
    async hear() {
      for (;;) {
        const reply = replies.shift();
        if (reply !== undefined) return reply;
        if (lost) throw lost;
        await change();
      }
    },
    close,
    gone,
  };
}

/** Replies are UTF-8 (RFC 6531 §3.7.4), and from servers that do not know it, anything. */
function decoded(latin1: string): string {
  const lines = latin1.includes('\r') ? latin1.replaceAll('\r\n', '\n') : latin1;
  if (!/[\x80-\xff]/.test(lines)) return lines;
  const text = Buffer.from(lines, 'latin1').toString('utf8');
  return text.includes('\ufffd') ? lines : text;
}

function closedUnexpectedly(): Error {
  return Object.assign(new Error('Connection closed unexpectedly'), { code: 'ECONNECTION', command: 'CONN' });
}

function tooLong(): Error {
  return Object.assign(new Error('A reply without an end'), { code: 'EPROTOCOL', command: 'CONN' });
}
