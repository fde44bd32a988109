import type { LaneLog } from './tools.ts';

/** Longer than a mailbox has no owner because one process hands it over to another, or has died. */
const WORTH_TELLING_MILLISECONDS = 10_000;
const AGAIN_MILLISECONDS = 600_000;

/**
 * Tells of mailboxes with messages that no process drives and that this one does not have in its configuration: who starts
 * the workers with another one than the API, or takes a mailbox out of it, would else see messages wait and nothing else.
 */
export function undrivenTeller(
  log: Pick<LaneLog, 'warn'>,
  monotonic: () => number = () => performance.now(),
): { seen(mailboxes: { mailbox: string }[]): void } {
  /** When each is told of, unless it is driven by then. */
  const due = new Map<string, number>();
  return {
    seen(mailboxes) {
      const now = monotonic();
      const present = new Set(mailboxes.map(({ mailbox }) => mailbox));
      for (const mailbox of due.keys()) if (!present.has(mailbox)) due.delete(mailbox);
      for (const mailbox of present) {
        const at = due.get(mailbox) ?? now + WORTH_TELLING_MILLISECONDS;
        due.set(mailbox, now < at ? at : now + AGAIN_MILLISECONDS);
        if (now >= at) log.warn({ mailbox, remedy: REMEDY }, 'Messages wait for a mailbox that no worker has');
      }
    },
  };
}

const REMEDY =
  'Give the workers the same mailboxes as the API. If it was taken out on purpose: put it back until they are sent, or cancel them.';
