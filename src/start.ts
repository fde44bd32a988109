import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Config, readConfig } from './config.ts';
import { keptApiKey } from './credentials.ts';
import { createLogger } from './logger.ts';
import { type MailboxConfig, USUAL_LIMITS } from './mailbox-config.ts';
import { type EmbeddedRedis, startEmbeddedRedis } from './sandbox/embedded-redis.ts';
import { type Sandbox, startSandbox } from './sandbox/sandbox.ts';
import { type Settled, startService } from './service.ts';
import { StartupError } from './startup-error.ts';
import type { Stop } from './stop-signals.ts';
import { forTryingOut } from './webhook-settings.ts';

/** What has begun is opened to its end before it is closed, but for what waits for a Redis that does not answer. */
const OPENING_MILLISECONDS = 3_000;

/** Runs the service until it is told to stop. */
export async function start(stop: Stop): Promise<void> {
  const config = readConfig(process.env);
  const log = createLogger(config.logLevel, !config.production && process.stdout.isTTY === true);
  warnOfEnded(config.mailboxes ?? [], (fields, sentence) => log.warn(fields, sentence));
  const opened: Opened = [];
  const closeAll = async () => {
    for (const close of opened.splice(0)) await close();
  };
  stopWithNpm();
  let opening: Promise<void> | undefined;
  stop.leadsTo({
    async close() {
      await Promise.race([opening?.catch(() => undefined), sleep(OPENING_MILLISECONDS)]);
      await closeAll();
      log.info('Stopped');
    },
    withinSeconds: config.shutdownSeconds + 10,
    onSignal: (signal, again) =>
      log.info({ signal, graceSeconds: config.shutdownSeconds }, again ? 'Still stopping' : 'Stopping'),
  });
  opening = openAll(config, log, opened, stop);
  try {
    await opening;
  } catch (error) {
    // The end that is under way closes what is open.
    if (stop.asked()) return log.warn({ error }, 'Not started before it was stopped');
    await closeAll();
    throw error;
  }
}

/** In the order in which they are to be closed. */
type Opened = (() => PromiseLike<unknown>)[];

async function openAll(
  config: Config,
  log: ReturnType<typeof createLogger>,
  opened: Opened,
  stop: Stop,
): Promise<void> {
  const redis = config.redisUrl
    ? undefined
    : await startEmbeddedRedis({
        dataDir: config.dataDir,
        onRestart: (reason) => log.warn({ reason }, 'Embedded Redis restarted'),
      });
  if (redis) opened.unshift(() => redis[Symbol.asyncDispose]());
  if (stop.asked()) return;
  const sandbox = config.mailboxes ? undefined : await openSandbox(config);
  if (sandbox) opened.unshift(() => sandbox[Symbol.asyncDispose]());
  if (stop.asked()) return;
  const settled = settle(config, redis, sandbox);
  const service = await startService(settled, log);
  opened.unshift(service.close);
  if (stop.asked()) return;
  watchRedis(redis, stop);
  log.info({ role: config.role, url: service.url }, 'Postroom started');
  if (!config.production && service.url) tellPerson(settled, service.url, sandbox);
}

/** No reason not to start: mail is accepted and held, and it is for Entra ID to say whether the day has come. */
function warnOfEnded(mailboxes: MailboxConfig[], warn: (fields: object, sentence: string) => void): void {
  const today = new Date().toISOString().slice(0, 10);
  for (const { id, auth } of mailboxes) {
    const ended = auth?.type === 'clientCredentials' ? auth.secretExpires : undefined;
    if (ended && ended < today) warn({ mailbox: id, ended }, 'The client secret or certificate has ended');
  }
}

function settle(config: Config, redis: EmbeddedRedis | undefined, sandbox: Sandbox | undefined): Settled {
  const redisUrl = config.redisUrl ?? redis?.url ?? '';
  const mailboxes = config.mailboxes ?? (sandbox ? [sandboxMailbox(sandbox, config)] : []);
  const apiKey = config.apiKey ?? (config.role === 'worker' ? '' : keptApiKey(config.dataDir));
  const webhooks = sandbox ? forTryingOut(config.webhooks) : config.webhooks;
  return { ...config, redisUrl, mailboxes, apiKey, webhooks, ...(sandbox && { sandbox }) };
}

const SANDBOX_PORT = 3001;

async function openSandbox(config: Config): Promise<Sandbox> {
  const dataDir = join(config.dataDir, 'sandbox');
  const at = (httpPort: number) => startSandbox({ httpPort, dataDir, limits: sandboxLimits(config) });
  try {
    return await at(config.sandboxPort ?? SANDBOX_PORT);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' && config.sandboxPort === undefined) return at(0);
    if (code === 'EADDRINUSE')
      throw new StartupError(`Port ${config.sandboxPort} is in use. Set POSTROOM_SANDBOX_PORT to another one.`);
    throw error;
  }
}

/** It allows what the gateway is told to keep to. */
function sandboxLimits({ pace }: Config) {
  return {
    messagesPerWindow: pace.messagesPerMinute,
    windowSeconds: pace.windowSeconds,
    connections: pace.connections,
  };
}

/** The stand-in's mailbox, reached as the real one is: STARTTLS, XOAUTH2, a token from its Entra. */
function sandboxMailbox(sandbox: Sandbox, { pace }: Config): MailboxConfig {
  const address = sandbox.mailboxes[0]?.address ?? '';
  const { tenantId, clientId, clientSecret, authority } = sandbox;
  return {
    id: 'sandbox',
    address,
    from: [address, ...(sandbox.mailboxes[0]?.sendAs ?? [])],
    auth: {
      type: 'clientCredentials',
      tenantId,
      clientId,
      clientSecret,
      authority,
      scope: 'https://outlook.office365.com/.default',
    },
    smtp: { ...sandbox.smtp, ca: sandbox.caPem, heloName: 'postroom.localhost.localdomain' },
    limits: { ...USUAL_LIMITS, ...pace },
  };
}

/** An embedded Redis that cannot be kept alive ends the process: without it nothing can be promised. */
function watchRedis(redis: EmbeddedRedis | undefined, stop: Stop): void {
  void redis?.exited.then((reason) => {
    if (!reason) return;
    console.error(`\n${reason.message}\n`);
    stop.now();
  });
}

/** Killed with -9, `npm start` cannot take us along: a start by npm ends with it. */
function stopWithNpm(): void {
  if (process.env.npm_lifecycle_event !== 'start') return;
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGTERM');
  }, 500).unref();
}

function tellPerson(config: Settled, url: string, sandbox: Sandbox | undefined): void {
  const from = config.mailboxes[0]?.address;
  const real = 'This delivers for real: mail leaves this machine through Microsoft 365.';
  const local = `Nothing leaves this machine: mail goes to a sandbox that stands in for Microsoft 365.
  Its inbox    ${sandbox?.http.url}`;
  console.log(`
Postroom is ready. ${sandbox ? local : real}
  Swagger UI   ${url}/docs
  API key      ${config.apiKey}

Send a message:

curl -s ${url}/v1/messages \\
  -H 'Authorization: Bearer ${config.apiKey}' \\
  -H 'Content-Type: application/json' \\
  -d '{"from":"${from}","to":["ada@fabrikam.com"],"subject":"Hello","text":"It works."}'

and read what became of it, with the id from the answer:

curl -s '${url}/v1/messages/ID?wait=10' -H 'Authorization: Bearer ${config.apiKey}'

Ctrl-C stops everything.
`);
}
