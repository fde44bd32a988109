import { readEntra } from './entra-config.ts';
import type { EntraConfig } from './entra-tokens.ts';
import { reader } from './environment.ts';
import type { Rate } from './gateway/api.ts';
import { usualBurst } from './gateway/rate.ts';
import type { MailboxConfig, MailboxLimits } from './mailbox-config.ts';
import { addressRule } from './mailbox-fields.ts';
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
  /** Of callers whose key has none of its own. */
  defaultRate?: Rate;
  /** Whom alone this installation sends to: addresses in lower case, or `*@domain`. */
  allowTo?: string[];
  /** Requests of one caller in work at a time, and its long polls and streams, in this process. */
  callerRequests?: number;
  callerWaiting?: number;
  /** Callers' tokens. */
  entra?: EntraConfig;
  /** A first test key. */
  testApiKey?: string;
  expiresHours: number;
  retentionDays: number;
  shutdownSeconds: number;
  /** Memory for large request bodies; 512 if absent. */
  bodyMemoryMegabytes?: number;
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
  const testApiKey = env.text('POSTROOM_TEST_API_KEY');
  const sandboxPort = env.optionalWhole('POSTROOM_SANDBOX_PORT', 0, 65_535);
  const perMinute = env.optionalWhole('POSTROOM_RATE_PER_MINUTE', 1, 1_000_000);
  const callerRequests = env.optionalWhole('POSTROOM_REQUESTS_PER_CALLER', 1, 100_000);
  const callerWaiting = env.optionalWhole('POSTROOM_WAITING_PER_CALLER', 1, 1_000_000);
  const allowTo = env
    .text('POSTROOM_ALLOW_TO')
    ?.split(',')
    .map((each) => addressRule(each.trim(), 'POSTROOM_ALLOW_TO', faults));
  const entra = readEntra(env, faults);
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
    bodyMemoryMegabytes: env.whole('POSTROOM_BODY_MEMORY_MB', 512, 1, 1_000_000),
    ...(redisUrl !== undefined && { redisUrl }),
    ...(apiKey !== undefined && { apiKey }),
    ...(perMinute !== undefined && { defaultRate: { perMinute, burst: usualBurst(perMinute) } }),
    ...(allowTo && { allowTo }),
    ...(callerRequests !== undefined && { callerRequests }),
    ...(callerWaiting !== undefined && { callerWaiting }),
    ...(entra && { entra }),
    ...(testApiKey !== undefined && { testApiKey }),
    ...(sandboxPort !== undefined && { sandboxPort }),
    ...(mailboxes && { mailboxes }),
  };
  checkApiKey('POSTROOM_API_KEY', apiKey, faults);
  checkApiKey('POSTROOM_TEST_API_KEY', testApiKey, faults);
  checkKinds(config, faults);
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

function checkApiKey(name: string, apiKey: string | undefined, faults: string[]): void {
  if (apiKey !== undefined && !/^[\x21-\x7e]{32,512}$/.test(apiKey))
    faults.push(`${name} must be 32 to 512 visible ASCII characters without spaces.`);
}

const TEST_KEY = 'pr_test_';

/** Whoever reads a key must see what it does: one sends for real, the other never does. */
function checkKinds({ apiKey, testApiKey }: Config, faults: string[]): void {
  if (apiKey?.startsWith(TEST_KEY))
    faults.push(
      `POSTROOM_API_KEY begins with ${TEST_KEY}, but would send for real; name it otherwise, or set it as POSTROOM_TEST_API_KEY.`,
    );
  if (testApiKey !== undefined && !testApiKey.startsWith(TEST_KEY))
    faults.push(`POSTROOM_TEST_API_KEY must begin with ${TEST_KEY}.`);
}

function checkRedisUrl(url: string | undefined, faults: string[]): void {
  if (url === undefined || url.startsWith('/') || url.startsWith('unix:///')) return;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed?.hostname || !['redis:', 'rediss:'].includes(parsed.protocol))
    faults.push(
      'REDIS_URL must look like redis://host:6379, rediss://user:password@host:6380/0 or /path/of/redis.sock.',
    );
}
