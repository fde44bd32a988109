import type { Failure } from '../failure/failure.ts';
import type { Address } from './address.ts';
import type { Calendar } from './calendar.ts';
import type { RawMessage } from './raw-message.ts';
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
  /** The content of a large upload, which is not held in memory; `content` is then empty. */
  spooled?: Spooled;
}

/** A file that waits on disk, in base64 with its line ends (RFC 2045 §6.8). */
export interface Spooled {
  octets: number;
  /** Writes all of it into a buffer, from this place on. */
  copyTo(target: Buffer, at: number): Promise<void>;
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
  calendar?: Calendar;
  /** All of the message; then the fields above only tell what is in it, and nothing is composed of them. */
  raw?: RawMessage;
  /** Instead of what From, To, Cc and Bcc say; for a raw message. */
  envelope?: { from?: Address | undefined; to?: Address[] | undefined };
  /** Extra header fields by name; names and values have passed `checkHeader`. */
  headers: Record<string, string>;
  tags: string[];
  metadata: Record<string, string>;
  /** Not before this time; milliseconds since the epoch. */
  sendAt?: number;
  /** Give up at this time; milliseconds since the epoch. */
  expiresAt?: number;
  /** Give up this long after it may go; never beside `expiresAt`. */
  lifetimeMilliseconds?: number;
  /** Id of the mailbox that is to send it; else one is chosen by `from`. */
  mailbox?: string;
  onUnconfirmed: 'hold' | 'resend';
  priority: Priority;
  /** Ids of the only endpoints of the caller to be told of it; all of them if absent. */
  webhooks?: string[];
}

/** What the SMTP transaction needs: RFC 5321 §3.3. */
export interface Envelope {
  reversePath: string;
  recipients: string[];
  /** Extensions of the server without which the message cannot be sent (RFC 6531, RFC 6152). */
  needs?: ('SMTPUTF8' | '8BITMIME')[];
}

export interface RecipientState {
  address: string;
  status: Status;
  /** The server's own words about this recipient, or about the message if the recipient itself was accepted. */
  reply?: Reply;
  failure?: Failure;
  /** A person has said that it was sent or not; the server never did. */
  resolved?: true;
  /** It is tried again, or was, after an attempt of which nobody knows whether it arrived. */
  mayHaveArrived?: true;
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

/** What is taken of a mailbox's window. */
export interface WindowUse {
  taken: number;
  /** When the first of these places is free again; milliseconds since the epoch. */
  nextFreeAt: number;
}

/** The record of a message as the store keeps it; times are milliseconds since the epoch by Redis's clock. */
export interface MessageRecord {
  id: string;
  callerId: string;
  /** The lane it waits in: its mailbox, or that mailbox's lane for tests (test-lane.ts). */
  mailbox: string;
  /** Accepted with a test key: never to be sent to Microsoft. */
  test?: true;
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
  /** When it was or is to go, if it was scheduled. */
  sendAt?: number;
  /** What that was when it was accepted. */
  firstSendAt?: number;
  /** How long after `sendAt` it expires, in milliseconds, unless its caller fixed the time itself. */
  lifetime?: number;
  nextAttemptAt?: number;
  /** Attempts that count: those given back because the fault was not the message's do not. */
  attempts: number;
  recipients: RecipientState[];
  /** How many messages of its mailbox were before it when it was accepted. */
  aheadAtFirst: number;
  /** What of the mailbox's window was taken then, if anything was. */
  windowAtFirst?: WindowUse | undefined;
  failure?: Failure;
  /** Number of the only job that may still act on this message; older jobs are void. */
  ticket: number;
  /** The ticket that goes before the others of its lane. */
  firstTicket?: number;
  /** The running attempt's token; only its holder may move a `sending` message. */
  attemptToken?: string;
  /** Set before the final dot may leave. */
  dotMayHaveLeft?: boolean;
  /** What had become by then of those that were refused, and have no part in what the dot ends. */
  refusedBeforeDot?: RecipientState[];
  /** How often the worker that was sending it stopped. */
  interruptions?: number;
  /** The store cannot read all of it any more: it must not be sent. */
  isDamaged?: true;
}
