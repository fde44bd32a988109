import type { Verdict } from '../gateway/judge.ts';
import type { Attempted } from '../gateway/ports.ts';
import { lately } from './lately.ts';

/** A replica that takes over, or a Redis that starts again, is mostly behind by less. */
const REMEMBERED_MILLISECONDS = 30_000;
const MOST_REMEMBERED = 200;

/** How an attempt ended, which may have to be written for another one's token, too. */
export interface Ended {
  token: string;
  verdict: Verdict;
  write(token: string): Promise<boolean>;
}

/**
 * A record that says that there were fewer attempts, or not of everybody that the message was sent to them: one in which
 * the mailbox was held at RCPT is not counted, and may have been accepted for others.
 */
export function isForgotten(
  { verdict }: Ended,
  { attempts, recipients }: Pick<Attempted, 'attempts' | 'recipients'>,
): boolean {
  const known = new Set(recipients.filter(({ status }) => status === 'sent').map(({ address }) => address));
  return (
    attempts < verdict.attempts || verdict.recipients.some((each) => each.status === 'sent' && !known.has(each.address))
  );
}

/** By message: how its last attempt ended. */
export const endedLately = () => lately<Ended>(REMEMBERED_MILLISECONDS, MOST_REMEMBERED);
