/** What the benches share: figures, children, a Redis, and an SMTP server that takes everything. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
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

/** STARTTLS and AUTH as Microsoft asks for, and nothing else: no limits, no inbox. To be run in a part. */
export async function serveSink(): Promise<void> {
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
  serveQuestions({ port: server.port, caPem: certificate.caPem } satisfies Sink, (question) => {
    if (question === 'clear') {
      times = [];
      logins = 0;
    }
    if (question === 'logins') return logins;
    return question === 'times' ? times : times.length;
  });
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

/** Posts `count` bodies over so many connections. @returns requests a second, and each request's milliseconds */
export async function postMany(
  port: number,
  count: number,
  connections: number,
  bodyOf: (index: number) => object,
  headersOf: (index: number) => Record<string, string> = () => ({}),
): Promise<{ rate: number; latencies: number[] }> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const latencies: number[] = [];
  const began = performance.now();
  let sent = 0;
  const client = async () => {
    for (let index = sent++; index < count; index = sent++) {
      const startedAt = performance.now();
      await post(port, agent, JSON.stringify(bodyOf(index)), headersOf(index));
      latencies.push(performance.now() - startedAt);
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  const rate = count / ((performance.now() - began) / 1_000);
  agent.destroy();
  return { rate, latencies };
}

function post(port: number, agent: Agent, body: string, extra: Record<string, string>): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${KEY}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...extra,
    };
    const options = { port, host: '127.0.0.1', path: '/v1/messages', method: 'POST', agent, headers };
    const outgoing = request(options, (answer) => {
      if (answer.statusCode !== 202) reject(new Error(`answered ${answer.statusCode}`));
      answer.resume().on('end', resolve);
    });
    outgoing.on('error', reject).end(body);
  });
}
