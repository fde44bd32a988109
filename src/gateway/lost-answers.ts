import type { Failure } from '../failure/failure.ts';
import type { Outcome, Verdict } from './judge.ts';

/**
 * @param isTriedOut the message was to find out whether answers come again
 * @returns why the whole mailbox is to wait after this transaction: one lost answer too many; undefined where it need not
 */
export type AnswerWatch = (verdict: Verdict, outcome: Outcome, isTriedOut: boolean) => Failure | undefined;

/**
 * Something on the way may cut every connection behind the final dot: then each message that is sent ends `unconfirmed`,
 * and a person has to look after each. So one mailbox's lost answers are counted, until a dot is answered.
 *
 * @param most so many in a row may be chance: one event can end all its connections at once
 */
export function watchAnswers(most: number): AnswerWatch {
  let inARow = 0;
  return ({ attempt, failure }, outcome, isTriedOut) => {
    const isLost = attempt.outcome === 'unconfirmed';
    if (isLost) inARow += 1;
    else if (isDotAnswered(outcome)) inARow = 0;
    return isLost && failure && (isTriedOut || inARow >= most) ? answersLost(failure.at) : undefined;
  };
}

/** By a reply, whatever it says. */
export function isDotAnswered({ stage, reply, trouble }: Outcome): boolean {
  return reply !== undefined || (stage === 'after-dot' && trouble?.via === 'smtp');
}

/** Does a mailbox wait because of them? */
export function isForLostAnswers({ code, scope }: Failure): boolean {
  return code === 'outcome_unknown' && scope === 'mailbox';
}

function answersLost(at: string): Failure {
  return {
    category: 'outcomeUnknown',
    code: 'outcome_unknown',
    scope: 'mailbox',
    plan: 'backoff',
    summary:
      'One connection of this mailbox after the other was lost behind the final dot, and nobody knows whether those messages arrived. The others wait, lest they end so too; one at a time tries whether an answer comes.',
    remedy:
      'Look for what cuts connections while the server works on a message: a firewall, NAT or proxy that ends idle connections early or inspects SMTP. Then look for the messages that are unconfirmed in message trace or Sent Items, and resolve or retry them.',
    at,
  };
}
