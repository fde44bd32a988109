import { classify } from '../failure/classify.ts';
import type { Failure, Trouble } from '../failure/failure.ts';
import type { Envelope, Priority, RecipientState } from '../mail/message.ts';
import { isFinal } from '../mail/status.ts';
import { judge, judgeRefused, type Outcome, type Verdict } from './judge.ts';
import { type AnswerWatch, isDotAnswered } from './lost-answers.ts';
import type { Attempted, Permit } from './ports.ts';

/** One claim on one message. Only the newest ticket of a message may act on it. */
export interface Ticket {
  messageId: string;
  number: number;
  /** `first` goes before all others: somebody wanted it so. */
  priority: Priority | 'first';
}

/** What delivering needs of the lane it happens in. `queue` provides it. */
export interface Lane<Connection> {
  /** Waits until the mailbox is not held, or until it is this job's turn to try whether the hold is over. */
  pass(): Promise<Passage>;
  connect(): Promise<Connecting<Connection>>;
  /** This connection's transaction is about to end: whoever waits for one may be promised it. */
  promise(connection: Connection): void;
  /**
   * What whoever was promised the connection wants to send next, if that is known within this turn of the event loop: it
   * may be announced along with the final dot.
   */
  upcoming(connection: Connection): Promise<Upcoming | undefined>;
  /**
   * Takes a connection back; one that is not reusable is closed.
   *
   * @param answeredIn after how many milliseconds the final dot was answered with 250; undefined where it was not
   */
  giveBack(connection: Connection, reusable: boolean, answeredIn?: number): void;
  begin(ticket: Ticket, token: string, trial: boolean): Promise<Permit>;
  transact(connection: Connection, transaction: Transaction): Promise<Outcome & { reusable: boolean }>;
  /** Notes that the final dot may leave; false if this attempt no longer holds the message. */
  markDot(messageId: string, token: string, refused: RecipientState[]): Promise<boolean>;
  /** Asked after each transaction. */
  holdAfter: AnswerWatch;
  /** Writes the verdict, however long the store takes; changes nothing if the message has moved on meanwhile. */
  settle(record: Attempted, token: string, verdict: Verdict, outcome: Outcome): Promise<void>;
  /**
   * The attempt that has begun cannot be made now: back to the queue, to be the next again, with nothing spent.
   *
   * @param wasAnnounced the server has been told of it: it takes a place of the window, like any other that was begun
   */
  putBack(record: Attempted, token: string, wasAnnounced: boolean): Promise<void>;
  /** Gives the message up; false if its time only seems to be over, because the clock jumped. */
  expire(ticket: Ticket): Promise<boolean>;
  /** Gives up a message to more recipients than the mailbox has in a day. */
  giveUpOverDay(ticket: Ticket): Promise<void>;
  /** Gives up a message whose content is not there any more, or whose record is damaged. */
  giveUpEmpty(ticket: Ticket): Promise<void>;
  /** Resolves after this many milliseconds; rejects with `LaneClosed` when the lane closes. */
  sleep(milliseconds: number): Promise<void>;
}

export type Connecting<Connection> =
  | { ok: true; connection: Connection; reused: boolean; promised?: Promised }
  | { ok: false; trouble: Trouble; retryAfterMilliseconds?: number };

/** A connection that another message still has, whose final dot is about to leave or to be answered. */
export interface Promised {
  /**
   * Resolves when it is free, for this message, or is not to be had, because the other message's end was not a good one;
   * and says whether the server was told of this one.
   */
  free(next: Announced): Promise<{ isFree: boolean; isAnnounced: boolean }>;
  /** It is not wanted any more. */
  decline(): void;
}

/** Leave to try a message of a mailbox. */
export interface Passage {
  /** True for the one message that tries out whether a hold is over. */
  trial: boolean;
  /** It is one for lost answers: only a final dot that is answered shows that it is over. */
  awaitsAnswer: boolean;
  /** The whole mailbox cannot send: holds it. */
  blocked(failure: Failure, retryAfterMilliseconds?: number): Promise<void>;
  /** The server has judged a message: the mailbox works, and a hold is over. */
  works(): Promise<void>;
  /** Somebody else holds the mailbox. */
  refresh(): Promise<void>;
  /** Must be called once the message has been tried. */
  release(): void;
}

/** What MAIL FROM and RCPT TO need to know. */
export interface Announced {
  envelope: Envelope;
  /** Of the message. */
  octets: number;
}

/** A message that may be announced along with the final dot of the one before it. */
export interface Upcoming extends Announced {
  /** Its commands leave. */
  said(): void;
}

export interface Transaction {
  envelope: Envelope;
  mime: Buffer;
  /** Its commands up to DATA left with the final dot of the transaction before. */
  isAnnounced: boolean;
  /** Leave to send the final dot, which those that were refused have no part in, and what may be announced along with it. */
  beforeDot: (refused: Outcome['refused']) => Promise<Upcoming | undefined>;
}

/** The lane is being closed or has passed to another process: the job goes back to the queue untouched. */
export class LaneClosed extends Error {
  override name = 'LaneClosed';
}

/** Time and chance, which a test decides. */
export interface Chance {
  now: () => Date;
  random: () => number;
  token: () => string;
}

/**
 * Takes one message as far as it goes now: waits for its mailbox, a connection and leave to start, runs one SMTP
 * transaction, and writes down what that came to.
 *
 * @throws LaneClosed when the lane closes before an attempt has begun
 */
export async function deliver<Connection>(ticket: Ticket, lane: Lane<Connection>, chance: Chance): Promise<void> {
  for (;;) {
    const passage = await lane.pass();
    try {
      const connecting = await lane.connect();
      if (!connecting.ok) {
        await passage.blocked(classify(connecting.trouble, chance.now()), connecting.retryAfterMilliseconds);
        continue;
      }
      if (await tryOnce(ticket, lane, connecting, passage, chance)) return;
    } finally {
      passage.release();
    }
  }
}

type Connected<Connection> = Extract<Connecting<Connection>, { ok: true }>;

/** @returns true when this job has nothing more to do */
async function tryOnce<Connection>(
  ticket: Ticket,
  lane: Lane<Connection>,
  connected: Connected<Connection>,
  passage: Passage,
  chance: Chance,
): Promise<boolean> {
  const token = chance.token();
  const permit = await permitOrReturn(ticket, lane, connected, token, passage.trial);
  if (permit.kind === 'go') {
    const { record, mime } = permit;
    const { isFree, isAnnounced } = connected.promised
      ? await connected.promised.free({ envelope: pendingEnvelope(record), octets: mime.length })
      : { isFree: true, isAnnounced: false };
    // No literal of this path begins with a spread (docs/decisions.md).
    if (isFree) await attempt(lane, { isAnnounced, ...connected }, token, permit, passage, chance);
    else await lane.putBack(record, token, isAnnounced);
    return true;
  }
  giveBackUnused(lane, connected);
  if (permit.kind === 'lost') throw new LaneClosed('The lane has passed to another process');
  if (permit.kind === 'expired') return lane.expire(ticket);
  if (permit.kind === 'gone') {
    await lane.giveUpEmpty(ticket);
    return true;
  }
  if (permit.kind === 'overDay') {
    await lane.giveUpOverDay(ticket);
    return true;
  }
  if (permit.kind === 'held') await passage.refresh();
  if (permit.kind === 'quota') await passage.blocked(quotaUsedUp(permit, chance.now()), permit.milliseconds);
  return permit.kind === 'void';
}

function giveBackUnused<Connection>(lane: Lane<Connection>, { connection, promised }: Connected<Connection>): void {
  if (promised) promised.decline();
  else lane.giveBack(connection, true);
}

/** Waits for a place in the window with the connection in hand, so that a saturated lane keeps its connections. */
async function permitOrReturn<Connection>(
  ticket: Ticket,
  lane: Lane<Connection>,
  connected: Connected<Connection>,
  token: string,
  trial: boolean,
): Promise<Exclude<Permit, { kind: 'wait' }>> {
  try {
    for (;;) {
      const permit = await lane.begin(ticket, token, trial);
      if (permit.kind !== 'wait') return permit;
      await lane.sleep(permit.milliseconds);
    }
  } catch (error) {
    giveBackUnused(lane, connected);
    throw error;
  }
}

async function attempt<Connection>(
  lane: Lane<Connection>,
  { connection, reused, isAnnounced }: Connected<Connection> & { isAnnounced: boolean },
  token: string,
  { record, mime, startedAt }: Extract<Permit, { kind: 'go' }>,
  passage: Passage,
  chance: Chance,
): Promise<void> {
  let dotLeft = 0;
  const outcome = await lane.transact(connection, {
    envelope: pendingEnvelope(record),
    mime,
    isAnnounced,
    async beforeDot(refused) {
      // Before the mark: the next message's leave to begin is then asked for in the same step.
      lane.promise(connection);
      const upcoming = await leaveForTheDot(lane, connection, () =>
        lane.markDot(record.id, token, judgeRefused(refused, chance.now())),
      );
      dotLeft = performance.now();
      return upcoming;
    },
  });
  lane.giveBack(connection, outcome.reusable, outcome.reply && performance.now() - dotLeft);
  const verdict = judge(record, startedAt, { reused, ...outcome }, chance.now(), chance.random);
  const answersLost = lane.holdAfter(verdict, outcome, passage.awaitsAnswer);
  const hold = verdict.hold ?? answersLost;
  const told = tellGate(passage, hold, outcome);
  // The result comes first: a gate that cannot write its hold must not keep it from being written.
  told.catch(() => undefined);
  await lane.settle(record, token, verdict, outcome);
  await told;
}

async function tellGate(passage: Passage, hold: Failure | undefined, outcome: Outcome): Promise<void> {
  if (hold) await passage.blocked(hold);
  else if (passage.trial && (passage.awaitsAnswer ? isDotAnswered(outcome) : wasJudged(outcome))) await passage.works();
}

/** A server that judges a message lets the mailbox in, whatever the verdict. */
function wasJudged({ reply, refused, trouble }: Outcome): boolean {
  return reply !== undefined || refused.length > 0 || trouble?.via === 'smtp';
}

function pendingEnvelope({ envelope, recipients }: Attempted): Envelope {
  const pending = recipients.filter((each) => !isFinal(each.status)).map((each) => each.address);
  const { reversePath, needs } = envelope;
  return { reversePath, recipients: pending, ...(needs && { needs }) };
}

/** An answer that took longer may be out of date: the process may have been asleep meanwhile, and its lane another's. */
const FRESH_MILLISECONDS = 1_500;

/** Written down before the dot may leave: whoever finds this message after a crash knows that it may have been sent. */
async function leaveForTheDot<Connection>(
  lane: Lane<Connection>,
  connection: Connection,
  markDot: () => Promise<boolean>,
): Promise<Upcoming | undefined> {
  for (;;) {
    const askedAt = performance.now();
    if (!(await markDot())) throw new Error('The message is no longer this attempt’s to send');
    const upcoming = await lane.upcoming(connection);
    if (performance.now() - askedAt < FRESH_MILLISECONDS) return upcoming;
  }
}

/** Where a few are left, it is one message that needs more, and all behind it wait: smaller ones would keep it back for ever. */
function quotaUsedUp({ recipients, left }: Extract<Permit, { kind: 'quota' }>, now: Date): Failure {
  return {
    category: 'quotaExceeded',
    code: 'daily_quota_exceeded',
    scope: 'mailbox',
    plan: 'nextWindow',
    summary:
      left > 0
        ? `By Postroom’s own count this mailbox has ${left} left of its recipients of 24 hours, and the message whose turn it is goes to ${recipients}; it waits for more to be free, and all behind it wait with it.`
        : 'By Postroom’s own count this mailbox has used up its recipients of the last 24 hours; it waits so that Microsoft need not refuse.',
    remedy:
      left > 0
        ? 'Wait, cancel that message (the log names it) and submit it in parts or from another mailbox, or raise recipientsPerDay if the mailbox really has more.'
        : 'Wait, spread the mail over more mailboxes, or raise recipientsPerDay if the mailbox really has more.',
    docsUrl:
      'https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits',
    at: now.toISOString(),
  };
}
