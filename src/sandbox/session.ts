import { randomBytes } from 'node:crypto';

/** The envelope of RFC 5321 §3.3 with what the client asked for by parameters. */
export interface SmtpEnvelope {
  /** Empty for the null reverse-path. */
  reversePath: string;
  recipients: string[];
  smtpUtf8: boolean;
}

/** One client's conversation, from greeting to goodbye. */
export interface Session {
  /** As Exchange prints it: 16 hexadecimal digits. */
  readonly id: string;
  /** The front-end server's name, in banner, EHLO and refusals before DATA. */
  readonly frontEnd: string;
  /** The mailbox server's name, in replies after DATA. */
  readonly backEnd: string;
  readonly remoteAddress: string;
  isSecure: boolean;
  hello?: string;
  /** Address of the mailbox it is logged in as. */
  mailbox?: string;
  /** Logged in by XOAUTH2. */
  usesToken?: boolean;
  /** The last refusal of AUTH: Exchange repeats it at MAIL. */
  authFailure?: string;
  envelope?: SmtpEnvelope;
}

export function openSession(remoteAddress: string): Session {
  const digits = String(randomBytes(2).readUInt16BE() % 10_000).padStart(4, '0');
  // In Microsoft's form, so that what reads such names is exercised, and yet says what it is.
  const domain = 'POSTROOM-SANDBOX.PROD.OUTLOOK.COM';
  return {
    id: `08D${randomBytes(7).toString('hex').slice(0, 13).toUpperCase()}`,
    frontEnd: `SB1P000CA${digits}.${domain}`,
    backEnd: `SB1P000MB${digits}.${domain}`,
    remoteAddress,
    isSecure: false,
  };
}

/** Adds what Exchange appends to refusals before the message: `[host time session]`. */
export function signed(reply: string, session: Session): string {
  return `${reply} [${session.frontEnd} ${new Date().toISOString()} ${session.id}]`;
}

/** Adds what Exchange appends to what it says after the final dot: `[Hostname=host]`. */
export function signedByBackEnd(reply: string, session: Session): string {
  return `${reply} [Hostname=${session.backEnd}]`;
}
