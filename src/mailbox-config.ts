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

export const USUAL_SMTP = { host: 'smtp.office365.com', port: 587 };
export const USUAL_AUTHORITY = 'https://login.microsoftonline.com';
export const USUAL_SCOPE = 'https://outlook.office365.com/.default';
export type Role = 'all' | 'api' | 'worker';
