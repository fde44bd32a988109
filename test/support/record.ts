import type { MessageRecord } from '../../src/mail/message.ts';

/** A message that is being sent for the first time. */
export function aRecord(more: Partial<MessageRecord> = {}): MessageRecord {
  const to = more.recipients?.map(({ address }) => address) ?? ['ada@fabrikam.com'];
  return {
    id: 'msg_1',
    callerId: 'test',
    mailbox: 'main',
    status: 'sending',
    revision: 2,
    envelope: { reversePath: 'sender@contoso.com', recipients: to },
    from: 'sender@contoso.com',
    to,
    cc: [],
    bcc: [],
    subject: 'Hello',
    tags: [],
    metadata: {},
    messageIdHeader: '<1@contoso.com>',
    bytes: 100,
    onUnconfirmed: 'hold',
    priority: 'normal',
    acceptedAt: 1_000,
    updatedAt: 2_000,
    expiresAt: 100_000,
    attempts: 0,
    recipients: to.map((address) => ({ address, status: 'queued' })),
    aheadAtFirst: 0,
    ticket: 1,
    attemptToken: 'token',
    ...more,
  };
}
