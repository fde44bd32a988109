import { pino } from 'pino';
import type { MessageView } from '../../src/gateway/view.ts';
import { type MailboxConfig, USUAL_LIMITS } from '../../src/mailbox-config.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.ts';
import { type Settled, startService } from '../../src/service.ts';
import { startTestRedis, type TestRedis } from './redis.ts';

export const KEY = 'pr_live_key_of_at_least_32_characters';
export const TEST_KEY = 'pr_test_key_of_at_least_32_characters';

/** A whole Postroom on free ports, with a Redis and a stand-in for Microsoft 365 of its own. */
export interface TestPostroom extends Client {
  url: string;
  redis: TestRedis;
  sandbox: Sandbox;
  /** Everything logged so far, one JSON line each. */
  logged(): string;
  /** Stops the service in an orderly way and starts it again on the same Redis and sandbox. */
  restart(change?: Partial<Settled>): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Client {
  /** POSTs a message; `from` and `text` are filled in. */
  send(body: object, headers?: Record<string, string>): Promise<Response>;
  /** Sends, expects 202, and returns the id. */
  sendTo(to: string | string[], more?: object): Promise<string>;
  read(id: string): Promise<MessageView>;
  /** Waits until the message reads so; fails with its whole record after the deadline. */
  until(
    id: string,
    status: MessageView['status'] | MessageView['status'][],
    milliseconds?: number,
  ): Promise<MessageView>;
}

export interface TestOptions {
  sandbox?: SandboxOptions;
  limits?: Partial<MailboxConfig['limits']>;
  mailbox?: (sandbox: Sandbox) => Partial<MailboxConfig>;
  config?: Partial<Settled>;
}

export async function startPostroom(options: TestOptions = {}): Promise<TestPostroom> {
  const redis = await startTestRedis();
  const sandbox = await startSandbox(options.sandbox);
  const mailbox = { ...mailboxOf(sandbox, options.limits), ...options.mailbox?.(sandbox) };
  let config = settled(redis.url, [mailbox], options.config);
  const lines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line) => void lines.push(line) });
  let service = await startService(config, log);
  const urlNow = () => service.url ?? '';
  return {
    ...client(urlNow, mailbox.address),
    get url() {
      return urlNow();
    },
    redis,
    sandbox,
    logged: () => lines.join(''),
    async restart(change = {}) {
      await service.close();
      config = { ...config, ...change };
      service = await startService(config, log);
    },
    async [Symbol.asyncDispose]() {
      await service.close();
      await sandbox[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
}

/** The sandbox's first mailbox, logged in to by OAuth. */
export function mailboxOf(sandbox: Sandbox, limits: Partial<MailboxConfig['limits']> = {}): MailboxConfig {
  const { tenantId, clientId, clientSecret, authority } = sandbox;
  const address = sandbox.mailboxes[0]?.address ?? '';
  return {
    id: 'main',
    address,
    from: [address],
    auth: { type: 'clientCredentials', tenantId, clientId, clientSecret, authority, scope: SCOPE },
    smtp: { ...sandbox.smtp, ca: sandbox.caPem, heloName: 'gateway.contoso.com' },
    limits: { ...USUAL_LIMITS, ...limits },
  };
}

const SCOPE = 'https://outlook.office365.com/.default';

export function settled(redisUrl: string, mailboxes: MailboxConfig[], more: Partial<Settled> = {}): Settled {
  return {
    production: false,
    role: 'all',
    host: '127.0.0.1',
    port: 0,
    logLevel: 'info',
    redisUrl,
    redisPrefix: '{postroom}',
    dataDir: '/nonexistent',
    apiKey: KEY,
    expiresHours: 48,
    retentionDays: 30,
    shutdownSeconds: 5,
    mailboxes,
    ...more,
  };
}

export function client(url: () => string, from: string, key = KEY): Client {
  const authorization = `Bearer ${key}`;
  async function send(body: object, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${url()}/v1/messages`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ from, subject: 'Hello', text: 'It works.', ...body }),
    });
  }
  async function sendTo(to: string | string[], more: object = {}): Promise<string> {
    const response = await send({ to, ...more });
    const answer = (await response.json()) as MessageView;
    if (response.status !== 202) throw new Error(`Not accepted: ${JSON.stringify(answer)}`);
    return answer.id;
  }
  async function read(id: string): Promise<MessageView> {
    const response = await fetch(`${url()}/v1/messages/${id}`, { headers: { authorization } });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return (await response.json()) as MessageView;
  }
  async function until(id: string, status: MessageView['status'] | MessageView['status'][], milliseconds = 15_000) {
    const wanted = [status].flat();
    let last: MessageView | undefined;
    await eventually(
      async () => {
        last = await read(id);
        return wanted.includes(last.status);
      },
      () => `Message never became ${wanted.join(' or ')}: ${JSON.stringify(last, null, 1)}`,
      milliseconds,
    );
    return last as MessageView;
  }
  return { send, sendTo, read, until };
}

/** Waits for a state, with a deadline; the pause between two looks is no part of what is tested. */
export async function eventually(
  holds: () => Promise<boolean> | boolean,
  complaint: () => string = () => 'It never came to hold',
  milliseconds = 15_000,
): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(complaint());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
