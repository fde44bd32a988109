import type { WindowUse } from '../mail/message.ts';

/** How fast a mailbox sends. */
export interface SendingPace {
  perWindow: number;
  windowMilliseconds: number;
}

/** Recipients of a mailbox in any 24 hours, and of the last 24 hours; those that are used are taken to end evenly. */
export interface DayUse {
  perDay: number;
  used: number;
}

const DAY = 24 * 3_600_000;

/**
 * About when a message goes that has `ahead` others of its mailbox before it: at once while there are places in the
 * window, and then a full window later for every window's worth of them; and a day later for every day's worth of
 * recipients, of which each is taken to have one. Knows nothing of holds to come, nor of what waits for a time of its own,
 * and takes the places that are taken to become free together.
 *
 * @param from milliseconds since the epoch
 * @param use what is taken of the window; of those that run, `ahead` knows
 */
export function estimateSendAt(
  ahead: number,
  pace: SendingPace,
  from: number,
  use: WindowUse | undefined,
  day: DayUse,
): number {
  return Math.max(byWindow(ahead, pace, from, use), byDay(ahead, pace, from, day));
}

function byWindow(
  ahead: number,
  { perWindow, windowMilliseconds }: SendingPace,
  from: number,
  use?: WindowUse,
): number {
  const free = Math.max(0, perWindow - (use?.taken ?? 0));
  if (!use || ahead < free) return from + Math.floor(ahead / perWindow) * windowMilliseconds;
  return Math.max(from, use.nextFreeAt) + Math.floor((ahead - free) / perWindow) * windowMilliseconds;
}

/** Once the day is used up, what was used before becomes free first, and then what is sent now, at the pace at which it is. */
function byDay(ahead: number, { perWindow, windowMilliseconds }: SendingPace, from: number, day: DayUse): number {
  const used = Math.min(Math.max(0, day.used), day.perDay);
  const over = ahead - (day.perDay - used);
  if (over < 0) return from;
  const begun = from + Math.floor(over / day.perDay) * DAY;
  const rest = over % day.perDay;
  const paced = (number: number) => Math.floor(Math.max(0, number) / perWindow) * windowMilliseconds;
  // Not before the last of the day before.
  if (rest < used) return Math.max(begun + Math.round((DAY * (rest + 1)) / used), begun + paced(day.perDay - 1 - used));
  return begun + DAY + paced(rest - used);
}
