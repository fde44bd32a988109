import type { Reply, Stage } from '../mail/reply.ts';

/** What a program may branch on. Closed: adding one is a breaking change of the API. */
export const CATEGORIES = {
  authentication: 'Microsoft 365 or Entra ID refused our login: credentials, token, consent or sign-in policy.',
  configuration: 'The gateway is set up wrongly; no message can pass until an operator corrects it.',
  mailboxUnusable:
    'The sending mailbox itself cannot be used: full, unlicensed, missing or not accessible to the login.',
  senderRefused: 'The From address may not be used by this mailbox.',
  senderBlocked: 'Microsoft has blocked or penalised the sender, tenant or address because of what was sent before.',
  throttled: 'Too fast or too many connections; waiting cures it.',
  quotaExceeded: 'A daily or tenant-wide allowance is used up; the next window cures it.',
  recipientRefused: 'The recipient does not exist or does not accept this message.',
  messageRefused:
    'The message itself is not acceptable: too large, malformed, too many recipients or forbidden content.',
  serviceUnavailable: 'Microsoft 365 or Entra ID is temporarily unable to serve; waiting cures it.',
  connection: 'The network, DNS, or the connection failed before the message was handed over.',
  tls: 'No trustworthy encrypted connection could be made; nothing was sent over it.',
  outcomeUnknown:
    'The connection was lost after the message may have been handed over; nobody knows whether it was accepted.',
  undeliverable: 'Accepted once, but a later server could not deliver it (seen in a non-delivery report).',
  expired: 'The message reached its expiresAt before it could be sent.',
  heldByOperator: 'A person holds the mailbox; nothing is wrong with the message.',
  unknown: 'Not recognised; classified by its reply code alone.',
} as const satisfies Record<string, string>;
export type Category = keyof typeof CATEGORIES;

/** What a failure stops: only this recipient or message, this connection, a mailbox, a tenant, or all to that host. */
export type Scope = 'message' | 'recipient' | 'mailbox' | 'tenant' | 'connection' | 'network';

/** What Postroom does next: nothing, try again later, wait for a person, or wait until the limit's window has rolled. */
export type Plan = 'never' | 'backoff' | 'afterFix' | 'nextWindow';

/** A classified reply or error, as callers read it. */
export interface Failure {
  category: Category;
  /** The fine class, for example `auth_smtp_disabled`. Open: codes may be added. */
  code: string;
  scope: Scope;
  plan: Plan;
  /** One sentence: what it means and whose fault it is. */
  summary: string;
  /** What a person can do. */
  remedy: string;
  docsUrl?: string;
  /** The server's own words, where a server spoke. */
  smtp?: Reply;
  /** Where no SMTP server spoke: what Entra ID answered, or the error of our own side; one line, bounded. */
  detail?: string;
  /** RFC 3339 UTC. */
  at: string;
}

/** Something that went wrong, as observed and not yet judged. */
export type Trouble =
  | { via: 'smtp'; reply: Reply; mechanism?: 'LOGIN' | 'XOAUTH2' }
  /** Entra's answer: OAuth `error` and `error_description` (RFC 6749 §5.2), or the HTTP status where the body was no OAuth error. */
  | { via: 'token'; httpStatus?: number; error?: string; description?: string }
  /** No server words: Node's or nodemailer's error. `stage` is what *we* know of how far the transaction had come. */
  | { via: 'client'; code?: string; command?: string; message: string; stage: Stage };
