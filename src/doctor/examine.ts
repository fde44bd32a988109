import type { Step } from '../gateway/examination.ts';
import type { Check, Verdict, Visit } from './check.ts';
import { checkConfiguration } from './configuration.ts';
import { checkDomains } from './domains.ts';
import { checkLogin } from './login.ts';
import { checkNetwork } from './network.ts';
import type { Patient } from './patient.ts';
import { checkRedis } from './redis.ts';
import { checkSession } from './session.ts';
import { checkClock, checkToken } from './token.ts';
import type { DoctorTools } from './tools.ts';

export interface ExamineOptions {
  /** Also send real messages from the mailbox to itself; nothing else proves that it can. */
  send?: boolean;
  /** Ends the examination before its next step. */
  signal?: AbortSignal | undefined;
  /** Told before each step that is really taken. */
  begins?: (title: string) => void;
}

/** From the configuration to Send As, in the order in which one thing depends on another. */
function checksFor(patient: Patient): Check[] {
  return [
    ...checkConfiguration(),
    ...checkRedis(),
    ...checkClock(patient),
    ...checkNetwork(patient),
    ...checkSession(),
    ...checkToken(patient),
    ...checkLogin(patient),
    ...checkDomains(patient),
  ];
}

/**
 * Examines one mailbox and tells each step as it is done. What depends on a failed step is skipped. Never throws.
 * Changes nothing and sends nothing, save with `send`.
 */
export async function* examine(
  patient: Patient,
  tools: DoctorTools,
  options: ExamineOptions = {},
): AsyncGenerator<Step, void> {
  const visit: Visit = {
    patient,
    tools,
    send: options.send ?? false,
    addresses: { ipv4: [], ipv6: [] },
    offers: new Map(),
  };
  /** Checks that cannot be built on, and the title of the one that failed first. */
  const blocked = new Map<string, string>();
  try {
    for (const check of checksFor(patient)) {
      if (options.signal?.aborted) return;
      const startedAt = performance.now();
      const cause = check.after.map((id) => blocked.get(id)).find((title) => title !== undefined);
      const verdict = cause === undefined ? await take(check, visit, options) : notTaken(cause);
      if (verdict.status === 'fail' || verdict.blocked) blocked.set(check.id, cause ?? check.title);
      yield stepOf(check, verdict, Math.round(performance.now() - startedAt), tools);
    }
  } finally {
    await visit.conversation?.quit();
    await tools.admission?.leave();
  }
}

function notTaken(cause: string): Verdict {
  return { status: 'skipped', finding: `Not looked at, because of “${cause}” above.`, blocked: true };
}

async function take(check: Check, visit: Visit, { begins }: ExamineOptions): Promise<Verdict> {
  begins?.(check.title);
  try {
    return await check.run(visit);
  } catch (error) {
    return {
      status: 'fail',
      finding: `The doctor itself stumbled here: ${(error as Error).message}`,
      remedy: 'Please report this as a fault of Postroom.',
    };
  }
}

/** Everything that leaves goes through the redaction, the server's own words included. */
function stepOf({ id, title }: Check, verdict: Verdict, milliseconds: number, { redact }: DoctorTools): Step {
  const { status, finding, remedy, failure } = verdict;
  const smtp = failure?.smtp && { ...failure.smtp, response: redact(failure.smtp.response) };
  return {
    id,
    title,
    status,
    finding: redact(finding),
    ...(remedy && { remedy: redact(remedy) }),
    ...(failure && { failure: { ...failure, summary: redact(failure.summary), ...(smtp && { smtp }) } }),
    milliseconds,
  };
}
