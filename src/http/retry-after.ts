import type { MessageView } from '../gateway/view.ts';
import { isFinal } from '../mail/status.ts';

/** Nobody is sent away for longer: a message may be brought forward, and a hold be released. */
const MOST_SECONDS = 3_600;

type Standing = Pick<MessageView, 'status' | 'createdAt' | 'sendAt' | 'nextAttemptAt' | 'estimatedSendAt'>;

/**
 * Value of `Retry-After` (RFC 9110 §10.2.3): seconds after which it is worth looking at a message again. Absent where all
 * is over.
 *
 * @param now milliseconds since the epoch
 */
export function retryAfter(message: Standing, now: () => number): string | undefined {
  const { status, createdAt, sendAt, nextAttemptAt, estimatedSendAt } = message;
  if (isFinal(status)) return undefined;
  const next = status === 'scheduled' ? sendAt : (nextAttemptAt ?? estimatedSendAt);
  // Most go at once, and are not worth reading a time for.
  if (next === undefined || next === createdAt) return '1';
  const seconds = Math.ceil((Date.parse(next) - now()) / 1_000);
  return String(Math.min(Math.max(seconds, 1), MOST_SECONDS));
}
