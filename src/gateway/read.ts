import { createHash } from 'node:crypto';
import type { MessageRecord } from '../mail/message.ts';
import type { Sender } from './accept.ts';
import type { Caller, Reading } from './api.ts';
import { estimateSendAt } from './estimate.ts';
import type { MessageStore } from './ports.ts';
import { viewOf } from './view.ts';

/** A caller's own message, or anybody's for a caller who may operate; undefined reads the same as "no such message". */
export async function readMessage(
  messages: MessageStore,
  senders: Pick<Sender, 'id' | 'pace'>[],
  caller: Caller,
  id: string,
): Promise<Reading | undefined> {
  const found = await messages.findWithSurroundings(id);
  if (!found || !mayRead(caller, found.record)) return undefined;
  const pace = senders.find((sender) => sender.id === found.record.mailbox)?.pace;
  const estimatedSendAt = pace && estimateSendAt(found.ahead, pace, Date.now());
  const message = viewOf(found.record, { ...found, estimatedSendAt });
  return { message, etag: etagOf(found.record.revision, JSON.stringify([message.status, message.failure])) };
}

/** Every move changes the revision; the hold of a mailbox changes what is read without one. */
function etagOf(revision: number, reading: string): string {
  return `${revision}-${createHash('sha256').update(reading).digest('base64url').slice(0, 12)}`;
}

export function mayRead(caller: Caller, { callerId }: Pick<MessageRecord, 'callerId'>): boolean {
  return callerId === caller.id || caller.permissions.includes('operate');
}
