import type { Failure } from '../failure/failure.ts';
import type { RecipientState } from '../mail/message.ts';
import type { Status } from '../mail/status.ts';

/**
 * A recipient whose last try came to something, or to nothing, and who has this status now. That an earlier one may have
 * arrived is never forgotten: a message that is sent again, since nobody knows, may be refused then, expire or be canceled.
 */
export function as(recipient: RecipientState, status: Status, failure?: Failure): RecipientState {
  const state: RecipientState = { address: recipient.address, status };
  if (failure) state.failure = failure;
  return withEarlier(state, recipient);
}

/** What has become of a recipient now, with what was known of it before. */
export function withEarlier(now: RecipientState, before: RecipientState): RecipientState {
  const mayHaveArrived = before.mayHaveArrived ?? before.status === 'unconfirmed';
  if (mayHaveArrived && now.status !== 'sent' && now.status !== 'unconfirmed') now.mayHaveArrived = true;
  return now;
}

/** Where nothing more is tried: who may have it by an earlier attempt is neither failed nor canceled, but unconfirmed. */
export function inTheEnd(recipients: RecipientState[]): RecipientState[] {
  return recipients.map((each) => {
    const { mayHaveArrived, ...state } = each;
    return mayHaveArrived ? { ...state, status: 'unconfirmed' as const } : each;
  });
}

export const isUnknown = (recipients: RecipientState[]) => recipients.some(({ status }) => status === 'unconfirmed');

/** Of a message that is not tried any more. */
export function neverKnown(now: Date): Failure {
  return {
    category: 'outcomeUnknown',
    code: 'outcome_unknown',
    scope: 'message',
    plan: 'never',
    summary:
      'An attempt ended behind the final dot without an answer, and none that followed was accepted: nobody knows whether Microsoft has the message. It is not sent again.',
    remedy:
      'Look for its internetMessageId in Sent Items or in the message trace; then mark it as sent or not, or have it sent again.',
    at: now.toISOString(),
  };
}
