import type { Failure } from '../failure/failure.ts';
import type { Attempt, MessageRecord, RecipientState, WindowUse } from '../mail/message.ts';
import type { Status } from '../mail/status.ts';
import type { Metrics } from './api.ts';
import type { Hold } from './view.ts';

/** What never changes after acceptance. */
export type FixedPart = Pick<
  MessageRecord,
  | 'envelope'
  | 'from'
  | 'to'
  | 'cc'
  | 'bcc'
  | 'subject'
  | 'tags'
  | 'metadata'
  | 'messageIdHeader'
  | 'bytes'
  | 'onUnconfirmed'
  | 'priority'
  | 'test'
  | 'webhooks'
>;

export interface NewMessage {
  id: string;
  callerId: string;
  mailbox: string;
  fixed: FixedPart;
  mime: Buffer;
  expiresAt?: number;
  /** How long it is tried, from when it may go; instead of `expiresAt`. */
  lifetimeMilliseconds?: number;
  idempotency?: { key: string; fingerprint: string };
}

/** With the hold that the message read as when it was accepted, if there was one. */
export type Accepted =
  | { kind: 'accepted'; record: MessageRecord; hold?: Hold | undefined }
  | { kind: 'replayed'; record: MessageRecord; hold?: Hold | undefined }
  | { kind: 'conflict'; id: string };

/** The pace of one mailbox. */
export interface Pace {
  perWindow: number;
  windowMilliseconds: number;
  recipientsPerDay: number;
}

export interface Begin {
  id: string;
  mailbox: string;
  ticket: number;
  /** Unique to this attempt. */
  token: string;
  lease: string;
  /** True for the one message that tries out whether a hold is over. */
  trial: boolean;
  /** The holds that concern the mailbox. */
  holdKeys: string[];
  /** True while the clock cannot be trusted with giving a message up. */
  ignoreExpiry: boolean;
  /** What the store's clock should say, milliseconds since the epoch; left out where nobody watches it. */
  expectedNow?: number;
  pace: Pace;
}

/** The store's clock says another time than was expected: what it counts cannot be trusted. Nothing was begun. */
export interface Jumped {
  kind: 'jumped';
  now: number;
}

/** What an attempt needs to know of its message. */
export type Attempted = Pick<
  MessageRecord,
  'id' | 'envelope' | 'recipients' | 'attempts' | 'onUnconfirmed' | 'priority' | 'test'
>;

export type Permit =
  | { kind: 'go'; record: Attempted; mime: Buffer; startedAt: number }
  /** Every place in the window is taken; ask again after this long. */
  | { kind: 'wait'; milliseconds: number }
  /** The recipients of the last 24 hours leave room for so many, and this one has more. */
  | { kind: 'quota'; milliseconds: number; recipients: number; left: number }
  /** It still goes to more recipients than the mailbox has in a day: that will never leave room. */
  | { kind: 'overDay' }
  /** Not this job's to send any more: finished, moved on, or another job's. */
  | { kind: 'void' }
  | { kind: 'held' }
  | { kind: 'expired' }
  /** Its content is not kept any more. */
  | { kind: 'gone' }
  /** Another process holds the lane. */
  | { kind: 'lost' };

/**
 * A permit as the store gives it: a content that is too large to come with it is asked for apart (`content`). What is
 * `damaged` has begun, and must not be sent.
 */
export type Begun = Exclude<Permit, Go> | { kind: 'damaged' } | (Omit<Go, 'mime'> & Partial<Pick<Go, 'mime'>>);
type Go = Extract<Permit, { kind: 'go' }>;

export interface Move {
  id: string;
  mailbox: string;
  to: Status;
  /** Narrows where the message may come from; by default every status that may move to `to`. */
  from?: Status[];
  /** Only if this attempt holds the message. */
  token?: string;
  /** Only if this is its ticket: it has made no move since it was read. */
  ticket?: number;
  /** Replaces these of the record. */
  recipients?: RecipientState[];
  failure?: Failure;
  clearFailure?: boolean;
  /** Somebody has said that it was sent: the timeline tells it apart from what the server said. */
  resolved?: true;
  /** Another time to give it up at; milliseconds since the epoch. */
  expiresAt?: number;
  attempts?: number;
  /** How often a worker has died with it. */
  interruptions?: number;
  attempt?: Attempt;
  /** Until the next attempt, for `deferred` and for `queued` again. */
  delayMilliseconds?: number;
  /** For an attempt that held a permit: whether its place counts, and how many recipients were not used. */
  flight?: { counted: boolean; windowMilliseconds: number; unusedRecipients: number };
}

export type Moved = { moved: true; ticket: number } | { moved: false; status: Status | undefined };

/** A move as it was written down when it was made. */
export interface MoveTold {
  /** Counts from 1. */
  number: number;
  /** Milliseconds since the epoch by the store's clock. */
  at: number;
  status: Status;
  /** Code of the failure that led to it. */
  code?: string;
  /** Until when it waits since, for `scheduled`; milliseconds since the epoch. */
  sendAt?: number;
  /** Somebody wanted it to go first. */
  expedited?: true;
  /** Somebody said that it was sent. */
  resolved?: true;
}

/** Message records, their content and every move they make. Rejects with what the store throws when it cannot be asked. */
export interface MessageStore {
  /**
   * Writes record, content, idempotency entry and the job of its first ticket in one atomic step, and wakes the lane; or
   * finds what was answered before. Where its caller has webhooks by then, its moves are written down in their outbox as
   * they are made, unless `fixed.webhooks` says that none is to be told.
   */
  accept(message: NewMessage): Promise<Accepted>;
  /** What was answered to this idempotency key before; undefined for a new key. */
  replay(callerId: string, key: string, fingerprint: string): Promise<Accepted | undefined>;
  find(id: string): Promise<MessageRecord | undefined>;
  /** In the order asked. */
  findMany(ids: string[]): Promise<(MessageRecord | undefined)[]>;
  /** The bytes of a message; rejects where they are not all kept any more. */
  content(id: string): Promise<Buffer>;
  /** Are the bytes of the message still kept? */
  hasContent(id: string): Promise<boolean>;
  /** With how many messages of its mailbox are before it, about, and what is taken of the window and of the day. */
  findWithSurroundings(id: string): Promise<
    | {
        record: MessageRecord;
        attempts: Attempt[];
        hold?: Hold | undefined;
        ahead: number;
        windowUse?: WindowUse | undefined;
        /** Of its mailbox in about the last 24 hours. */
        recipientsToday: number;
      }
    | undefined
  >;
  /** Its moves, oldest first; of a very long timeline the last ones. */
  timeline(id: string): Promise<{ callerId: string; mailbox: string; events: MoveTold[] } | undefined>;
  /** Leave to start one attempt and the move to `sending`, in one step. */
  begin(request: Begin): Promise<Begun | Jumped>;
  /** One checked move; a move that the table of moves forbids changes nothing. */
  move(request: Move): Promise<Moved>;
  /**
   * Notes that the final dot may leave from now on. False if this attempt no longer holds the message.
   *
   * @param refused what has become of those that were refused before it
   */
  markDot(id: string, token: string, refused?: RecipientState[]): Promise<boolean>;
  /** The mailbox's messages that are `sending`, and by which attempt; undefined where somebody else has the lease. */
  sending(mailbox: string, lease: string): Promise<{ id: string; token: string }[] | undefined>;
  /** Gives a waiting message a new ticket if `ticket` is its present one, which voids the jobs it has. */
  reticket(id: string, ticket: number): Promise<number | undefined>;
  /**
   * Unfinished messages that the sweeper should look at, the longest overdue first. Whoever gets one has it for this
   * long; then it is given again.
   */
  claimDue(limit: number, milliseconds: number): Promise<string[]>;
  /**
   * Looks at it again at this time (milliseconds since the epoch), if that is still its ticket; never brings back what is
   * finished.
   */
  postpone(id: string, ticket: number, at: number): Promise<unknown>;
  /**
   * Looks no more at one that is over, gone, or waits for a person, and sees to it that it leaves nothing behind for
   * longer than such ones do. One that has gone on meanwhile stays as it is.
   */
  leave(id: string): Promise<unknown>;
}

/** A hold as it is stored: with what it was noticed under, so that changed settings are tried at once. */
export interface StoredHold extends Hold {
  /** Digest of the mailbox's settings in force when the hold began. */
  settings: string;
  /** Who has met it last; absent where that was a person. */
  by?: LaneOwner;
  /** From when it was written until `nextProbeAt`: it is never longer, whatever becomes of the clock. */
  delayMilliseconds?: number;
}

/** Who drives a lane. */
export interface LaneOwner {
  mailbox: string;
  lease: string;
}

/** A key of ours in Redis that somebody else has written. */
export interface DamagedKey {
  key: string;
  /** What it is, and what it should be, as Redis's TYPE names it. */
  holds: string;
  should: string;
}

/** What outlives a process about mailboxes: holds, leases, and which of them have anything to do. */
export interface MailboxStore {
  /** The holds in force among these keys. */
  holds(keys: string[]): Promise<Map<string, StoredHold>>;
  /** The holds in force that concern a mailbox, the widest first. */
  holdsOf(mailbox: string): Promise<Map<string, StoredHold>>;
  /** How many of its messages have each status. */
  counts(mailbox: string): Promise<Partial<Record<Status, number>>>;
  /**
   * Places of the window that are taken, when the first of them is free again, and recipients of the last 24 hours. Rejects
   * where any of its keys is damaged.
   */
  usage(
    mailbox: string,
  ): Promise<{ now: number; inWindow: number; nextFreeAt: number | undefined; recipientsToday: number }>;
  metrics(): Promise<Omit<Metrics, 'webhooks'>>;
  /** Its keys, and those that all mailboxes have in common, that are not what they should be; without one, these only. */
  damagedKeys(mailbox?: string): Promise<DamagedKey[]>;
  /** A person's hand: whatever was there. */
  setHold(key: string, hold: StoredHold): Promise<void>;
  /**
   * The same hand: ends an operator's holds that concern a mailbox, and lets any other be tried out now; one that nobody
   * would try, since no mailbox that it might concern has anything to do, ends as well.
   *
   * @returns the keys of all of them
   */
  releaseHolds(mailbox: string): Promise<string[]>;
  /** The engine's hand: an operator's hold stays as it is. @returns false where there is one */
  beginHold(key: string, hold: StoredHold): Promise<boolean>;
  endHold(key: string): Promise<boolean>;
  /** Forgets holds that nobody has tried out for so long after their time; an operator's stay. */
  forgetHolds(overdueMilliseconds: number): Promise<void>;
  /**
   * Which holds concern a mailbox, for whoever reads its messages. One of its tenant or its server that did, and does no
   * more since it has another credential or another server, ends, unless whoever has met it still drives its lane by the
   * old one.
   *
   * @returns the keys of those that have ended
   */
  describe(mailbox: string, holdKeys: string[]): Promise<string[]>;
  /**
   * The right to try out whether a hold is over: one at a time, over all processes, for so long, and no longer than
   * whoever has it drives its lane.
   */
  claimTrial(key: string, by: LaneOwner, milliseconds: number): Promise<boolean>;
  endTrial(key: string, by: LaneOwner): Promise<unknown>;
  /** Milliseconds since the epoch by the store's clock. */
  now(): Promise<number>;
  /** Takes or renews; undefined where another process has it. */
  takeLease(mailbox: string, id: string, milliseconds: number): Promise<'taken' | 'renewed' | undefined>;
  /** Any number of them in one step. */
  takeLeases(
    wanted: { mailbox: string; id: string }[],
    milliseconds: number,
  ): Promise<('taken' | 'renewed' | undefined)[]>;
  releaseLease(mailbox: string, id: string): Promise<unknown>;
  /**
   * The mailboxes with messages that the engine has something to do about, and whether a process drives each.
   *
   * @param leaseMilliseconds no lease lasts longer, whatever becomes of the clock
   */
  look(leaseMilliseconds: number): Promise<{ mailbox: string; isDriven: boolean }[]>;
  /** Mailboxes with messages that the engine has something to do about. */
  isBusy(mailbox: string): Promise<boolean>;
  /** Does a process hold the mailbox's lease? */
  isDriven(mailbox: string): Promise<boolean>;
  wake(mailbox: string): Promise<unknown>;
}
