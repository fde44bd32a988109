import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { Answer } from './answer.ts';

/** A command line without its line end, or why it is not one. */
export type Line = { text: string } | { fault: 'tooLong' | 'notCrlf' | 'controlCharacter' | 'notUtf8' };

/** What followed a 354. `raw` has the dots unstuffed; it is empty where the message was longer than the limit. */
export interface Body {
  raw: Buffer;
  tooBig: boolean;
}

/** Input held back while a command is still being answered; more makes the client wait. */
const HIGH_WATER_BYTES = 256 * 1_024;
/** Longer than any command we know: RFC 5321 §4.5.3.1.4 asks for 512 octets, RFC 4954 §4.5 for 12,288 during AUTH. */
const MAX_LINE_BYTES = 12_288;
/** How long a client may take to close after we did, and for a TLS handshake. */
const GRACE_MS = 2_000;
const HANDSHAKE_MS = 10_000;

const CRLF = Buffer.from('\r\n');
const LINE_DOT = Buffer.from('\r\n.');
const END_OF_BODY = Buffer.from('\r\n.\r\n');
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what we look for
const CONTROL = /[\u0000-\u001f\u007f]/;

/** One client's connection as lines and bodies, first in clear text, then over TLS. Its sockets never throw. */
export class Wire {
  /** The present one: the TCP socket, or the TLS socket around it. */
  #socket: Socket;
  readonly #tcp: Socket;
  #input: Buffer[] = [];
  #inputBytes = 0;
  #ended = false;
  #discarding = false;
  #wake: (() => void) | undefined;
  readonly #idleMs: number;
  readonly #closed: Promise<void>;

  constructor(socket: Socket, idleMs: number) {
    this.#socket = socket;
    this.#tcp = socket;
    this.#idleMs = idleMs;
    socket.setNoDelay(true);
    this.#closed = new Promise((resolve) => socket.once('close', () => resolve()));
    this.#listen(socket);
  }

  get remoteAddress(): string {
    return (this.#socket.remoteAddress ?? '127.0.0.1').replace(/^::ffff:/, '');
  }

  get isOpen(): boolean {
    return !this.#ended && !this.#socket.destroyed;
  }

  /** Resolves when the connection is gone, whoever ended it. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** @returns undefined when the client is gone */
  async readLine(): Promise<Line | undefined> {
    let line = Buffer.alloc(0);
    let tooLong = false;
    for (;;) {
      const chunk = await this.#take();
      if (!chunk) return undefined;
      const end = chunk.indexOf(0x0a);
      const part = end < 0 ? chunk : chunk.subarray(0, end);
      tooLong ||= line.length + part.length > MAX_LINE_BYTES;
      if (!tooLong) line = Buffer.concat([line, part]);
      if (end < 0) continue;
      this.#unread(chunk.subarray(end + 1));
      return tooLong ? { fault: 'tooLong' } : checkLine(line);
    }
  }

  /**
   * Reads up to the line that is one dot, and only up to that: CRLF, dot, CRLF. A bare LF or CR ends nothing
   * (RFC 5321 §4.1.1.4), otherwise a second message could be smuggled in.
   *
   * @param limit octets to keep; a longer message is read to its end and thrown away
   * @param during sees how many octets have arrived, the final dot's included, and may have the reading stopped
   * @returns undefined when the client is gone; an answer if `during` gave one
   */
  async readBody(limit: number, during: (received: number) => Answer | undefined): Promise<Body | Answer | undefined> {
    const kept: Buffer[] = [];
    let received = 0;
    let keptBytes = 0;
    // The line end of the DATA command also begins the first line, which may be the dot.
    let carry: Buffer = CRLF;
    for (;;) {
      const chunk = await this.#take();
      if (!chunk) return undefined;
      const window = Buffer.concat([carry, chunk]);
      const end = window.indexOf(END_OF_BODY);
      const done = end < 0 ? Math.max(0, window.length - (END_OF_BODY.length - 1)) : end + CRLF.length;
      received += chunk.length - (end < 0 ? 0 : window.length - end - END_OF_BODY.length);
      keptBytes += done;
      if (keptBytes <= limit + CRLF.length) kept.push(window.subarray(0, done));
      else kept.length = 0;
      const interruption = during(received);
      if (interruption) return interruption;
      if (end >= 0) {
        this.#unread(window.subarray(end + END_OF_BODY.length));
        const tooBig = keptBytes > limit + CRLF.length;
        return { raw: tooBig ? Buffer.alloc(0) : unstuff(Buffer.concat(kept)), tooBig };
      }
      carry = window.subarray(done);
    }
  }

  /** Says it and waits until the client has room for more. @returns whether the conversation goes on */
  async answer(answer: Answer): Promise<boolean> {
    if (answer.delayMs) await this.#pause(answer.delayMs);
    if (!this.isOpen) return false;
    if (answer.say !== undefined) await this.#write(`${answer.say.replaceAll('\n', '\r\n')}\r\n`);
    if (answer.afterwards === undefined) return this.isOpen;
    await this.#finish(answer.afterwards);
    return false;
  }

  /**
   * Goes over to TLS. Whatever the client sent in clear text after STARTTLS is thrown away unread (RFC 3207 §4.2;
   * the command injection of CVE-2011-0411).
   *
   * @param ready the 220, said between the two
   * @returns false if the handshake failed; the connection is then closed
   */
  async startTls(context: SecureContext, ready: string): Promise<boolean> {
    const plain = this.#socket;
    plain.pause();
    plain.removeAllListeners('data').removeAllListeners('timeout');
    this.#input = [];
    this.#inputBytes = 0;
    while (plain.read() !== null);
    await this.#write(`${ready}\r\n`);
    plain.uncork();
    const secure = new TLSSocket(plain, { isServer: true, secureContext: context });
    secure.on('error', () => secure.destroy());
    secure.once('close', () => plain.destroy());
    // A client that left before we wrapped its socket ends the inner one, and TLS would never hear of it.
    plain.once('end', () => secure.destroy());
    const isUp = !this.#ended && (await handshake(secure));
    if (!isUp) {
      secure.destroy();
      return false;
    }
    this.#socket = secure;
    this.#listen(secure);
    return true;
  }

  destroy(): void {
    this.#socket.uncork();
    this.#socket.destroy();
    this.#end();
  }

  #listen(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    socket.on('end', () => this.#end());
    socket.on('close', () => this.#end());
    socket.setTimeout(this.#idleMs, () => this.#timeOut());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.resume();
  }

  #timeOut(): void {
    if (!this.#discarding) this.#socket.write('421 4.4.1 Connection timed out\r\n');
    this.#socket.destroySoon();
  }

  #receive(chunk: Buffer): void {
    if (this.#discarding) return;
    this.#input.push(chunk);
    this.#inputBytes += chunk.length;
    if (this.#inputBytes > HIGH_WATER_BYTES) this.#socket.pause();
    this.#wake?.();
  }

  #end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** All input at hand. What was complete before the client left is still handed out. */
  async #take(): Promise<Buffer | undefined> {
    while (this.#inputBytes === 0) {
      if (this.#ended || this.#socket.destroyed) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    const taken = this.#input.length === 1 ? this.#input[0] : Buffer.concat(this.#input);
    this.#input = [];
    this.#inputBytes = 0;
    if (this.#socket.isPaused()) this.#socket.resume();
    return taken;
  }

  #unread(rest: Buffer): void {
    if (rest.length === 0) return;
    this.#input.unshift(rest);
    this.#inputBytes += rest.length;
  }

  async #write(text: string): Promise<void> {
    this.#hold(this.#socket);
    if (!this.#socket.writable || this.#socket.write(text)) return;
    await new Promise<void>((resolve) => {
      this.#socket.once('drain', resolve).once('close', resolve);
    });
  }

  /**
   * What is answered to commands that came together leaves together (RFC 2920 §3.2), once all that can be said without
   * waiting has been said.
   */
  #hold(socket: Socket): void {
    if (socket.writableCorked > 0) return;
    socket.cork();
    process.nextTick(() => socket.uncork());
  }

  async #pause(milliseconds: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const elapsed = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    await Promise.race([elapsed, this.#closed]);
    clearTimeout(timer);
  }

  async #finish(how: NonNullable<Answer['afterwards']>): Promise<void> {
    // Keep reading, or we would never see the client leave.
    this.#discarding = true;
    this.#input = [];
    // What was said before it must not be lost with the connection.
    this.#socket.uncork();
    this.#socket.resume();
    if (how === 'hang') return await this.#closed;
    if (how === 'reset') this.#tcp.resetAndDestroy();
    else if (how === 'drop') this.#socket.destroy();
    else await this.#close();
  }

  async #close(): Promise<void> {
    this.#socket.end();
    await this.#pause(GRACE_MS);
    this.#socket.destroy();
  }
}

function checkLine(line: Buffer): Line {
  if (line.at(-1) !== 0x0d) return { fault: 'notCrlf' };
  const text = line.toString('utf8', 0, line.length - 1);
  if (CONTROL.test(text)) return { fault: 'controlCharacter' };
  return text.includes('\ufffd') ? { fault: 'notUtf8' } : { text };
}

/**
 * Takes away the first dot of every line that begins with one (RFC 5321 §4.5.2). Octet by octet, since a hostile body
 * is nothing but such lines and would else become millions of pieces.
 *
 * @param body begins with the CRLF before its first line, which is left out of the result
 */
function unstuff(body: Buffer): Buffer {
  if (!body.includes(LINE_DOT)) return body.subarray(CRLF.length);
  const text = Buffer.allocUnsafe(body.length);
  let length = 0;
  for (let at = CRLF.length; at < body.length; at++) {
    const octet = body[at] as number;
    if (octet === 0x2e && body[at - 1] === 0x0a && body[at - 2] === 0x0d) continue;
    text[length++] = octet;
  }
  return text.subarray(0, length);
}

async function handshake(socket: TLSSocket): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const isUp = await new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), HANDSHAKE_MS);
    socket.once('secure', () => resolve(true));
    socket.once('close', () => resolve(false));
  });
  clearTimeout(timer);
  return isUp;
}
