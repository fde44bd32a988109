import { type Limits, SlidingCount } from './limits.ts';
import type { Session } from './session.ts';
import type { MailboxStats } from './stats.ts';

/** A mailbox of the stand-in, as its owner sets it up. */
export interface SandboxMailbox {
  address: string;
  password: string;
  /** Other addresses it may send as, or `*@domain`. */
  sendAs?: string[];
  /** Where its own differ from the sandbox's. */
  limits?: Partial<MailboxOwnLimits>;
  /** Has the application FullAccess on it? If not, XOAUTH2 succeeds and every message fails, as with Microsoft. Default true. */
  appAccess?: boolean;
}

export type MailboxOwnLimits = Pick<Limits, 'messagesPerWindow' | 'windowSeconds' | 'connections' | 'recipientsPerDay'>;

const DAY_MS = 24 * 60 * 60 * 1_000;

/** A mailbox at work: who is logged in, and what it has sent. */
export class MailboxState {
  readonly mailbox: SandboxMailbox;
  /** In the order of their login. */
  readonly #sessions: Session[] = [];
  /** Submissions that used a place of the window. */
  readonly #counted: SlidingCount;
  /** All submissions, for the statistics. */
  readonly #all: SlidingCount;
  readonly #recipients: SlidingCount;
  readonly #limits: () => Limits;
  #connectionsPeak = 0;
  #submissions = 0;
  messages = 0;
  throttleReplies = 0;

  constructor(mailbox: SandboxMailbox, limits: () => Limits, now: () => number) {
    this.mailbox = mailbox;
    this.#limits = mailbox.limits ? () => ({ ...limits(), ...mailbox.limits }) : limits;
    this.#counted = new SlidingCount(now);
    this.#all = new SlidingCount(now);
    this.#recipients = new SlidingCount(now);
  }

  get #windowMs(): number {
    return this.#limits().windowSeconds * 1_000;
  }

  enter(session: Session): void {
    this.#sessions.push(session);
    this.#connectionsPeak = Math.max(this.#connectionsPeak, this.#sessions.length);
  }

  leave(session: Session): void {
    const at = this.#sessions.indexOf(session);
    if (at >= 0) this.#sessions.splice(at, 1);
  }

  /** Connections that came after the limit was reached are the ones that suffer. */
  isOverConnectionLimit(session: Session): boolean {
    return this.#sessions.indexOf(session) >= this.#limits().connections;
  }

  /** Takes a place in the window. @returns false if there is none; a refused message uses none */
  takePlace(): boolean {
    if (this.#counted.within(this.#windowMs) >= this.#limits().messagesPerWindow) return false;
    this.#counted.add(1, this.#windowMs);
    return true;
  }

  noteSubmission(): void {
    this.#submissions += 1;
    this.#all.add(1, this.#windowMs);
  }

  /** @returns false if they would exceed what is left of the day; they are then not counted */
  takeRecipients(count: number): boolean {
    if (this.#recipients.within(DAY_MS) + count > this.#limits().recipientsPerDay) return false;
    this.#recipients.add(count, DAY_MS);
    return true;
  }

  maySendAs(address: string): boolean {
    const wanted = address.toLowerCase();
    const anyAtDomain = `*${wanted.slice(wanted.lastIndexOf('@'))}`;
    return [this.mailbox.address, ...(this.mailbox.sendAs ?? [])].some((own) =>
      [wanted, anyAtDomain].includes(own.toLowerCase()),
    );
  }

  stats(): MailboxStats {
    return {
      connectionsNow: this.#sessions.length,
      connectionsPeak: this.#connectionsPeak,
      submissions: this.#submissions,
      submissionsPeakInWindow: this.#all.peak,
      messages: this.messages,
      recipientsToday: this.#recipients.within(DAY_MS),
      throttleReplies: this.throttleReplies,
    };
  }
}
