import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type Behaviour, type BehaviourChange, Departures, type Rule } from './behaviour.ts';
import { type Certificate, makeCertificate } from './certificate.ts';
import type { FederatedCredential } from './client-assertion.ts';
import { createEntra } from './entra.ts';
import { openInbox, type StoredMessage } from './inbox.ts';
import { type Limits, MICROSOFT_LIMITS } from './limits.ts';
import { MailboxState, type SandboxMailbox } from './mailboxes.ts';
import { microsoft365 } from './microsoft365.ts';
import { sandboxRoutes } from './sandbox-routes.ts';
import { startSmtpServer } from './smtp-server.ts';
import type { Moment } from './stand-in.ts';
import { newCounters, type SandboxStats } from './stats.ts';
import { startWeb } from './web.ts';

export type {
  Behaviour,
  BehaviourChange,
  Certificate,
  FederatedCredential,
  Limits,
  Moment,
  Rule,
  SandboxMailbox,
  SandboxStats,
  StoredMessage,
};

/** Everything may be left out: the sandbox then chooses free ports and fresh secrets and keeps its mail in memory. */
export interface SandboxOptions {
  /** Default 127.0.0.1. */
  host?: string;
  smtpPort?: number;
  /** `none`: neither inbox page nor token endpoint; mailboxes log in by password. */
  httpPort?: number | 'none';
  /** Where the inbox is kept, so that it outlives the process. */
  dataDir?: string;
  /** How many messages the inbox keeps. Default 1,000. */
  inboxMessages?: number;
  mailboxes?: SandboxMailbox[];
  tenantId?: string;
  clientId?: string;
  clientSecret?: string;
  /** PEM certificates with which the application may prove who it is, instead of the secret. */
  clientCertificates?: string[];
  /** Foreign issuers whose assertions for these subjects are as good. */
  federatedCredentials?: FederatedCredential[];
  limits?: Partial<Limits>;
  /** Default 3599, as Entra's are at the shortest. Fractions are allowed. */
  tokenLifetimeSeconds?: number;
  /** Another certificate than a fresh one for localhost. */
  certificate?: Certificate;
  /** TLS versions it speaks. Default `modern`: 1.2 and newer; `old`: 1.0 and 1.1, which no client should. */
  tls?: 'modern' | 'old';
  /** Departures from the ordinary from the start. */
  behaviour?: Behaviour;
  /** Asked before every SMTP answer; a rule that it returns is followed instead. */
  onReply?: (moment: Moment) => Rule | undefined;
  logger?: { error(details: object, message: string): void };
}

/** A local stand-in for Microsoft 365 and Entra ID. Nothing that it accepts leaves the machine. */
export interface Sandbox {
  readonly smtp: { host: string; port: number };
  /** Empty if it was started without. */
  readonly http: { url: string };
  /** Stands for https://login.microsoftonline.com; the token URL is `${authority}/${tenantId}/oauth2/v2.0/token`. */
  readonly authority: string;
  /** What a client must trust. */
  readonly caPem: string;
  readonly mailboxes: readonly SandboxMailbox[];
  readonly tenantId: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly inbox: { messages(): readonly StoredMessage[]; clear(): Promise<void> };
  stats(): SandboxStats;
  behave(change: BehaviourChange): void;
  /** One more mailbox from now on; one of the same address is replaced. */
  addMailbox(mailbox: SandboxMailbox): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts the stand-in. @throws what listening or the data folder throws, for example EADDRINUSE */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const host = options.host ?? '127.0.0.1';
  const identity = identityOf(options);
  const mailboxes = options.mailboxes ?? [defaultMailbox()];
  const certificate = options.certificate ?? (await makeCertificate());
  const departures = new Departures(options.behaviour);
  const limits = () => ({ ...MICROSOFT_LIMITS, ...options.limits, ...departures.current.limits });
  const states = mailboxStates(mailboxes, limits);
  const counters = newCounters();
  const inbox = await openInbox(options.dataDir && join(options.dataDir, 'inbox'), options.inboxMessages);
  const entra = createEntra({
    ...identity,
    clientCertificates: options.clientCertificates ?? [],
    federatedCredentials: options.federatedCredentials ?? [],
    lifetimeSeconds: options.tokenLifetimeSeconds ?? 3_599,
    now: () => Date.now() + (departures.current.entra?.clockAheadSeconds ?? 0) * 1_000,
    claims: () => departures.current.entra?.claims,
  });
  const onError = (error: unknown) => options.logger?.error({ err: error }, 'the sandbox had a fault of its own');
  const { onReply } = options;

  const policy = microsoft365({ mailboxes: states, entra, inbox, limits, departures, counters, onReply, onError });
  const maxBodyBytes = () => limits().messageBytes;
  const listening = { host, port: options.smtpPort ?? 0, tls: options.tls ?? 'modern' } as const;
  const smtp = await startSmtpServer({ ...listening, certificate, policy, maxBodyBytes, onError });

  const stats = (): SandboxStats => structuredClone({ ...counters, mailboxes: statsOf(states) });
  const behave = ({ revokeTokens, dropConnections, ...behaviour }: BehaviourChange) => {
    departures.change(behaviour);
    if (revokeTokens) entra.revokeAll();
    if (dropConnections) smtp.dropConnections();
  };
  const routes = sandboxRoutes({ inbox, entra, departures, counters, stats, behave, authority: () => url });
  const port = options.httpPort ?? 0;
  const listen = async () => (port === 'none' ? undefined : startWeb({ host, port, routes, onError }));
  const web = await listen().catch(async (error: unknown) => {
    await smtp[Symbol.asyncDispose]();
    throw error;
  });
  const url = web?.url ?? '';

  return {
    smtp: { host: smtp.host, port: smtp.port },
    http: { url },
    authority: url,
    caPem: certificate.caPem,
    mailboxes,
    ...identity,
    inbox: { messages: inbox.messages, clear: inbox.clear },
    stats,
    behave,
    addMailbox: (mailbox) => void states.set(...stateOf(mailbox, limits)),
    async [Symbol.asyncDispose]() {
      await Promise.all([smtp[Symbol.asyncDispose](), web?.[Symbol.asyncDispose]()]);
    },
  };
}

function identityOf(options: SandboxOptions): Pick<Sandbox, 'tenantId' | 'clientId' | 'clientSecret'> {
  return {
    tenantId: (options.tenantId ?? randomUUID()).toLowerCase(),
    clientId: (options.clientId ?? randomUUID()).toLowerCase(),
    clientSecret: options.clientSecret ?? randomBytes(24).toString('base64url'),
  };
}

function defaultMailbox(): SandboxMailbox {
  return { address: 'sender@postroom.example', password: randomBytes(18).toString('base64url') };
}

function mailboxStates(mailboxes: SandboxMailbox[], limits: () => Limits): Map<string, MailboxState> {
  return new Map(mailboxes.map((mailbox) => stateOf(mailbox, limits)));
}

function stateOf(mailbox: SandboxMailbox, limits: () => Limits): [string, MailboxState] {
  // Not the wall clock: a window must not jump when somebody sets the time.
  const now = () => performance.now();
  return [mailbox.address.toLowerCase(), new MailboxState(mailbox, limits, now)];
}

function statsOf(states: Map<string, MailboxState>): SandboxStats['mailboxes'] {
  return Object.fromEntries([...states].map(([address, state]) => [address, state.stats()]));
}
