import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type CredentialNames, readCredential } from './client-credential.ts';
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
import {
  addressRule,
  authorityUrl,
  caFile,
  clientCredentials,
  fullDate,
  heloName,
  secretFile,
} from './mailbox-fields.ts';

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

/** The mailboxes of the file that M365_MAILBOXES_FILE names; what is wrong with it goes to `faults`. */
export function readMailboxesFile(path: string, role: Role, faults: string[]): MailboxConfig[] | undefined {
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
  refuseNamesakes(mailboxes, (fault) => faults.push(`${name}: ${fault}`));
  return mailboxes;
}

/**
 * Each entry has its own count of the minute, the connections and the day; Microsoft has one for each mailbox. Entries of
 * one address that share its limits are as good as one.
 */
function refuseNamesakes(mailboxes: MailboxConfig[], refuse: (fault: string) => void): void {
  const logins = new Map<string, MailboxConfig[]>();
  for (const mailbox of mailboxes) {
    const login = `${mailbox.address} ${mailbox.smtp.host}`.toLowerCase();
    logins.set(login, [...(logins.get(login) ?? []), mailbox]);
  }
  for (const entries of logins.values()) {
    const [first] = entries;
    const ids = [...new Set(entries.map(({ id }) => `"${id}"`))];
    if (!first || ids.length === 1) continue;
    const sum = (of: (limits: MailboxLimits) => number) => entries.reduce((all, { limits }) => all + of(limits), 0);
    const exceeded = [
      sum(({ connections }) => connections) > USUAL_LIMITS.connections,
      sum(({ messagesPerMinute, windowSeconds }) => messagesPerMinute / windowSeconds) > USUAL_PER_SECOND + ROUNDING,
      sum(({ recipientsPerDay }) => recipientsPerDay) > USUAL_LIMITS.recipientsPerDay,
    ];
    if (exceeded.includes(true))
      refuse(
        `${first.address.toLowerCase()} is the address of ${ids.join(' and of ')}, and its limits would be exceeded. Keep one, with all that they have in "from", or give each a part of the ${USUAL_LIMITS.connections} connections, ${USUAL_LIMITS.messagesPerMinute} messages a minute and ${USUAL_LIMITS.recipientsPerDay} recipients a day in "limits".`,
      );
  }
}

/** 10 and 20 a minute are 30. */
const ROUNDING = 1e-9;
const USUAL_PER_SECOND = USUAL_LIMITS.messagesPerMinute / USUAL_LIMITS.windowSeconds;

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
    from: (entry.from ?? [address]).map((each) => addressRule(each, at('from'), faults)),
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
