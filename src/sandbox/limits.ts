/** What one mailbox may do. The defaults are Microsoft's: learn.microsoft.com, "Exchange Online limits" (2026). */
export interface Limits {
  messagesPerWindow: number;
  windowSeconds: number;
  /** Logged in at the same time. */
  connections: number;
  /** Of the mailbox (RecipientLimits); 500 unless an administrator changed it. */
  recipientsPerMessage: number;
  /** In any 24 hours. */
  recipientsPerDay: number;
  /** Octets of MIME. MaxSendSize is 35 MB by default (Set-MailboxPlan, 2026-08): 36,700,160 octets, rounded up. */
  messageBytes: number;
}

export const MICROSOFT_LIMITS: Limits = {
  messagesPerWindow: 30,
  windowSeconds: 60,
  connections: 3,
  recipientsPerMessage: 500,
  recipientsPerDay: 10_000,
  messageBytes: 37_000_000,
};

/** Counts what happened in the last so many milliseconds, at any instant: a sliding window, the strictest reading of a limit. */
export class SlidingCount {
  #events: { at: number; weight: number }[] = [];
  #total = 0;
  #peak = 0;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get peak(): number {
    return this.#peak;
  }

  within(windowMs: number): number {
    const since = this.#now() - windowMs;
    let old = 0;
    for (const event of this.#events) {
      if (event.at > since) break;
      old += 1;
      this.#total -= event.weight;
    }
    this.#events.splice(0, old);
    return this.#total;
  }

  /** @returns the sum within the window, this one included */
  add(weight: number, windowMs: number): number {
    this.#events.push({ at: this.#now(), weight });
    this.#total += weight;
    const total = this.within(windowMs);
    this.#peak = Math.max(this.#peak, total);
    return total;
  }
}
