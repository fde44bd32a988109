import { randomUUID } from 'node:crypto';
import type { Patient } from './doctor/patient.ts';
import type { ClockAnswer, Conversation, Dialed, DoctorTools, TokenAnswer } from './doctor/tools.ts';
import { domainOf } from './mail/address.ts';
import type { MailboxConfig } from './mailbox-config.ts';
import { type Redaction, redaction } from './redaction.ts';
import { composeMessage } from './smtp/compose.ts';
import { dnsLookups, type LookupOptions } from './smtp/lookups.ts';
import { openProbe, type ProbeWaits, USUAL_WAITS } from './smtp/probe.ts';
import { tokenSource } from './smtp/token.ts';

export interface DoctorWaits extends ProbeWaits {
  /** For one request to the token endpoint. */
  http: number;
}

export interface DoctorSurroundings {
  /** Asks Redis; absent where none is configured. */
  redis?: DoctorTools['redis'];
  admission?: DoctorTools['admission'];
  dns?: LookupOptions;
  waits?: Partial<DoctorWaits>;
  now?: () => Date;
}

/** What the doctor may know of a mailbox: no secrets. */
export function patientOf(mailbox: MailboxConfig, all: readonly MailboxConfig[]): Patient {
  const { id, address, from, auth, smtp } = mailbox;
  const sameLogin = all.filter((each) => each.address.toLowerCase() === address.toLowerCase());
  return {
    ...{ id, address, from },
    ...(auth && { login: loginOf(auth) }),
    smtp: { host: smtp.host, port: smtp.port, heloName: smtp.heloName },
    shares: sameLogin.map((each) => ({
      id: each.id,
      connections: each.limits.connections,
      messagesPerMinute: (each.limits.messagesPerMinute * 60) / each.limits.windowSeconds,
    })),
  };
}

function loginOf(auth: NonNullable<MailboxConfig['auth']>): NonNullable<Patient['login']> {
  if (auth.type === 'password') return { type: 'password' };
  const { tenantId, scope, secretExpires } = auth;
  const proof = auth.clientCertificate ? 'certificate' : auth.federatedTokenFile ? 'federated token' : 'secret';
  return { type: 'clientCredentials', proof, tenantId, scope, ...(secretExpires && { secretExpires }) };
}

/** Joins the doctor's questions to the world: sockets, TLS, DNS, the token endpoint. */
export function doctorTools(mailbox: MailboxConfig, surroundings: DoctorSurroundings = {}): DoctorTools {
  const { redis, admission, dns, now = () => new Date() } = surroundings;
  const waits: DoctorWaits = { ...USUAL_WAITS, http: 20_000, ...surroundings.waits };
  const secrets = redaction(secretsOf(mailbox));
  const lookups = dnsLookups(dns);
  return {
    ...{ now, ...lookups, redact: secrets.redact },
    ...(redis && { redis }),
    ...(admission && { admission }),
    clock: () => askClock(mailbox, waits.http, now),
    token: () => askToken(mailbox, waits.http, secrets),
    dial: (address) => dial(address, mailbox, waits, secrets),
    testMessage: (from) => composeTest(mailbox.address, from, now()),
  };
}

function secretsOf({ address, auth }: MailboxConfig): string[] {
  if (!auth) return [];
  if (auth.type === 'password') return [auth.password, `\u0000${address}\u0000${auth.password}`];
  return [auth.clientSecret, auth.clientCertificate?.privateKey].filter((each) => each !== undefined);
}

async function dial(
  address: string,
  { address: user, auth, smtp }: MailboxConfig,
  waits: ProbeWaits,
  secrets: Redaction,
) {
  const password = auth?.type === 'password' ? auth.password : undefined;
  const dialed = await openProbe(address, smtp, { user, ...(password !== undefined && { password }) }, waits);
  if (!dialed.ok) return dialed;
  const conversation: Conversation = {
    ...dialed.conversation,
    logIn: (token) => {
      if (token) secrets.learn(`user=${user}\u0001auth=Bearer ${token}\u0001\u0001`);
      return dialed.conversation.logIn(token);
    },
  };
  return { ok: true, conversation } satisfies Dialed;
}

/** A token of its own, not one that is held: the point is whether the secret works now. */
async function askToken({ auth }: MailboxConfig, wait: number, secrets: Redaction): Promise<TokenAnswer> {
  if (auth?.type !== 'clientCredentials') throw new Error('The mailbox has no client credentials');
  const answer = await tokenSource(auth, { timeoutMilliseconds: wait }).get();
  if (answer.ok) secrets.learn(answer.token);
  return answer;
}

/** RFC 9110 §6.6.1: `Date` has whole seconds, so that the middle of its second is compared with the middle of the wait. */
async function askClock({ auth }: MailboxConfig, wait: number, now: () => Date): Promise<ClockAnswer> {
  if (auth?.type !== 'clientCredentials') return { ok: false, reason: 'there is none' };
  // A GET shows no credential. Entra ID refuses it, and tells the time all the same.
  const url = `${auth.authority}/${encodeURIComponent(auth.tenantId)}/oauth2/v2.0/token`;
  const askedAt = now().getTime();
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(wait), redirect: 'manual' });
    const middle = (askedAt + now().getTime()) / 2;
    await response.body?.cancel();
    const told = Date.parse(response.headers.get('date') ?? '');
    return Number.isNaN(told)
      ? { ok: false, reason: 'no Date header' }
      : { ok: true, aheadMilliseconds: told + 500 - middle };
  } catch (error) {
    const cause = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
    return { ok: false, reason: cause.code === undefined ? cause.message : String(cause.code) };
  }
}

function composeTest(to: string, from: string, date: Date): Promise<Buffer> {
  const text =
    'This is a test message of Postroom’s doctor. It was sent by authenticated SMTP from this mailbox to itself, and proves that it can send. It may be deleted.\n';
  const messageId = `<${randomUUID()}@${domainOf(from)}>`;
  const submission = { from: { address: from }, to: [{ address: to }], cc: [], bcc: [], replyTo: [] };
  const rest = { headers: {}, metadata: {}, onUnconfirmed: 'hold', priority: 'normal' } as const;
  return composeMessage(
    { ...submission, ...rest, attachments: [], tags: [], subject: 'Test message of Postroom’s doctor', text },
    { messageId, date },
  );
}
