import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Admission, Leave } from './doctor/tools.ts';
import type { AdmissionStore } from './gateway/admission.ts';
import type { MailboxConfig } from './mailbox-config.ts';
import { paceOf } from './mailboxes.ts';
import { processName } from './queue/same-host.ts';

/**
 * How long a visitor waits. An idle lane lets go of its connections within ten seconds, and each place of a window is
 * free again within the next.
 */
const USUAL_WAITS = { place: 15_000, beyondWindow: 5_000 };
const LOOK_MILLISECONDS = 250;
const RENEW_MILLISECONDS = 1_000;

/**
 * Counts what the doctor does with a mailbox where the lanes count: its connection is one of those the mailbox may have,
 * and each MAIL FROM takes a place of the window. Where Redis does not answer in all that time, the doctor connects all
 * the same, to say what else is wrong, and begins no message.
 */
export function visitor(
  store: AdmissionStore,
  { id: mailbox, limits }: Pick<MailboxConfig, 'id' | 'limits'>,
  waits = USUAL_WAITS,
): Admission {
  const place = `visit/${processName()}/${randomUUID()}`;
  const pace = paceOf(limits);

  async function enter(): Promise<boolean> {
    const deadline = performance.now() + waits.place;
    for (;;) {
      const answer = await store.visit({ mailbox, place, limit: limits.connections }).catch(() => 'away' as const);
      if (answer === true) return true;
      // By then the lanes, which can begin nothing without Redis either, have closed what they had idle.
      if (performance.now() > deadline) return answer === 'away';
      await delay(LOOK_MILLISECONDS);
    }
  }

  async function permit(token: string, recipients: number): Promise<Leave> {
    const deadline = performance.now() + pace.windowMilliseconds + waits.beyondWindow;
    for (;;) {
      const answer = await store.permitVisitor(mailbox, token, pace, recipients);
      if (typeof answer === 'string') return answer;
      if (performance.now() > deadline) return 'busy';
      // As soon as a place is free, or the lane would always be first.
      await delay(Math.min(answer, LOOK_MILLISECONDS));
    }
  }

  return {
    enter,
    leave: async () => void (await store.leavePlace(mailbox, place).catch(() => undefined)),
    async begin(recipients, run) {
      const token = `visit-${randomUUID()}`;
      const leave = await permit(token, recipients).catch(() => 'unknown' as const);
      if (leave !== 'go') return { leave };
      const keep = () => store.keepPermit(mailbox, token, pace).catch(() => undefined);
      const renewing = setInterval(keep, RENEW_MILLISECONDS);
      try {
        return { leave, result: await run() };
      } finally {
        clearInterval(renewing);
        await keep();
      }
    },
  };
}
