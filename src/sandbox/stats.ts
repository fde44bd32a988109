/** What the stand-in has seen since it started. */
export interface SandboxStats {
  connections: { now: number; peak: number; total: number };
  mailboxes: Record<string, MailboxStats>;
  authAttempts: number;
  authFailures: number;
  /** AUTH before TLS. A sound client never does that. */
  cleartextAuthAttempts: number;
  tokenRequests: number;
  tokensIssued: number;
  mailCommands: number;
  /** Messages kept in the inbox, also those whose sender was not told so. */
  messages: number;
  /** Replies given because a limit was exceeded; scenarios and rules do not count. */
  throttleReplies: number;
  /** How often each basic reply code was said after the final dot. */
  repliesAfterDot: Record<string, number>;
}

export interface MailboxStats {
  /** Logged-in connections. */
  connectionsNow: number;
  connectionsPeak: number;
  /** Final dots, whatever was answered. */
  submissions: number;
  /** The most final dots in any window of the limits' length. */
  submissionsPeakInWindow: number;
  messages: number;
  /** In the last 24 hours. */
  recipientsToday: number;
  throttleReplies: number;
}

export type Counters = Omit<SandboxStats, 'mailboxes'>;

export function newCounters(): Counters {
  return {
    connections: { now: 0, peak: 0, total: 0 },
    authAttempts: 0,
    authFailures: 0,
    cleartextAuthAttempts: 0,
    tokenRequests: 0,
    tokensIssued: 0,
    mailCommands: 0,
    messages: 0,
    throttleReplies: 0,
    repliesAfterDot: {},
  };
}
