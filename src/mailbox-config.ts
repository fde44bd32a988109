import { readFileSync } from 'node:fs';
import { z } from 'zod';
import {
  type CredentialNames,
  type CredentialSource,
  type ReadCredential,
  readCredential,
} from './client-credential.ts';
import { type Reader, shown } from './environment.ts';
import { domainOf, parseAddress } from './mail/address.ts';
import { SETTINGS, type SettingName } from './settings.ts';
import type { ClientCredential } from './smtp/client-authentication.ts';

export interface MailboxConfig {
  id: string;
  /** The login, and the address that Microsoft calls the mailbox. */
  address: string;
  /** Addresses, or `*@domain`, that may be used as From. */
  from: string[];
  /** Absent only for the role `api`, which never logs in. */
  auth?: MailboxAuth;
  smtp: { host: string; port: number; ca?: string; heloName: string };
  limits: MailboxLimits;
}

export type MailboxAuth = { type: 'password'; password: string } | ClientCredentialsAuth;

export type ClientCredentialsAuth = ClientCredential & {
  type: 'clientCredentials';
  tenantId: string;
  clientId: string;
  authority: string;
  scope: string;
  /**
   * RFC 3339 full-date on which the secret ends, as the operator noted it (Entra ID does not tell a client), or on
   * which the certificate does.
   */
  secretExpires?: string;
};

export interface MailboxLimits {
  messagesPerMinute: number;
  windowSeconds: number;
  connections: number;
  recipientsPerDay: number;
  recipientsPerMessage: number;
  messageBytes: number;
}

/** Microsoft's limits for one mailbox (learn.microsoft.com, Exchange Online limits, read 2026-11). */
export const USUAL_LIMITS: MailboxLimits = {
  messagesPerMinute: 30,
  windowSeconds: 60,
  connections: 3,
  recipientsPerDay: 10_000,
  recipientsPerMessage: 500,
  messageBytes: 35_000_000,
};

const USUAL_SMTP = { host: 'smtp.office365.com', port: 587 };
const USUAL_AUTHORITY = 'https://login.microsoftonline.com';
const USUAL_SCOPE = 'https://outlook.office365.com/.default';
type Role = 'all' | 'api' | 'worker';

/** The mailboxes that the environment names; undefined where it names none. */
export function readMailboxes(env: Reader, role: Role, faults: string[]): MailboxConfig[] | undefined {
  const file = env.text('M365_MAILBOXES_FILE');
  const single = env.text('M365_MAILBOX');
  if (file && single) faults.push('M365_MAILBOX and M365_MAILBOXES_FILE are both set; keep one.');
  if (single && !file) return [singleMailbox(single, env, role, faults)];
  const stray = strays(env, file ? [] : PACE_SETTINGS);
  const are = stray.length > 1 ? 'are' : 'is';
  if (file && stray.length > 0)
    faults.push(`${stray.join(', ')} ${are} set beside M365_MAILBOXES_FILE, which says all of that for each mailbox.`);
  if (file) return readMailboxesFile(file, role, faults);
  if (stray.length > 0) faults.push(`M365_MAILBOX is missing, although ${stray.join(', ')} ${are} set.`);
  return undefined;
}

/** The pace of the only mailbox, or of the sandbox's. */
export function readPace(env: Reader): Pick<MailboxLimits, 'messagesPerMinute' | 'windowSeconds' | 'connections'> {
  return {
    messagesPerMinute: env.whole('M365_MESSAGES_PER_MINUTE', USUAL_LIMITS.messagesPerMinute, 1, 100_000),
    windowSeconds: env.number('M365_WINDOW_SECONDS', USUAL_LIMITS.windowSeconds, 0.05, 86_400),
    connections: env.whole('M365_CONNECTIONS', USUAL_LIMITS.connections, 1, 1_000),
  };
}

const PACE_SETTINGS: readonly SettingName[] = ['M365_MESSAGES_PER_MINUTE', 'M365_WINDOW_SECONDS', 'M365_CONNECTIONS'];

/** Settings of a single mailbox that are set although there is none: a slip that must not pass in silence. */
function strays(env: Reader, harmless: readonly SettingName[]): SettingName[] {
  const single = SETTINGS.map(({ name }) => name).filter(
    (name) => name.startsWith('M365_') && name !== 'M365_MAILBOX' && name !== 'M365_MAILBOXES_FILE',
  );
  return single.filter((name) => !harmless.includes(name) && env.text(name) !== undefined);
}

function singleMailbox(address: string, env: Reader, role: Role, faults: string[]): MailboxConfig {
  const parsed = parseAddress({ address });
  if (!parsed.ok) faults.push(`M365_MAILBOX is not an address: ${parsed.problem}`);
  const mailbox = parsed.ok ? parsed.address.address : 'invalid@invalid.invalid';
  const from = (env.text('M365_FROM') ?? mailbox).split(',').map((each) => each.trim());
  const ca = caFile('M365_SMTP_CA_FILE', env.text('M365_SMTP_CA_FILE'), faults);
  const auth = singleAuth(env, role, faults);
  return {
    id: 'main',
    address: mailbox,
    from: from.map((each) => allowedFrom(each, 'M365_FROM', faults)),
    ...(auth && { auth }),
    smtp: {
      host: env.text('M365_SMTP_HOST') ?? USUAL_SMTP.host,
      port: env.whole('M365_SMTP_PORT', USUAL_SMTP.port, 1, 65_535),
      heloName: heloName('M365_HELO_NAME', env.text('M365_HELO_NAME') ?? domainOf(mailbox), faults),
      ...(ca && { ca }),
    },
    limits: {
      ...readPace(env),
      recipientsPerDay: env.whole('M365_RECIPIENTS_PER_DAY', USUAL_LIMITS.recipientsPerDay, 1, 100_000_000),
      recipientsPerMessage: env.whole('M365_RECIPIENTS_PER_MESSAGE', USUAL_LIMITS.recipientsPerMessage, 1, 1_000),
      messageBytes: env.whole('M365_MESSAGE_BYTES', USUAL_LIMITS.messageBytes, 1_000, 157_286_400),
    },
  };
}

const CREDENTIAL_SETTINGS = {
  clientSecret: 'M365_CLIENT_SECRET',
  certificateFile: 'M365_CLIENT_CERTIFICATE_FILE',
  federatedTokenFile: 'M365_FEDERATED_TOKEN_FILE',
  keyFile: 'M365_CLIENT_KEY_FILE',
} as const satisfies CredentialNames;
const OAUTH_SETTINGS = ['M365_TENANT_ID', 'M365_CLIENT_ID', ...Object.values(CREDENTIAL_SETTINGS)] as const;
type OAuthSetting = (typeof OAUTH_SETTINGS)[number];

function singleAuth(env: Reader, role: Role, faults: string[]): MailboxAuth | undefined {
  const password = env.text('M365_PASSWORD');
  const values = new Map(OAUTH_SETTINGS.map((name) => [name, env.text(name)]));
  const set = OAUTH_SETTINGS.filter((name) => values.get(name));
  const authority = authorityUrl('M365_AUTHORITY', env.text('M365_AUTHORITY') ?? USUAL_AUTHORITY, faults);
  const secretExpires = fullDate('M365_SECRET_EXPIRES', env.text('M365_SECRET_EXPIRES'), faults);
  if (password && set.length > 0) {
    faults.push(`M365_PASSWORD is set beside ${set.join(', ')}; keep one way to log in.`);
    return undefined;
  }
  if (password) return { type: 'password', password };
  const credential = readCredential(sourceIn(values), CREDENTIAL_SETTINGS, faults);
  const [tenantId, clientId] = [values.get('M365_TENANT_ID'), values.get('M365_CLIENT_ID')];
  const scope = env.text('M365_SCOPE') ?? USUAL_SCOPE;
  if (tenantId && clientId && credential)
    return clientCredentials({ tenantId, clientId, authority, scope }, credential, secretExpires);
  if (role !== 'api') tellMissing(set, faults);
  return undefined;
}

function sourceIn(values: ReadonlyMap<OAuthSetting, string | undefined>): CredentialSource {
  return {
    clientSecret: values.get(CREDENTIAL_SETTINGS.clientSecret),
    certificateFile: values.get(CREDENTIAL_SETTINGS.certificateFile),
    federatedTokenFile: values.get(CREDENTIAL_SETTINGS.federatedTokenFile),
    keyFile: values.get(CREDENTIAL_SETTINGS.keyFile),
  };
}

function tellMissing(set: OAuthSetting[], faults: string[]): void {
  const needed = [['M365_TENANT_ID'], ['M365_CLIENT_ID'], Object.values(CREDENTIAL_SETTINGS)] as const;
  for (const [name, ...others] of needed.filter((names) => !names.some((name) => set.includes(name))))
    faults.push(
      `${name} is missing: M365_MAILBOX needs M365_TENANT_ID, M365_CLIENT_ID and M365_CLIENT_SECRET${others.length > 0 ? ' (or M365_CLIENT_CERTIFICATE_FILE, or M365_FEDERATED_TOKEN_FILE)' : ''}, or M365_PASSWORD.`,
    );
}

/** A certificate tells itself when it ends, a federated token is renewed by others; of a secret only the operator knows. */
function clientCredentials(
  application: Pick<ClientCredentialsAuth, 'tenantId' | 'clientId' | 'authority' | 'scope'>,
  { ends, ...credential }: ReadCredential,
  secretExpires: string | undefined,
): ClientCredentialsAuth {
  const expires = credential.clientSecret === undefined ? ends : secretExpires;
  return { type: 'clientCredentials', ...application, ...credential, ...(expires && { secretExpires: expires }) };
}

function allowedFrom(value: string, name: string, faults: string[]): string {
  const sample = value.startsWith('*@') ? `anybody${value.slice(1)}` : value;
  const parsed = parseAddress({ address: sample });
  if (!parsed.ok) {
    faults.push(`${name}: "${shown(value)}" is neither an address nor *@domain: ${parsed.problem}`);
    return value;
  }
  return value.startsWith('*@') ? `*@${domainOf(parsed.address.address)}` : parsed.address.address.toLowerCase();
}

function heloName(name: string, value: string, faults: string[]): string {
  const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
  if (value.length > 253 || !new RegExp(`^${label}(?:\\.${label})+$`).test(value))
    faults.push(
      `${name} must be a fully qualified domain name such as mail.contoso.com, not "${shown(value)}" (Microsoft answers 501 5.5.4 to others).`,
    );
  return value;
}

export function authorityUrl(name: string, value: string, faults: string[]): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  // Anywhere else the client secret, or the keys that prove tokens, would cross a network in clear text.
  const local = url && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  if (!url || !(url.protocol === 'https:' || (url.protocol === 'http:' && local)))
    faults.push(`${name} must be an https URL such as ${USUAL_AUTHORITY}, not "${shown(value)}".`);
  return value.replace(/\/+$/, '');
}

/** A day that exists, as in 2027-03-31. */
function fullDate(name: string, value: string | undefined, faults: string[]): string | undefined {
  if (value === undefined) return undefined;
  const day = /^\d{4}-\d{2}-\d{2}$/.test(value) ? new Date(`${value}T00:00:00Z`) : undefined;
  if (day && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(value)) return value;
  faults.push(`${name} must be a date such as 2027-03-31, not "${shown(value)}".`);
  return undefined;
}

function caFile(name: string, path: string | undefined, faults: string[]): string | undefined {
  if (!path) return undefined;
  try {
    const pem = readFileSync(path, 'utf8');
    if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem;
    faults.push(`${name} holds no PEM certificate: ${path}`);
  } catch (error) {
    faults.push(`${name} cannot be read: ${(error as Error).message}`);
  }
  return undefined;
}

const whole = (least: number, most: number) => z.number().int().min(least).max(most);

const mailboxEntry = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'must be 1 to 63 letters, digits, dots, hyphens or underscores'),
  address: z.string(),
  from: z.array(z.string()).min(1).optional(),
  auth: z
    .discriminatedUnion('type', [
      z.strictObject({
        type: z.literal('password'),
        password: z.string().min(1).optional(),
        passwordFile: z.string().optional(),
      }),
      z.strictObject({
        type: z.literal('clientCredentials'),
        tenantId: z.string().min(1),
        clientId: z.string().min(1),
        clientSecret: z.string().min(1).optional(),
        clientSecretFile: z.string().min(1).optional(),
        certificateFile: z.string().min(1).optional(),
        keyFile: z.string().min(1).optional(),
        federatedTokenFile: z.string().min(1).optional(),
        authority: z.string().optional(),
        scope: z.string().optional(),
        secretExpires: z.string().optional(),
      }),
    ])
    .optional(),
  smtp: z
    .strictObject({
      host: z.string().min(1).optional(),
      port: whole(1, 65_535).optional(),
      caFile: z.string().optional(),
      heloName: z.string().optional(),
    })
    .optional(),
  limits: z
    .strictObject({
      messagesPerMinute: whole(1, 100_000).optional(),
      windowSeconds: z.number().min(0.05).max(86_400).optional(),
      connections: whole(1, 1_000).optional(),
      recipientsPerDay: whole(1, 100_000_000).optional(),
      recipientsPerMessage: whole(1, 1_000).optional(),
      messageBytes: whole(1_000, 157_286_400).optional(),
    })
    .optional(),
});

const mailboxesFile = z.strictObject({ mailboxes: z.array(mailboxEntry).min(1) });

function readMailboxesFile(path: string, role: Role, faults: string[]): MailboxConfig[] | undefined {
  const name = 'M365_MAILBOXES_FILE';
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    faults.push(`${name} cannot be read as JSON: ${(error as Error).message}`);
    return [];
  }
  const parsed = mailboxesFile.safeParse(json);
  if (!parsed.success) {
    for (const { path: at, message } of parsed.error.issues)
      faults.push(`${name}: ${at.join('.') || 'the file'}: ${message}`);
    return [];
  }
  const mailboxes = parsed.data.mailboxes.map((entry, index) => mailboxOf(entry, index, role, faults));
  for (const { id } of mailboxes)
    if (mailboxes.filter((each) => each.id === id).length > 1)
      faults.push(`${name}: the id "${id}" is used more than once.`);
  return mailboxes;
}

function mailboxOf(entry: z.infer<typeof mailboxEntry>, index: number, role: Role, faults: string[]): MailboxConfig {
  const at = (field: string) => `M365_MAILBOXES_FILE: mailboxes.${index}.${field}`;
  const parsed = parseAddress({ address: entry.address });
  if (!parsed.ok) faults.push(`${at('address')}: ${parsed.problem}`);
  const address = parsed.ok ? parsed.address.address : 'invalid@invalid.invalid';
  const ca = caFile(at('smtp.caFile'), entry.smtp?.caFile, faults);
  const auth = authOf(entry, at, role, faults);
  return {
    id: entry.id,
    address,
    from: (entry.from ?? [address]).map((each) => allowedFrom(each, at('from'), faults)),
    ...(auth && { auth }),
    smtp: {
      host: entry.smtp?.host ?? USUAL_SMTP.host,
      port: entry.smtp?.port ?? USUAL_SMTP.port,
      heloName: heloName(at('smtp.heloName'), entry.smtp?.heloName ?? domainOf(address), faults),
      ...(ca && { ca }),
    },
    limits: { ...USUAL_LIMITS, ...(entry.limits as Partial<MailboxLimits>) },
  };
}

function authOf(
  { auth }: z.infer<typeof mailboxEntry>,
  at: (field: string) => string,
  role: Role,
  faults: string[],
): MailboxAuth | undefined {
  if (!auth) {
    if (role !== 'api') faults.push(`${at('auth')} is missing: clientCredentials or password.`);
    return undefined;
  }
  if (auth.type === 'password') {
    const password = auth.password ?? secretFile(at('auth.passwordFile'), auth.passwordFile, faults);
    if (!password) faults.push(`${at('auth.password')} or auth.passwordFile is missing.`);
    return password ? { type: 'password', password } : undefined;
  }
  return clientCredentialsOf(auth, at, faults);
}

type ClientCredentialsEntry = Extract<z.infer<typeof mailboxEntry>['auth'], { type: 'clientCredentials' }>;

function clientCredentialsOf(auth: ClientCredentialsEntry, at: (field: string) => string, faults: string[]) {
  const { tenantId, clientId, scope = USUAL_SCOPE, clientSecretFile, ...source } = auth;
  const names: CredentialNames = {
    clientSecret: at('auth.clientSecret'),
    certificateFile: at('auth.certificateFile'),
    federatedTokenFile: at('auth.federatedTokenFile'),
    keyFile: at('auth.keyFile'),
  };
  if (source.clientSecret && clientSecretFile)
    faults.push(`${names.clientSecret} and auth.clientSecretFile are both set; keep one.`);
  if (!(source.clientSecret ?? clientSecretFile ?? source.certificateFile ?? source.federatedTokenFile))
    faults.push(
      `${names.clientSecret} is missing (or auth.clientSecretFile, auth.certificateFile or auth.federatedTokenFile).`,
    );
  const clientSecret = source.clientSecret ?? secretFile(at('auth.clientSecretFile'), clientSecretFile, faults);
  const credential = readCredential({ ...source, clientSecret }, names, faults);
  const authority = authorityUrl(at('auth.authority'), auth.authority ?? USUAL_AUTHORITY, faults);
  const secretExpires = fullDate(at('auth.secretExpires'), auth.secretExpires, faults);
  return credential && clientCredentials({ tenantId, clientId, authority, scope }, credential, secretExpires);
}

function secretFile(name: string, path: string | undefined, faults: string[]): string | undefined {
  if (!path) return undefined;
  try {
    const secret = readFileSync(path, 'utf8').trim();
    if (!secret) faults.push(`${name} names an empty file: ${path}`);
    return secret || undefined;
  } catch (error) {
    faults.push(`${name} cannot be read: ${(error as Error).message}`);
    return undefined;
  }
}
