import { expiredFailure, recoverSending } from '../gateway/recover.ts';
import type { LaneTools } from './tools.ts';

/** What a dead owner left: messages that were being sent, and jobs that were active. */
export async function recoverOrphans(mailbox: string, tools: LaneTools): Promise<void> {
  const { messages, jobs } = tools;
  for (const id of await messages.sending(mailbox)) await recoverMessage(id, tools);
  for (const ticket of await jobs.active(mailbox)) {
    const number = await messages.reticket(ticket.messageId, ticket.number);
    if (number) await jobs.add(mailbox, { ...ticket, number });
  }
}

/** Takes a `sending` message out of the hands of a dead attempt. */
export async function recoverMessage(id: string, { messages, jobs, chance, log }: LaneTools): Promise<void> {
  const record = await messages.find(id);
  if (record?.status !== 'sending' || !record.attemptToken) return;
  const recovery = recoverSending(record, chance.now());
  const { mailbox } = record;
  const moved = await messages.move({ id, mailbox, from: ['sending'], token: record.attemptToken, ...recovery });
  if (!moved.moved) return;
  log.warn({ messageId: id, mailbox, attempt: recovery.attempt.number }, `Message of a dead worker ${recovery.to}`);
  if (recovery.to === 'queued')
    await jobs.add(mailbox, { messageId: id, number: moved.ticket, priority: record.priority });
}

/** Gives up a waiting message whose time is over. */
export async function expireMessage(
  id: string,
  { messages, chance, log }: Pick<LaneTools, 'messages' | 'chance' | 'log'>,
) {
  const record = await messages.find(id);
  if (!record) return;
  const failure = expiredFailure(record, chance.now());
  const recipients = record.recipients.map((each) =>
    each.status === 'sent' || each.status === 'failed'
      ? each
      : { address: each.address, status: 'failed' as const, failure },
  );
  const to = recipients.some((each) => each.status === 'sent') ? 'partiallySent' : 'failed';
  const from: ('queued' | 'deferred')[] = ['queued', 'deferred'];
  const moved = await messages.move({ id, mailbox: record.mailbox, to, from, failure, recipients });
  if (moved.moved) log.info({ messageId: id, mailbox: record.mailbox, failure }, 'Message expired');
}
