import { createHash } from 'node:crypto';
import type { MessageRecord } from '../mail/message.ts';
import { isTestLane, mailboxOf } from '../mail/test-lane.ts';
import type { Sender } from './accept.ts';
import type { Caller, Reading, TimelineEvent } from './api.ts';
import { estimateSendAt } from './estimate.ts';
import type { MessageStore } from './ports.ts';
import { rfc3339, viewOf } from './view.ts';

/** A caller's own message, or anybody's for a caller who may operate; undefined reads the same as "no such message". */
export async function readMessage(
  messages: MessageStore,
  senders: Pick<Sender, 'id' | 'pace' | 'recipientsPerDay'>[],
  caller: Caller,
  id: string,
): Promise<Reading | undefined> {
  const found = await messages.findWithSurroundings(id);
  if (!found || !mayRead(caller, found.record)) return undefined;
  const sender = senders.find(({ id: mailbox }) => mailbox === mailboxOf(found.record.mailbox));
  const day = { perDay: sender?.recipientsPerDay ?? 0, used: found.recipientsToday };
  const estimatedSendAt = sender && estimateSendAt(found.ahead, sender.pace, Date.now(), found.windowUse, day);
  const message = viewOf(found.record, { ...found, estimatedSendAt });
  return { message, etag: etagOf(found.record.revision, JSON.stringify([message.status, message.failure])) };
}

/** The moves of a message, for whoever may read it. The hold of a mailbox is no move of its messages, and not in it. */
export async function readTimeline(
  messages: MessageStore,
  caller: Caller,
  id: string,
): Promise<TimelineEvent[] | undefined> {
  const found = await messages.timeline(id);
  if (!found || !mayRead(caller, found)) return undefined;
  const test = isTestLane(found.mailbox) && { test: true as const };
  return found.events.map(({ number, at, status, code, sendAt, expedited, resolved }) => ({
    number,
    at: rfc3339(at),
    status,
    ...(code !== undefined && { code }),
    ...(sendAt !== undefined && { sendAt: rfc3339(sendAt) }),
    ...(expedited && { expedited }),
    ...(resolved && { resolved }),
    ...test,
  }));
}

/**
 * Every move changes the revision; that a hold begins, ends or has another reason changes what is read without one. What
 * else is read may change under the same tag, which is weak for that: the estimate, and when a held mailbox is tried next.
 */
function etagOf(revision: number, reading: string): string {
  return `${revision}-${createHash('sha256').update(reading).digest('base64url').slice(0, 12)}`;
}

export function mayRead(caller: Caller, { callerId }: Pick<MessageRecord, 'callerId'>): boolean {
  return callerId === caller.id || caller.permissions.includes('operate');
}
