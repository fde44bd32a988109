import { reader } from './environment.ts';
import type { MailboxConfig, MailboxLimits } from './mailbox-config.ts';
import { readMailboxes, readPace } from './read-mailboxes.ts';
import { StartupError } from './startup-error.ts';
import { readWebhookSettings, type WebhookSettings } from './webhook-settings.ts';

export interface Config {
  production: boolean;
  role: 'all' | 'api' | 'worker';
  host: string;
  port: number;
  logLevel: string;
  /** Absent: start an embedded Redis. */
  redisUrl?: string;
  redisPrefix: string;
  dataDir: string;
  /** Absent: make one and keep it in `dataDir`. */
  apiKey?: string;
  expiresHours: number;
  retentionDays: number;
  shutdownSeconds: number;
  sandboxPort?: number;
  /** Absent: start the sandbox and use its mailbox. */
  mailboxes?: MailboxConfig[];
  webhooks: WebhookSettings;
  /** Of the sandbox's mailbox. */
  pace: Pick<MailboxLimits, 'messagesPerMinute' | 'windowSeconds' | 'connections'>;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/**
 * Reads the environment once and checks it whole.
 *
 * @throws StartupError that lists every fault, each with the name of its variable
 */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const faults: string[] = [];
  const env = reader(environment, faults);
  const nodeEnv = environment.NODE_ENV?.trim() ?? '';
  const production = nodeEnv === 'production';
  if (!production && /^prod/i.test(nodeEnv))
    faults.push('NODE_ENV looks like production but is not; write it in lower case: production.');
  const role = env.oneOf('POSTROOM_ROLE', ['all', 'api', 'worker'], 'all') as Config['role'];
  const redisUrl = env.text('REDIS_URL');
  const apiKey = env.text('POSTROOM_API_KEY');
  const sandboxPort = env.optionalWhole('POSTROOM_SANDBOX_PORT', 0, 65_535);
  const mailboxes = readMailboxes(env, role, faults);
  const config: Config = {
    production,
    role,
    host: env.text('HOST') ?? (production ? '0.0.0.0' : '127.0.0.1'),
    port: env.whole('PORT', 3000, 0, 65_535),
    logLevel: env.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
    redisPrefix: env.text('POSTROOM_REDIS_PREFIX') ?? '{postroom}',
    dataDir: env.text('POSTROOM_DATA_DIR') ?? '.postroom',
    expiresHours: env.number('POSTROOM_EXPIRES_HOURS', 48, 0.01, 24 * 30),
    retentionDays: env.number('POSTROOM_RETENTION_DAYS', 30, 0.01, 3650),
    pace: readPace(env),
    webhooks: readWebhookSettings(env, faults),
    shutdownSeconds: env.number('POSTROOM_SHUTDOWN_SECONDS', 25, 0, 3600),
    ...(redisUrl !== undefined && { redisUrl }),
    ...(apiKey !== undefined && { apiKey }),
    ...(sandboxPort !== undefined && { sandboxPort }),
    ...(mailboxes && { mailboxes }),
  };
  checkApiKey(apiKey, faults);
  checkRedisUrl(redisUrl, faults);
  if (production) missingInProduction(config, faults);
  if (role !== 'all' && !redisUrl)
    faults.push(`REDIS_URL is missing: POSTROOM_ROLE=${role} shares a Redis with other processes.`);
  if (role !== 'all' && !production && mailboxes === undefined)
    faults.push(`M365_MAILBOX or M365_MAILBOXES_FILE is missing: the sandbox is only started with POSTROOM_ROLE=all.`);
  if (faults.length > 0) throw new StartupError(describeFaults(faults));
  return config;
}

function describeFaults(faults: string[]): string {
  const unique = [...new Set(faults)];
  const head =
    unique.length === 1 ? 'The configuration has a fault:' : `The configuration has ${unique.length} faults:`;
  return `${head}\n${unique.map((fault) => `  - ${fault}`).join('\n')}`;
}

function missingInProduction(config: Config, faults: string[]): void {
  if (!config.redisUrl && config.role === 'all')
    faults.push('REDIS_URL is missing: in production Postroom embeds no Redis.');
  if (!config.apiKey && config.role !== 'worker')
    faults.push('POSTROOM_API_KEY is missing: without a key nobody could call the API.');
  if (!config.mailboxes)
    faults.push('M365_MAILBOX or M365_MAILBOXES_FILE is missing: in production Postroom starts no sandbox.');
}

function checkApiKey(apiKey: string | undefined, faults: string[]): void {
  if (apiKey !== undefined && !/^[\x21-\x7e]{32,512}$/.test(apiKey))
    faults.push('POSTROOM_API_KEY must be 32 to 512 visible ASCII characters without spaces.');
}

function checkRedisUrl(url: string | undefined, faults: string[]): void {
  if (url === undefined || url.startsWith('/') || url.startsWith('unix:///')) return;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed?.hostname || !['redis:', 'rediss:'].includes(parsed.protocol))
    faults.push(
      'REDIS_URL must look like redis://host:6379, rediss://user:password@host:6380/0 or /path/of/redis.sock.',
    );
}
