import type { Failure } from '../failure/failure.ts';
import type { StoredHold } from '../gateway/ports.ts';

/**
 * A hold as Redis keeps it. One that is damaged is to be tried out at once: it must not keep a lane from being opened, nor a
 * caller from learning that a message was accepted.
 */
export function holdOf(json: string): StoredHold {
  try {
    const hold = JSON.parse(json) as StoredHold | null;
    if (hold?.failure) return hold;
  } catch {
    // As good as one without a reason.
  }
  const now = Date.now();
  return { failure: damaged(now), since: now, nextProbeAt: now, probes: 0, settings: '' };
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
