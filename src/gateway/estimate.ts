import type { WindowUse } from '../mail/message.ts';

/** How fast a mailbox sends. */
export interface SendingPace {
  perWindow: number;
  windowMilliseconds: number;
}

/**
 * About when a message goes that has `ahead` others of its mailbox before it: at once while there are places in the
 * window, and then a full window later for every window's worth of them. Knows nothing of holds to come, and takes the
 * places that are taken to become free together.
 *
 * @param from milliseconds since the epoch
 * @param use what is taken of the window; of those that run, `ahead` knows
 */
export function estimateSendAt(
  ahead: number,
  { perWindow, windowMilliseconds }: SendingPace,
  from: number,
  use?: WindowUse,
): number {
  const free = Math.max(0, perWindow - (use?.taken ?? 0));
  if (!use || ahead < free) return from + Math.floor(ahead / perWindow) * windowMilliseconds;
  return Math.max(from, use.nextFreeAt) + Math.floor((ahead - free) / perWindow) * windowMilliseconds;
}
