import type { Failure } from './failure.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/**
 * How long a message waits after its own temporary failure: 5 s, 10 s, 20 s … up to an hour, of which a random part
 * between half and the whole is waited, so that messages that failed together do not come back together.
 *
 * @param attempt the number of the attempt that failed, from 1
 * @param random 0 up to but not including 1
 * @returns milliseconds
 */
export function backoffDelay(attempt: number, random: () => number): number {
  return spread(grown(5 * SECOND, attempt - 1, HOUR), random);
}

/**
 * How long a held mailbox waits before its next probe.
 *
 * - A full minute costs one window, a full day an hour: the day's window rolls, so that a little is free again early.
 * - A penalty of Microsoft's begins at an hour: each try may prolong it.
 * - A refused login or anything else a person must mend begins at five minutes and grows to an hour, never less:
 *   Entra's smart lockout counts every wrong password.
 * - Busy servers, dropped connections and the like begin at seconds and grow to five minutes.
 *
 * @param probes probes that have failed since the hold began, from 0
 * @param windowMilliseconds the window of the mailbox's rate limit
 * @returns milliseconds
 */
export function holdDelay(probes: number, failure: Failure, windowMilliseconds: number, random: () => number): number {
  if (failure.plan === 'nextWindow')
    return failure.category === 'throttled' ? windowMilliseconds : later(grown(HOUR, 0, HOUR), random);
  if (failure.category === 'senderBlocked') return later(grown(HOUR, probes, 4 * HOUR), random);
  if (failure.plan === 'backoff' || isOutsideTheLogin(failure))
    return spread(grown(5 * SECOND, probes, 5 * MINUTE), random);
  return later(grown(5 * MINUTE, probes, HOUR), random);
}

/** Trying again cannot lock an account: no credential is shown before this fails. */
function isOutsideTheLogin({ category }: Failure): boolean {
  return category === 'connection' || category === 'tls' || category === 'serviceUnavailable';
}

function grown(first: number, times: number, most: number): number {
  return Math.min(most, first * 2 ** Math.min(Math.max(times, 0), 30));
}

/** Between half of it and the whole. */
function spread(milliseconds: number, random: () => number): number {
  return Math.round(milliseconds * (0.5 + random() / 2));
}

/** Never earlier; up to a tenth later. */
function later(milliseconds: number, random: () => number): number {
  return Math.round(milliseconds * (1 + random() / 10));
}
