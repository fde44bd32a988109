import { createHash } from 'node:crypto';
import type { Pace } from './gateway/ports.ts';
import type { MailboxConfig, MailboxLimits } from './mailbox-config.ts';
import type { HoldKeys } from './queue/gate.ts';
import type { LaneSettings } from './queue/lane.ts';
import { type Login, openConnection, quitConnection } from './smtp/connection.ts';
import { type TokenSource, tokenSource } from './smtp/token.ts';
import { runTransaction } from './smtp/transaction.ts';

export type Connection = Extract<Awaited<ReturnType<typeof openConnection>>, { ok: true }>['connection'];

/** Joins each configured mailbox to its SMTP client: what a lane is driven with. */
export function laneSettings(mailboxes: MailboxConfig[]): LaneSettings<Connection>[] {
  const tokens = sharedTokens();
  return mailboxes.map((mailbox) => {
    const { limits } = mailbox;
    return {
      mailbox: mailbox.id,
      connections: limits.connections,
      pace: paceOf(limits),
      settingsDigest: digest(mailbox.address, credentialsOf(mailbox), mailbox.smtp, limits.recipientsPerDay),
      holdKeys: holdKeysOf(mailbox),
      dialer: {
        open: async () => {
          const opening = await openConnection(mailbox.smtp, loginOf(mailbox, tokens));
          return opening.ok ? { ...opening, reused: false } : opening;
        },
        quit: quitConnection,
        isOpen: (connection) => connection.isOpen(),
      },
      transact: runTransaction,
    };
  });
}

/** The window in whole milliseconds, as the store counts them, and never shorter than what was set. */
export function paceOf({ messagesPerMinute, windowSeconds, recipientsPerDay }: MailboxLimits): Pace {
  return { perWindow: messagesPerMinute, windowMilliseconds: Math.ceil(windowSeconds * 1000), recipientsPerDay };
}

/** One token serves every mailbox of a tenant and application. */
function sharedTokens(): (auth: Extract<MailboxConfig['auth'], { type: 'clientCredentials' }>) => TokenSource {
  const sources = new Map<string, TokenSource>();
  return (auth) => {
    const key = JSON.stringify(credentialsOf({ auth }));
    const source = sources.get(key) ?? tokenSource(auth, { rememberMilliseconds: 1_000 });
    sources.set(key, source);
    return source;
  };
}

/**
 * What is shown to log in, in one order however it is written; when it ends is only told to people, and by one mailbox
 * perhaps and not by another.
 */
function credentialsOf({ auth }: Pick<MailboxConfig, 'auth'>): unknown[] {
  const isShown = ([name]: [string, unknown]) => name !== 'secretExpires';
  return Object.entries(auth ?? {})
    .filter(isShown)
    .sort();
}

function loginOf({ id, address, auth }: MailboxConfig, tokens: ReturnType<typeof sharedTokens>): Login {
  if (!auth) throw new Error(`Mailbox ${id} has no way to log in`);
  if (auth.type === 'password') return { type: 'password', user: address, password: auth.password };
  return { type: 'xoauth2', user: address, tokens: tokens(auth) };
}

/** Changes when any of it does; tells nothing of the secret. */
function digest(...settings: unknown[]): string {
  return createHash('sha256').update(JSON.stringify(settings)).digest('base64url').slice(0, 16);
}

/** Mailboxes of one tenant, application and credential share its faults, those of one server the network's. */
function holdKeysOf({ id, auth, smtp }: MailboxConfig): HoldKeys {
  return {
    mailbox: `mailbox:${id}`,
    network: `host:${smtp.host}:${smtp.port}`,
    ...(auth?.type === 'clientCredentials' && {
      tenant: `tenant:${auth.tenantId}:${auth.clientId}:${mark(credentialsOf({ auth }))}`,
    }),
  };
}

/** Tells credentials apart in names that people read; too short to find one by. */
function mark(credentials: unknown[]): string {
  return digest(credentials).slice(0, 6);
}
