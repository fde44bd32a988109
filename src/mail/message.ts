import type { Failure } from '../failure/failure.ts';
import type { Address } from './address.ts';
import type { Reply } from './reply.ts';
import type { Status } from './status.ts';

/** One file of a message, its bytes already decoded. */
export interface Attachment {
  filename: string;
  /** RFC 6838 media type without parameters, for example `application/pdf`. */
  contentType: string;
  content: Buffer;
  /** For `cid:` references from the HTML (RFC 2392), without angle brackets. */
  contentId?: string;
  disposition: 'attachment' | 'inline';
}

/** Which of a mailbox's waiting messages goes first; within one priority the oldest. */
export const PRIORITIES = ['high', 'normal', 'low'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** A validated message as a caller submitted it. Every string in it has been checked; nothing here is trusted input any more. */
export interface Submission {
  from: Address;
  to: Address[];
  cc: Address[];
  bcc: Address[];
  replyTo: Address[];
  subject: string;
  text?: string;
  html?: string;
  attachments: Attachment[];
  /** Extra header fields by name; names and values have passed `checkHeader`. */
  headers: Record<string, string>;
  tags: string[];
  metadata: Record<string, string>;
  /** Give up at this time; milliseconds since the epoch. */
  expiresAt?: number;
  onUnconfirmed: 'hold' | 'resend';
  priority: Priority;
  /** Ids of the only endpoints of the caller to be told of it; all of them if absent. */
  webhooks?: string[];
}

/** What the SMTP transaction needs: RFC 5321 §3.3. */
export interface Envelope {
  reversePath: string;
  recipients: string[];
}

export interface RecipientState {
  address: string;
  status: Status;
  /** The server's own words about this recipient, or about the message if the recipient itself was accepted. */
  reply?: Reply;
  failure?: Failure;
}

/** One SMTP transaction of one message. */
export interface Attempt {
  number: number;
  /** RFC 3339 UTC. */
  startedAt: string;
  endedAt?: string;
  outcome: 'sent' | 'partiallySent' | 'deferred' | 'held' | 'unconfirmed' | 'failed' | 'interrupted';
  /** How far the transaction came. */
  stage?: Reply['stage'];
  /** The decisive reply, word for word. */
  reply?: Reply;
  failure?: Failure;
}

/** The record of a message as the store keeps it; times are milliseconds since the epoch by Redis's clock. */
export interface MessageRecord {
  id: string;
  callerId: string;
  mailbox: string;
  status: Status;
  /** Counts the moves; the basis of the ETag. */
  revision: number;
  envelope: Envelope;
  from: string;
  to: string[];
  cc: string[];
  bcc: string[];
  subject: string;
  tags: string[];
  metadata: Record<string, string>;
  /** With angle brackets, fixed at acceptance. */
  messageIdHeader: string;
  /** Size of the MIME in octets. */
  bytes: number;
  onUnconfirmed: 'hold' | 'resend';
  priority: Priority;
  webhooks?: string[];
  acceptedAt: number;
  updatedAt: number;
  expiresAt: number;
  nextAttemptAt?: number;
  /** Attempts that count: those given back because the fault was not the message's do not. */
  attempts: number;
  recipients: RecipientState[];
  /** How many messages of its mailbox were before it when it was accepted. */
  aheadAtFirst: number;
  failure?: Failure;
  /** Number of the only job that may still act on this message; older jobs are void. */
  ticket: number;
  /** The running attempt's token; only its holder may move a `sending` message. */
  attemptToken?: string;
  /** Set before the final dot may leave. */
  dotMayHaveLeft?: boolean;
}
