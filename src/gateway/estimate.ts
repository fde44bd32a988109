/** How fast a mailbox sends. */
export interface SendingPace {
  perWindow: number;
  windowMilliseconds: number;
}

/**
 * About when a message goes that has `ahead` others of its mailbox before it: a full window for every window's worth of
 * them. Knows nothing of what was sent in the last window, nor of holds to come.
 *
 * @param from milliseconds since the epoch
 */
export function estimateSendAt(ahead: number, { perWindow, windowMilliseconds }: SendingPace, from: number): number {
  return from + Math.floor(ahead / perWindow) * windowMilliseconds;
}
