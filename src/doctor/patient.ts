/** What the doctor knows of a mailbox from its configuration. No secrets: those are in the tools. */
export interface Patient {
  id: string;
  /** The login. */
  address: string;
  /** Addresses, or `*@domain`, that may be used as From. */
  from: string[];
  /** Absent in a process that never logs in. */
  login?: PasswordLogin | OAuthLogin;
  smtp: { host: string; port: number; heloName: string };
  /** Of every configured mailbox with this login, itself included. */
  shares: Share[];
}

export interface PasswordLogin {
  type: 'password';
}

export interface OAuthLogin {
  type: 'clientCredentials';
  /** With which the application proves itself to Entra ID. */
  proof: 'secret' | 'certificate' | 'federated token';
  tenantId: string;
  scope: string;
  /** RFC 3339 full-date on which the secret or certificate ends, where that is known. */
  secretExpires?: string;
}

export interface Share {
  id: string;
  connections: number;
  messagesPerMinute: number;
}

/** Addresses that can be named in MAIL FROM: a wildcard has none. */
export function exactSenders({ from }: Patient): string[] {
  return from.filter((each) => !each.startsWith('*@'));
}
