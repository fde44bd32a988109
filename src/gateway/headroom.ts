import type { Sender } from './accept.ts';

/** What a mailbox has to do, as it was read a moment ago. */
export interface Load {
  held: boolean;
  /** Messages that wait in its lane or are being sent. */
  waiting: number;
  /** Places of its window that were taken by messages since sent. */
  inWindow: number;
  /** Recipients of the last 24 hours. */
  recipientsToday: number;
}

export interface Headroom {
  /** Of several mailboxes that may all send a message, the one that should send it soonest; of equals, the first. */
  choose(candidates: Sender[], recipients: number): Promise<Sender>;
  /** The same, without giving it the message. */
  wouldChoose(candidates: Sender[], recipients: number): Promise<Sender>;
}

/** How often what is known is read again while it is asked for; a thousand mailboxes cost no more than a hundred. */
const FRESH_MILLISECONDS = 1_000;
const FRESH_FOR_EACH_MILLISECONDS = 10;
/** What is older than this is not chosen by without a look, which waits no longer than the second figure. */
const STALE_MILLISECONDS = 5_000;
const PATIENCE_MILLISECONDS = 200;

interface Given {
  messages: number;
  recipients: number;
}

/**
 * Chooses by a view that is read again about each second while it is in use, and counts what it gives away in between,
 * so that choosing costs no question to the store.
 *
 * @param read the loads of these mailboxes
 */
export function headroom(
  read: (ids: string[]) => Promise<Map<string, Load>>,
  monotonic: () => number = () => performance.now(),
): Headroom {
  const loads = new Map<string, Load>();
  const given = new Map<string, Given>();
  const wanted = new Set<string>();
  let readAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;

  async function refresh(): Promise<void> {
    triedAt = monotonic();
    const before = new Map([...given].map(([id, each]) => [id, { ...each }]));
    try {
      for (const [id, load] of await read([...wanted])) {
        loads.set(id, load);
        // What was given away before is in what was read.
        note(id, -(before.get(id)?.messages ?? 0), -(before.get(id)?.recipients ?? 0));
      }
      readAt = triedAt;
    } catch {
      // What is known has to do; where the store is away, nothing is accepted either.
    } finally {
      reading = undefined;
    }
  }

  function note(id: string, messages: number, recipients: number): void {
    const known = given.get(id);
    if (known) {
      known.messages += messages;
      known.recipients += recipients;
    } else given.set(id, { messages, recipients });
  }

  /** When it would be through with what it has, and whether it can take it at all: the less the better. */
  function burden({ id, pace, recipientsPerDay }: Sender, recipients: number): number {
    const { held, waiting, inWindow, recipientsToday } = loads.get(id) ?? UNKNOWN;
    const more = given.get(id) ?? NOTHING;
    const usedUp = recipientsToday + waiting + more.recipients + recipients > recipientsPerDay;
    const milliseconds = ((inWindow + waiting + more.messages) / pace.perWindow) * pace.windowMilliseconds;
    return (held ? 2 * NEVER : 0) + (usedUp ? NEVER : 0) + milliseconds;
  }

  async function lookAt(candidates: Sender[]): Promise<void> {
    for (const { id } of candidates) wanted.add(id);
    const now = monotonic();
    const fresh = Math.max(FRESH_MILLISECONDS, wanted.size * FRESH_FOR_EACH_MILLISECONDS);
    const unread = candidates.some(({ id }) => !loads.has(id));
    if ((unread || now - readAt > fresh) && now - triedAt > (unread ? 0 : fresh)) reading ??= refresh();
    if (reading && (unread || now - readAt > fresh + STALE_MILLISECONDS)) await within(reading);
  }

  const best = (candidates: Sender[], recipients: number) => least(candidates, (each) => burden(each, recipients));
  return {
    async choose(candidates, recipients) {
      await lookAt(candidates);
      const chosen = best(candidates, recipients);
      note(chosen.id, 1, recipients);
      return chosen;
    },
    async wouldChoose(candidates, recipients) {
      await lookAt(candidates);
      return best(candidates, recipients);
    },
  };
}

const UNKNOWN: Load = { held: false, waiting: 0, inWindow: 0, recipientsToday: 0 };
const NOTHING: Given = { messages: 0, recipients: 0 };
/** More than any lane is long. */
const NEVER = 1e13;

function least(candidates: Sender[], measure: (sender: Sender) => number): Sender {
  const [first, ...others] = candidates;
  if (!first) throw new Error('There is nothing to choose from');
  let best = { sender: first, measured: measure(first) };
  for (const sender of others) {
    const measured = measure(sender);
    if (measured < best.measured) best = { sender, measured };
  }
  return best.sender;
}

async function within(promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MILLISECONDS);
  });
  await Promise.race([promise, patience]);
  clearTimeout(timer);
}
