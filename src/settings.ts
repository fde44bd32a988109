/** One environment variable: everything that `.env.example` says about it. */
export interface Setting {
  name: string;
  /** What it is when it is not set; shown, never parsed. */
  default?: string;
  /** May be given as a file's path in `<name>_FILE` instead, as secrets mounted into a container are. */
  secret?: true;
  about: string;
}

/** Every variable Postroom reads, in the order of `.env.example`, which a test keeps equal to this list. */
export const SETTINGS = [
  {
    name: 'NODE_ENV',
    default: 'development',
    about:
      'production: nothing is embedded and nothing is assumed; what is missing is listed and Postroom does not start.',
  },
  { name: 'HOST', default: '127.0.0.1 (0.0.0.0 in production)', about: 'Address the API listens on.' },
  { name: 'PORT', default: '3000', about: 'Port the API listens on.' },
  { name: 'LOG_LEVEL', default: 'info', about: 'fatal, error, warn, info, debug, trace or silent.' },
  {
    name: 'POSTROOM_ROLE',
    default: 'all',
    about: 'all, api (accepts and answers) or worker (delivers). Any number of each may share one Redis.',
  },
  {
    name: 'POSTROOM_API_KEY',
    secret: true,
    about:
      'A first API key with every scope: 32 or more visible characters without spaces. Outside production one is made and kept in POSTROOM_DATA_DIR.',
  },
  {
    name: 'POSTROOM_TEST_API_KEY',
    secret: true,
    about:
      'A first test key, with the scopes send and read; begins with pr_test_. What is sent with it goes into a sandbox, never to Microsoft; see docs/test-keys.md.',
  },
  {
    name: 'POSTROOM_RATE_PER_MINUTE',
    default: 'no limit',
    about:
      'Requests a minute of every caller whose key has no rate of its own; a batch counts as many as it has messages. See docs/keys.md.',
  },
  {
    name: 'POSTROOM_ALLOW_TO',
    default: 'everybody',
    about:
      'Whom alone this installation sends to, whoever asks: addresses, or *@contoso.com for a domain, separated by commas. For staging, whose mail must not reach customers. See docs/keys.md.',
  },
  {
    name: 'POSTROOM_REQUESTS_PER_CALLER',
    default: '64',
    about:
      'Requests of one caller that one process works on at a time; a body counts one more for each MiB. Its others wait, so that its flood does not slow other callers.',
  },
  {
    name: 'POSTROOM_WAITING_PER_CALLER',
    default: '2000',
    about: 'Long polls and streams that one caller may have open in one process.',
  },
  {
    name: 'POSTROOM_ENTRA_TENANT',
    about:
      'Entra tenant id whose applications may call with access tokens instead of API keys; with POSTROOM_ENTRA_AUDIENCE. See docs/keys.md.',
  },
  {
    name: 'POSTROOM_ENTRA_AUDIENCE',
    about: 'Application id, or application id URI, for which such a token must be; several with commas.',
  },
  {
    name: 'POSTROOM_ENTRA_AUTHORITY',
    default: 'https://login.microsoftonline.com',
    about: 'Where the keys that prove such tokens come from; another one for national clouds.',
  },
  {
    name: 'REDIS_URL',
    secret: true,
    about:
      'redis://, rediss:// or the path of a Unix socket. Needs maxmemory-policy noeviction and, for a 202 to be on disk, appendonly yes with appendfsync always. Outside production an embedded Redis is started where this is not set.',
  },
  {
    name: 'POSTROOM_REDIS_PREFIX',
    default: '{postroom}',
    about: 'Prefix of every key. Keep the braces: they keep all keys in one slot of a Redis Cluster.',
  },
  {
    name: 'POSTROOM_DATA_DIR',
    default: '.postroom',
    about: 'Folder of the embedded Redis, of the sandbox and of the generated key.',
  },
  {
    name: 'POSTROOM_EXPIRES_HOURS',
    default: '48',
    about:
      'How long a message is tried where its caller names no expiresAt. Longer than the 24 hours of the daily quota.',
  },
  { name: 'POSTROOM_RETENTION_DAYS', default: '30', about: 'How long finished messages can be read.' },
  {
    name: 'POSTROOM_SHUTDOWN_SECONDS',
    default: '25',
    about: 'How long running transactions may take to finish after SIGTERM.',
  },
  {
    name: 'POSTROOM_BODY_MEMORY_MB',
    default: '512',
    about:
      'Memory that the large request bodies of one process may take at a time (a JSON body takes five times its length, an upload twice what is sent of it). What finds no room within 15 seconds is answered 503.',
  },
  {
    name: 'POSTROOM_SANDBOX_PORT',
    default: '3001, or a free port',
    about: 'Port of the sandbox’s inbox, which is started where no mailbox is configured (never in production).',
  },
  {
    name: 'POSTROOM_WEBHOOK_ALLOW',
    default: 'none; this machine where the sandbox is started',
    about:
      'Host names, addresses and CIDR ranges, separated by commas, that webhooks may call although they are not public, as in 10.20.0.0/16, hooks.corp.example.',
  },
  {
    name: 'POSTROOM_WEBHOOK_ALLOW_HTTP',
    default: 'false; true where the sandbox is started',
    about: 'true: webhooks may be called without TLS.',
  },
  {
    name: 'POSTROOM_WEBHOOK_RETRY_SECONDS',
    default: '5,300,1800,7200,18000,36000,50400,61200 (two days)',
    about: 'Waits after the first, second … failed try of a webhook; after the last one the event is given up.',
  },
  {
    name: 'POSTROOM_WEBHOOK_DISABLE_DAYS',
    default: '5',
    about: 'A webhook of which every try has failed for so long is disabled.',
  },
  {
    name: 'POSTROOM_WEBHOOK_KEEP_DAYS',
    default: '3',
    about:
      'How long events are kept to be tried and replayed. Longer than all waits of POSTROOM_WEBHOOK_RETRY_SECONDS together.',
  },
  { name: 'M365_MAILBOX', about: 'Address of the mailbox Postroom logs in as and sends from.' },
  {
    name: 'M365_FROM',
    default: 'M365_MAILBOX',
    about:
      'Addresses that may be used as From, separated by commas; *@contoso.com allows a whole domain. The mailbox needs Send As for each.',
  },
  { name: 'M365_TENANT_ID', about: 'Entra tenant id, for OAuth (client credentials).' },
  { name: 'M365_CLIENT_ID', about: 'Application (client) id of the app registration.' },
  { name: 'M365_CLIENT_SECRET', secret: true, about: 'Client secret: its value, not its id.' },
  {
    name: 'M365_CLIENT_CERTIFICATE_FILE',
    about:
      'PEM file of a certificate that is registered with the application, instead of the secret; with its RSA private key, unless M365_CLIENT_KEY_FILE names another file.',
  },
  { name: 'M365_CLIENT_KEY_FILE', about: 'PEM file of that certificate’s private key, unencrypted.' },
  {
    name: 'M365_FEDERATED_TOKEN_FILE',
    about:
      'File of a federated client assertion (Kubernetes workload identity), instead of the secret; read anew for every token.',
  },
  {
    name: 'M365_SECRET_EXPIRES',
    about: 'The day on which that secret ends, as in 2027-03-31: the doctor warns 30 days before.',
  },
  {
    name: 'M365_PASSWORD',
    secret: true,
    about: 'Password, instead of OAuth. Microsoft switches password SMTP off by default at the end of December 2026.',
  },
  { name: 'M365_SMTP_HOST', default: 'smtp.office365.com', about: 'SMTP submission server.' },
  { name: 'M365_SMTP_PORT', default: '587', about: 'Its port; STARTTLS is required.' },
  { name: 'M365_SMTP_CA_FILE', about: 'PEM file of certificates to trust for it, beside the built-in ones.' },
  {
    name: 'M365_AUTHORITY',
    default: 'https://login.microsoftonline.com',
    about: 'Where tokens come from; another one for national clouds. Plain http only on this machine.',
  },
  {
    name: 'M365_SCOPE',
    default: 'https://outlook.office365.com/.default',
    about: 'Scope of the token; another one for national clouds.',
  },
  {
    name: 'M365_HELO_NAME',
    default: 'the domain of M365_MAILBOX',
    about: 'Name in EHLO: a fully qualified domain name.',
  },
  { name: 'M365_MESSAGES_PER_MINUTE', default: '30', about: 'Messages in any window of M365_WINDOW_SECONDS.' },
  {
    name: 'M365_WINDOW_SECONDS',
    default: '60',
    about: 'Length of that window; fractions are allowed, so that a test can shrink the minute.',
  },
  { name: 'M365_CONNECTIONS', default: '3', about: 'Connections at a time.' },
  { name: 'M365_RECIPIENTS_PER_DAY', default: '10000', about: 'Recipients in any 24 hours.' },
  { name: 'M365_RECIPIENTS_PER_MESSAGE', default: '500', about: 'Recipients of one message.' },
  { name: 'M365_MESSAGE_BYTES', default: '35000000', about: 'Size of one message after encoding.' },
  {
    name: 'M365_MAILBOXES_FILE',
    about: 'JSON file of many mailboxes, instead of M365_MAILBOX; see docs/configuration.md.',
  },
] as const satisfies readonly Setting[];

export type SettingName = (typeof SETTINGS)[number]['name'];

/** `.env.example`, whole. */
export function envExample(): string {
  const blocks = SETTINGS.map((setting: Setting) => {
    const file = setting.secret ? ` Or ${setting.name}_FILE, the path of a file that holds it.` : '';
    const usual = setting.default ? ` Default: ${setting.default}.` : '';
    return `${wrapped(`${setting.about}${usual}${file}`)}\n#${setting.name}=\n`;
  });
  return `# Postroom reads these from the environment, and from a .env file beside package.json.\n# This list is kept equal to src/settings.ts by a test.\n\n${blocks.join('\n')}`;
}

function wrapped(text: string): string {
  const lines: string[] = [];
  let line = '#';
  for (const word of text.split(' ')) {
    if (line.length + word.length > 100) {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  return [...lines, line].join('\n');
}
