import type { Failure } from '../failure/failure.ts';
import type { StoredHold } from '../gateway/ports.ts';
import { MOST } from './records.ts';

/**
 * A hold as Redis keeps it. One that is damaged is to be tried out at once: it must not keep a lane from being opened, nor a
 * caller from learning that a message was accepted.
 */
export function holdOf(json: string): StoredHold {
  try {
    const hold = JSON.parse(json) as StoredHold | null;
    if (typeof hold?.failure === 'object' && hold.failure !== null) return withNumbers(hold);
  } catch {
    // As good as one without a reason.
  }
  const now = Date.now();
  return { failure: damaged(now), since: now, ...atOnce(now), probes: 0, settings: '' };
}

/** Where one of its numbers is none, as good as a hold that has just begun, and is to be tried out now. */
function withNumbers({ since, nextProbeAt, probes, delayMilliseconds, byOperator, ...kept }: StoredHold): StoredHold {
  const now = Date.now();
  return {
    ...kept,
    since: isTime(since) ? since : now,
    probes: isTime(probes) ? probes : 0,
    ...(isTime(delayMilliseconds) && { delayMilliseconds }),
    ...(isTime(nextProbeAt) ? { nextProbeAt } : atOnce(now)),
    // As the scripts read it: who begins must not be told that it is a person's hold, and who waits that it is none.
    ...(byOperator === true && { byOperator }),
  };
}

/** Also where this machine's clock is ahead of the store's. */
function atOnce(now: number): Pick<StoredHold, 'nextProbeAt' | 'delayMilliseconds'> {
  return { nextProbeAt: now, delayMilliseconds: 0 };
}

/** A number that a date can be made of. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MOST;
}

function damaged(now: number): Failure {
  return {
    category: 'configuration',
    code: 'hold_damaged',
    scope: 'mailbox',
    plan: 'afterFix',
    summary:
      'The mailbox is held, and why cannot be read any more in Redis; one message tries at once whether it is over.',
    remedy: 'Hold the mailbox again if an operator did. Find out who has written to our keys: only Postroom may.',
    at: new Date(now).toISOString(),
  };
}
