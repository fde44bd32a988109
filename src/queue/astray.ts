import type { Permit } from '../gateway/ports.ts';
import { laneOf } from '../mail/test-lane.ts';
import type { LaneSettings } from './lane.ts';
import { putBackUnspent } from './put-back.ts';
import type { LaneTools } from './tools.ts';

type Go = Extract<Permit, { kind: 'go' }>;

/**
 * A test message in the lane of a real mailbox, or a real one in a lane for tests, because its job came there by some
 * fault: goes back unsent, and to its own lane. By this no test message leaves by a real mailbox, whatever its job says.
 *
 * @returns that this job has nothing to send; the same leave if the whole record says that this is its lane all the same
 */
export async function sendBackAstray(
  permit: Go,
  token: string,
  settings: Pick<LaneSettings<unknown>, 'mailbox' | 'pace'>,
  { messages, mailboxes, jobs, log }: LaneTools,
): Promise<Permit> {
  const { id, priority } = permit.record;
  const { mailbox } = settings;
  const record = await messages.find(id);
  const own = record && laneOf(record);
  if (own === mailbox) return permit;
  const moved = await putBackUnspent(permit.record, token, settings, messages);
  log.error({ messageId: id, mailbox, lane: own }, 'Message of another lane was not sent');
  if (moved.moved && own) {
    await jobs.add(own, { messageId: id, number: moved.ticket, priority });
    await mailboxes.wake(own);
  }
  return { kind: 'void' };
}
