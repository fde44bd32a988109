/** What the benches share: figures, children, a Redis, and an SMTP server that takes everything. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import fastify, { type FastifyInstance, LogController } from 'fastify';
import { destination, pino, stdTimeFunctions } from 'pino';
import { requestIdOf } from '../src/http/request-id.ts';
import type { MailboxConfig } from '../src/mailbox-config.ts';
import { makeCertificate } from '../src/sandbox/certificate.ts';
import { startSmtpServer } from '../src/sandbox/smtp-server.ts';
import type { Settled } from '../src/service.ts';

export const KEY = 'pr_bench_0123456789abcdef0123456789abcdef';
export const SILENT = pino({ level: 'silent' });

/** As all sides run it: level info, on its way to nobody. */
export function logger() {
  return pino({ level: 'info', timestamp: stdTimeFunctions.isoTime }, destination({ dest: '/dev/null', sync: true }));
}

/** What Postroom is compared with has the same request ids, and logs a line of its own for each message. */
export function application(): FastifyInstance {
  return fastify({
    loggerInstance: logger() as FastifyInstance['log'],
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: (parent) => parent,
    genReqId: requestIdOf,
  });
}

/** Milliseconds, monotonic within a process and the same in all processes of this machine to some microseconds. */
export function sharedNow(): number {
  return performance.timeOrigin + performance.now();
}

export function median(figures: number[]): number {
  const sorted = [...figures].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export function quantile(figures: number[], share: number): number {
  const sorted = [...figures].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/**
 * The service as it is shipped: what `npm run build` made of it. Run from its TypeScript by `tsx`, every closure is given
 * its name when it is made, which the libraries beside it are spared.
 */
export async function shippedService(): Promise<typeof import('../src/service.ts')> {
  const built = '../dist/service.js';
  return import(built);
}

/** Builds what `shippedService` loads. */
export function build(): void {
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
}

/** One line of figures. */
export function tell(label: string, figures: Record<string, string | number>): void {
  const parts = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
  console.log(`${label.padEnd(34)} ${parts.join('   ')}`);
}

/** A part of a bench in a process of its own: the bench's own file, run with these arguments. */
export interface Part<Ready> {
  child: ChildProcess;
  ready: Ready;
  /** Sends a question and waits for its answer. */
  ask<T>(question: unknown): Promise<T>;
  end(): Promise<void>;
}

export async function startPart<Ready>(file: string, args: string[]): Promise<Part<Ready>> {
  const child = fork(file, args, { execArgv: process.execArgv });
  const [ready] = (await once(child, 'message')) as [Ready];
  return {
    child,
    ready,
    async ask<T>(question: unknown) {
      child.send(question as object);
      const [answer] = (await once(child, 'message')) as [T];
      return answer;
    },
    async end() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** What a part with an HTTP server says when it is ready. */
export interface Listening {
  port: number;
}

/** Says in a part that it is ready, and answers its questions. */
export function serveQuestions(ready: object, answer: (question: unknown) => unknown): void {
  process.on('message', async (question) => process.send?.((await answer(question)) ?? {}));
  // A bench that was broken off leaves nothing behind.
  process.once('disconnect', () => process.exit());
  process.send?.(ready);
}

export interface Sink {
  port: number;
  caPem: string;
}

/**
 * STARTTLS and AUTH as Microsoft asks for, and nothing else: no limits, no inbox. To be run in a part.
 *
 * @param distance milliseconds that whatever is sent takes to the other end, each way
 */
export async function serveSink(distance = 0): Promise<void> {
  const certificate = await makeCertificate();
  let times: number[] = [];
  let logins = 0;
  const secure = ['STARTTLS'];
  const yes = { say: '250 2.0.0 OK' };
  const server = await startSmtpServer({
    host: '127.0.0.1',
    port: 0,
    certificate,
    maxBodyBytes: () => 40_000_000,
    maxConnections: 10_000,
    policy: {
      greet: () => ({ say: '220 sink ESMTP' }),
      hello: (session) => ({
        say: ['250-sink', '250-PIPELINING', '250-8BITMIME', `250 ${session.isSecure ? 'AUTH LOGIN' : secure[0]}`].join(
          '\n',
        ),
      }),
      startTls: () => ({ say: '220 2.0.0 Ready' }),
      refuseMechanism: () => undefined,
      authenticate(session) {
        session.mailbox = 'sink';
        logins += 1;
        return { say: '235 2.7.0 OK' };
      },
      mail: () => yes,
      rcpt: () => yes,
      data: () => ({ say: '354 Go ahead' }),
      duringBody: () => undefined,
      async message() {
        times.push(sharedNow());
        return yes;
      },
      reset: () => yes,
      closed: () => undefined,
    },
  });
  const port = distance > 0 ? await serveFromAfar(server.port, distance) : server.port;
  serveQuestions({ port, caPem: certificate.caPem } satisfies Sink, (question) => {
    if (question === 'clear') {
      times = [];
      logins = 0;
    }
    if (question === 'logins') return logins;
    return question === 'times' ? times : times.length;
  });
}

/** As a network would, it delays whatever is sent, and keeps its order. @returns the port from which the server is so far */
async function serveFromAfar(port: number, distance: number): Promise<number> {
  const relay = createServer((near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    const carry = (from: Socket, to: Socket) => {
      from.setNoDelay(true);
      from.on('data', (chunk) => setTimeout(() => to.write(chunk), distance));
      from.on('close', () => setTimeout(() => to.destroy(), distance));
      from.on('error', () => from.destroy());
    };
    carry(near, far);
    carry(far, near);
  });
  await once(relay.listen(0, '127.0.0.1'), 'listening');
  return (relay.address() as AddressInfo).port;
}

/** Resolves when the sink has this many. @returns when each came, as `sharedNow` tells it */
export async function untilTaken(sink: Part<Sink>, count: number): Promise<number[]> {
  for (;;) {
    if ((await sink.ask<number>('count')) >= count) return sink.ask<number[]>('times');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function sinkMailbox(id: string, sink: Sink, connections: number): MailboxConfig {
  return {
    id,
    address: `${id}@contoso.com`,
    from: [`${id}@contoso.com`],
    auth: { type: 'password', password: 'password-of-the-sink' },
    smtp: { host: '127.0.0.1', port: sink.port, ca: sink.caPem, heloName: 'gateway.contoso.com' },
    limits: {
      messagesPerMinute: 100_000,
      windowSeconds: 60,
      connections,
      recipientsPerDay: 100_000_000,
      recipientsPerMessage: 500,
      messageBytes: 35_000_000,
    },
  };
}

export function settled(redisUrl: string, mailboxes: MailboxConfig[], role: Settled['role']): Settled {
  return {
    production: false,
    role,
    host: '127.0.0.1',
    port: 0,
    logLevel: 'silent',
    redisUrl,
    redisPrefix: '{postroom}',
    dataDir: '/nonexistent',
    apiKey: KEY,
    expiresHours: 48,
    retentionDays: 30,
    shutdownSeconds: 5,
    mailboxes,
  };
}

export const BODY = {
  to: ['ada@fabrikam.com'],
  subject: 'Your invoice 2026-0042',
  text: 'Hello Ada, your invoice is attached. '.repeat(20),
  html: `<p>${'Hello <b>Ada</b>, your invoice is attached. '.repeat(21)}</p>`,
  tags: ['invoice'],
  metadata: { invoice: '2026-0042' },
};

/**
 * Posts `count` bodies over so many connections, each of which waits for its answer. By bare sockets: `node:http` takes
 * twice as long over a request, and what the client takes of two cores is missing to whoever is measured.
 *
 * @returns requests a second, and each request's milliseconds
 */
export async function postMany(
  port: number,
  count: number,
  connections: number,
  bodyOf: (index: number) => object,
  headersOf: (index: number) => Record<string, string> = () => ({}),
): Promise<{ rate: number; latencies: number[] }> {
  const clients = await Promise.all(Array.from({ length: connections }, () => httpClient(port)));
  const latencies: number[] = [];
  const began = performance.now();
  let sent = 0;
  let written: object | undefined;
  let text = '';
  const work = async (post: HttpClient['post']) => {
    for (let index = sent++; index < count; index = sent++) {
      const startedAt = performance.now();
      const body = bodyOf(index);
      // Mostly they are all the same one.
      if (body !== written) [written, text] = [body, JSON.stringify(body)];
      await post(text, headersOf(index));
      latencies.push(performance.now() - startedAt);
    }
  };
  await Promise.all(clients.map(({ post }) => work(post)));
  const rate = count / ((performance.now() - began) / 1_000);
  for (const { end } of clients) end();
  return { rate, latencies };
}

interface HttpClient {
  /** Rejects where the answer is not 202. */
  post(body: string, headers: Record<string, string>): Promise<void>;
  end(): void;
}

/** One connection that is kept, for one request at a time. It asks for answers that tell their length, as JSON does. */
async function httpClient(port: number): Promise<HttpClient> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  let answer = '';
  let waiting: { resolve(): void; reject(error: Error): void } | undefined;
  const fail = (message: string) => waiting?.reject(new Error(message));
  socket.on('error', (error) => fail(error.message));
  socket.on('close', () => fail('the connection was closed'));
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1');
    const end = answer.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = /\r\ncontent-length: (\d+)/i.exec(answer)?.[1];
    if (length === undefined) return fail(`an answer without a length: ${answer}`);
    if (answer.length < end + 4 + Number(length)) return;
    const whole = answer;
    answer = '';
    if (whole.startsWith('HTTP/1.1 202 ')) waiting?.resolve();
    else fail(`answered ${whole}`);
  });
  return {
    post(body, headers) {
      const extra = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      const fixed = `POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nauthorization: Bearer ${KEY}\r\n`;
      const about = `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`;
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket.write(`${fixed}${about}${extra.join('')}\r\n${body}`);
      });
    },
    end: () => socket.destroy(),
  };
}
