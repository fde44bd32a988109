import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';

/** A client that says exactly what it is told to, so that a test sees the server's every word. */
export class SmtpClient {
  #socket: Socket;
  #received = '';
  /** All that came, as it came: over TLS, one for each record. */
  readonly pieces: string[] = [];
  #isClosed = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen(socket);
  }

  static async connect(port: number): Promise<SmtpClient> {
    const socket = connect({ host: '127.0.0.1', port });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new SmtpClient(socket);
  }

  /** Greeting, EHLO, STARTTLS and EHLO done. */
  static async secure(sandbox: Sandbox): Promise<SmtpClient> {
    const client = await SmtpClient.connect(sandbox.smtp.port);
    await client.reply();
    await client.ask('EHLO client.example');
    await client.ask('STARTTLS');
    await client.startTls(sandbox.caPem);
    await client.ask('EHLO client.example');
    return client;
  }

  /** Logged in to the sandbox's first mailbox, or another, with its password. */
  static async loggedIn(sandbox: Sandbox, mailbox = sandbox.mailboxes[0]): Promise<SmtpClient> {
    const client = await SmtpClient.secure(sandbox);
    await client.ask(`AUTH LOGIN ${base64(mailbox?.address ?? '')}`);
    await client.ask(base64(mailbox?.password ?? ''));
    return client;
  }

  /** Sends a line. @returns the reply, or `closed` */
  async ask(line: string): Promise<string> {
    this.send(`${line}\r\n`);
    return await this.reply();
  }

  send(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }

  /** The next whole reply, its lines joined with `\n`; `closed` when the server is gone. */
  async reply(): Promise<string> {
    for (;;) {
      const whole = /^(?:\d{3}-[^\r\n]*\r\n)*\d{3}(?: [^\r\n]*)?\r\n/.exec(this.#received)?.[0];
      if (whole !== undefined) {
        this.#received = this.#received.slice(whole.length);
        return whole.trimEnd().replaceAll('\r\n', '\n');
      }
      if (this.#isClosed) return this.#received === '' ? 'closed' : `closed after ${this.#received}`;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async startTls(ca: string): Promise<void> {
    this.#socket.removeAllListeners();
    const secure = connectTls({ socket: this.#socket, ca, servername: 'localhost' });
    this.#socket = secure;
    await new Promise<void>((resolve, reject) => secure.once('secureConnect', resolve).once('error', reject));
    this.#listen(secure);
  }

  /** One message from MAIL to the final dot. @returns the last reply: the refusal, or the answer to the dot */
  async submit(from: string, recipients: string[], message: string): Promise<string> {
    const commands = [`MAIL FROM:<${from}>`, ...recipients.map((to) => `RCPT TO:<${to}>`), 'DATA'];
    for (const command of commands) {
      const reply = await this.ask(command);
      if (!/^[23]/.test(reply)) return reply;
    }
    return await this.ask(`${message}\r\n.`);
  }

  close(): void {
    this.#socket.destroy();
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk) => {
      this.pieces.push(chunk.toString());
      this.#received += chunk.toString();
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
  }
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

let count = 0;

/** A small message from the address, with a Message-ID of its own unless given. */
export function aMessage(from: string, messageId = `<${process.pid}.${++count}@client.example>`): string {
  return `From: ${from}\r\nTo: someone@example.com\r\nSubject: A test\r\nMessage-ID: ${messageId}\r\n\r\nHello`;
}

/** The token endpoint's answer to client credentials. */
export async function askToken(sandbox: Sandbox, fields: Record<string, string> = {}): Promise<Response> {
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: sandbox.clientId,
    client_secret: sandbox.clientSecret,
    scope: 'https://outlook.office365.com/.default',
    ...fields,
  });
  return await fetch(`${sandbox.authority}/${sandbox.tenantId}/oauth2/v2.0/token`, { method: 'POST', body });
}

export async function aToken(sandbox: Sandbox, fields: Record<string, string> = {}): Promise<string> {
  const answer = (await (await askToken(sandbox, fields)).json()) as { access_token: string };
  return answer.access_token;
}

export function xoauth2(user: string, token: string): string {
  return base64(`user=${user}\u0001auth=Bearer ${token}\u0001\u0001`);
}

/** Asks again and again until it holds, for at most five seconds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('It did not come to hold within five seconds');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
