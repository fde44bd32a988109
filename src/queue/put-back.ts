import type { Attempted, MessageStore, Moved } from '../gateway/ports.ts';
import { isFinal } from '../mail/status.ts';
import type { LaneSettings } from './lane.ts';

/**
 * Back to the queue from an attempt that has begun and is not made: it has taken none of the day, and a place of the window
 * only where the server was told of it, since nobody outside Microsoft knows when it counts.
 */
export function putBackUnspent(
  { id, recipients }: Pick<Attempted, 'id' | 'recipients'>,
  token: string,
  { mailbox, pace }: Pick<LaneSettings<unknown>, 'mailbox' | 'pace'>,
  messages: Pick<MessageStore, 'move'>,
  wasAnnounced = false,
): Promise<Moved> {
  const unusedRecipients = recipients.filter(({ status }) => !isFinal(status)).length;
  const flight = { counted: wasAnnounced, windowMilliseconds: pace.windowMilliseconds, unusedRecipients };
  return messages.move({ id, mailbox, to: 'queued', from: ['sending'], token, flight });
}
