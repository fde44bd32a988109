import type { MessageView } from '../gateway/view.ts';
import { type ExampleAddresses, queued } from './examples.ts';

const SEND_AT = '2026-02-03T06:00:00.000Z';
const EXPIRES_AT = '2026-02-05T06:00:00.000Z';

/** Bodies of `PATCH /v1/messages/{id}`. */
export const RESCHEDULES = {
  later: { summary: 'Another time', value: { sendAt: '2026-02-03T07:00:00+01:00' } },
  now: { summary: 'Now', value: { sendAt: null } },
};

export function rescheduledExample() {
  return { rescheduled: { summary: 'scheduled: for another time', value: scheduled() } };
}

export function expeditedExample() {
  return { expedited: { summary: 'queued: the next of its mailbox', value: queued() } };
}

/** A message that waits for its time. */
export function scheduled(addresses?: ExampleAddresses): MessageView {
  const { estimatedSendAt: _, ...base } = queued(addresses);
  const recipients = base.recipients.map(({ address }) => ({ address, status: 'scheduled' as const }));
  return { ...base, status: 'scheduled', sendAt: SEND_AT, expiresAt: EXPIRES_AT, recipients };
}
