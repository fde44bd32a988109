import { examine } from './doctor/examine.ts';
import type { DoctorTools } from './doctor/tools.ts';
import { doctorTools, patientOf } from './doctor-tools.ts';
import type { AdmissionStore } from './gateway/admission.ts';
import type { Api } from './gateway/api.ts';
import { examinationOf, type Step } from './gateway/examination.ts';
import type { MailboxConfig } from './mailbox-config.ts';
import { visitor } from './visitor.ts';

/** The doctor on call: examines one of these mailboxes at a time each, in this process. */
export function verifier(
  mailboxes: readonly MailboxConfig[],
  redis: NonNullable<DoctorTools['redis']>,
  admission: AdmissionStore,
): Api['verify'] {
  const running = new Set<string>();
  return async (id, { send, signal }) => {
    const mailbox = mailboxes.find((each) => each.id === id);
    if (!mailbox) return undefined;
    if (running.has(id)) return { kind: 'busy' };
    running.add(id);
    try {
      const steps: Step[] = [];
      const tools = doctorTools(mailbox, { redis, admission: visitor(admission, mailbox) });
      for await (const step of examine(patientOf(mailbox, mailboxes), tools, { send, signal })) steps.push(step);
      return { kind: 'examined', examination: examinationOf(id, steps) };
    } finally {
      running.delete(id);
    }
  };
}
