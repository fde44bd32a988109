import type { Trouble } from '../failure/failure.ts';
import type { Reply } from '../mail/reply.ts';

// All that the doctor reaches the outside with. Every function settles within a bound of its own, and answers what went
// wrong instead of throwing it.

/** What a server said to one command, or why it said nothing. */
export type Heard = { ok: true; reply: Reply } | { ok: false; trouble: Trouble };

/** A certificate as presented, the server's own first. */
export interface CertificateFacts {
  /** Common name, or else the organisation. */
  subject: string;
  issuer: string;
  /** DNS names and addresses it is for; empty for an authority's. */
  names: string[];
  validFrom: Date;
  validTo: Date;
}

export type Secured =
  | {
      ok: true;
      /** For example `TLSv1.3`. */
      version: string;
      cipher: string;
      chain: CertificateFacts[];
      /** Why the certificate is not to be trusted: OpenSSL's or Node's code, and a sentence. */
      untrusted?: { code: string; message: string };
    }
  | { ok: false; trouble: Trouble };

/** An SMTP session, step by step. A reply of any kind is data; only silence and broken connections are trouble. */
export interface Conversation {
  greeting(): Promise<Heard>;
  /** EHLO, before or after TLS. */
  hello(): Promise<Heard>;
  startTls(): Promise<Heard>;
  /** The handshake. It comes about with an untrusted certificate too, so that this can be examined. */
  secure(): Promise<Secured>;
  /** AUTH XOAUTH2 with a token, else AUTH LOGIN with the mailbox's password. Only over a trusted session. */
  logIn(token?: string): Promise<Heard>;
  mail(reversePath: string): Promise<Heard>;
  reset(): Promise<Heard>;
  /** A whole transaction: the last reply, which is the first refusal or the answer to the final dot. */
  submit(reversePath: string, recipient: string, mime: Buffer): Promise<Heard>;
  /** Says QUIT where that is possible, and closes. Never fails. */
  quit(): Promise<void>;
}

export type Dialed = { ok: true; conversation: Conversation } | { ok: false; trouble: Trouble };

export type Addresses = { ok: true; ipv4: string[]; ipv6: string[] } | { ok: false; trouble: Trouble };

export type Records = { kind: 'found'; values: string[] } | { kind: 'none' } | { kind: 'unknown'; reason: string };

export type TokenAnswer = { ok: true; token: string } | { ok: false; trouble: Trouble };

export type ClockAnswer =
  /** How far the other clock is ahead of ours; negative if behind. */
  { ok: true; aheadMilliseconds: number } | { ok: false; reason: string };

export interface RedisFacts {
  version: string;
  isReplica: boolean;
  isLoading: boolean;
  /** Why it takes no writes, in its own words. */
  refusal?: string;
  evictionPolicy: string;
  isAppendOnly: boolean;
  canWriteAppendOnly: boolean;
  /** Undefined where the service does not tell. */
  appendFsync?: string;
  usedBytes: number;
  /** 0: no limit. */
  maxBytes: number;
}

/** May a message be begun? `unknown` where that cannot be counted. */
export type Leave = 'go' | 'busy' | 'quota' | 'unknown';

/** Counts what the doctor does among all that is done with the mailbox. */
export interface Admission {
  /** Waits a while for a place among the mailbox's connections; false if there is none. */
  enter(): Promise<boolean>;
  leave(): Promise<void>;
  /** Runs one transaction when its time has come, and not at all without leave. */
  begin<T>(recipients: number, run: () => Promise<T>): Promise<{ leave: Leave; result?: T }>;
}

export interface DoctorTools {
  now: () => Date;
  /** Absent where no Redis is configured, because Postroom would embed its own. Rejects if it does not answer. */
  redis?: () => Promise<RedisFacts>;
  clock: () => Promise<ClockAnswer>;
  addresses: (host: string) => Promise<Addresses>;
  txt: (name: string) => Promise<Records>;
  cname: (name: string) => Promise<Records>;
  /** Opens a TCP connection to one address of the SMTP server. */
  dial: (address: string) => Promise<Dialed>;
  token: () => Promise<TokenAnswer>;
  /** Absent where no Redis is configured: then nothing counts. */
  admission?: Admission;
  /** A small message from `from` to the mailbox itself. */
  testMessage: (from: string) => Promise<Buffer>;
  /** Takes every secret and token out of a text. */
  redact: (text: string) => string;
}
