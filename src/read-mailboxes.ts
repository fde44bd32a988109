import { type CredentialNames, type CredentialSource, readCredential } from './client-credential.ts';
import type { Reader } from './environment.ts';
import { domainOf, parseAddress } from './mail/address.ts';
import {
  type MailboxAuth,
  type MailboxConfig,
  type MailboxLimits,
  type Role,
  USUAL_AUTHORITY,
  USUAL_LIMITS,
  USUAL_SCOPE,
  USUAL_SMTP,
} from './mailbox-config.ts';
import { addressRule, authorityUrl, caFile, clientCredentials, fullDate, heloName } from './mailbox-fields.ts';
import { readMailboxesFile } from './mailboxes-file.ts';
import { SETTINGS, type SettingName } from './settings.ts';

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
    from: from.map((each) => addressRule(each, 'M365_FROM', faults)),
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
