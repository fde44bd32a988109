import { examine } from '../../src/doctor/examine.ts';
import { type DoctorSurroundings, doctorTools, patientOf } from '../../src/doctor-tools.ts';
import type { Step } from '../../src/gateway/examination.ts';
import type { MailboxConfig } from '../../src/mailbox-config.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import type { Zone } from '../support/dns-server.ts';
import { mailboxOf } from '../support/postroom.ts';

export const MAILBOX = { address: 'billing@contoso.com', password: 'planted-password-1' };

/** All that a healthy domain publishes. */
export const HEALTHY_ZONE: Zone = {
  'contoso.com': { TXT: ['MS=ms123', 'v=spf1 include:spf.protection.outlook.com -all'] },
  'selector1._domainkey.contoso.com': { CNAME: 'selector1-contoso-com._domainkey.contoso.onmicrosoft.com' },
  'selector2._domainkey.contoso.com': { CNAME: 'selector2-contoso-com._domainkey.contoso.onmicrosoft.com' },
  '_dmarc.contoso.com': { TXT: ['v=DMARC1; p=reject'] },
};

/** Short, so that silence is found soon. */
export const SHORT_WAITS = { connect: 400, greeting: 400, handshake: 3_000, reply: 3_000, message: 3_000, http: 3_000 };

export interface Examined {
  steps: Step[];
  /** Of a step that must be there. */
  step(id: string): Step;
  /** `id status` of everything that is neither ok nor skipped. */
  troubles: string[];
}

/** Examines the sandbox's first mailbox, or a variation of it. */
export async function examineSandbox(
  sandbox: Sandbox,
  change: Partial<MailboxConfig> = {},
  surroundings: DoctorSurroundings = {},
  send = false,
): Promise<Examined> {
  const mailbox = { ...mailboxOf(sandbox), ...change };
  return examineMailbox(mailbox, [mailbox], surroundings, send);
}

export async function examineMailbox(
  mailbox: MailboxConfig,
  all: MailboxConfig[],
  surroundings: DoctorSurroundings = {},
  send = false,
): Promise<Examined> {
  const tools = doctorTools(mailbox, { waits: SHORT_WAITS, ...surroundings });
  const steps: Step[] = [];
  for await (const step of examine(patientOf(mailbox, all), tools, { send })) steps.push(step);
  return {
    steps,
    step(id) {
      const found = steps.find((each) => each.id === id);
      if (!found) throw new Error(`There is no step ${id}`);
      return found;
    },
    troubles: steps
      .filter(({ status }) => status === 'warn' || status === 'fail')
      .map((each) => `${each.id} ${each.status}`),
  };
}
