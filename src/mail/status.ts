/** What each status means, in the words of the API document. */
export const STATUSES = {
  scheduled: 'Accepted; waits for its sendAt.',
  queued: 'Accepted and on disk; waits its turn in its mailbox’s lane.',
  sending: 'A worker has it; an SMTP transaction is running.',
  deferred: 'A temporary failure of this message; tried again at nextAttemptAt.',
  held: 'Its mailbox is held (see failure); it waits without spending attempts and goes on by itself when the hold ends.',
  unconfirmed:
    'The connection was lost after the final dot may have left, in the last attempt or in one that no other has made good: nobody knows whether Microsoft has it. Not resent unless told to.',
  sent: 'Final. Microsoft answered 250 after the final dot for every recipient, or, where one is marked resolved, somebody said so. Not a proof of delivery.',
  partiallySent: 'Final. Some recipients were accepted, the others failed for good; recipients[] is the truth.',
  failed: 'Final. failure says why.',
  canceled: 'Final. Canceled before any attempt that could have sent it.',
} as const satisfies Record<string, string>;
export type Status = keyof typeof STATUSES;

/**
 * Every move a message may make; the store refuses all others in one atomic step.
 * `held` appears only as the reading of a waiting message whose mailbox is held (see gateway/read), so no move leads there.
 */
export const MOVES = {
  scheduled: ['queued', 'canceled', 'failed'],
  queued: ['sending', 'canceled', 'failed', 'unconfirmed'],
  sending: ['sent', 'partiallySent', 'deferred', 'queued', 'unconfirmed', 'failed'],
  deferred: ['sending', 'queued', 'canceled', 'failed', 'unconfirmed'],
  held: [],
  unconfirmed: ['sent', 'partiallySent', 'queued', 'failed'],
  sent: [],
  partiallySent: [],
  failed: ['queued'],
  canceled: [],
} as const satisfies Record<Status, readonly Status[]>;

const FINAL_STATUSES = ['sent', 'partiallySent', 'failed', 'canceled'] as const satisfies readonly Status[];

export function isFinal(status: Status): boolean {
  return (FINAL_STATUSES as readonly Status[]).includes(status);
}

/** The statuses that a message may leave for `to`. */
export function mayMoveTo(to: Status): Status[] {
  return (Object.keys(MOVES) as Status[]).filter((from) => (MOVES[from] as readonly Status[]).includes(to));
}
