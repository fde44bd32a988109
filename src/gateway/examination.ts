import type { Failure } from '../failure/failure.ts';

/** How one step of an examination can end. */
export const STEP_STATUSES = {
  ok: 'As it should be.',
  warn: 'Works, or cannot be known; but somebody should look at it.',
  fail: 'Broken: mail does not leave until it is corrected.',
  skipped: 'Not looked at; the finding says why.',
} as const satisfies Record<string, string>;
export type StepStatus = keyof typeof STEP_STATUSES;

/** One thing that the doctor looked at. */
export interface Step {
  /** Stable, for example `certificate`; the steps of a domain (`spf`, `dkim`, `dmarc`) come once for each domain. */
  id: string;
  title: string;
  status: StepStatus;
  /** What was found, in a sentence or two. */
  finding: string;
  /** What a person can do. */
  remedy?: string;
  /** Where a reply or an error was classified: the same words as a message's failure has. */
  failure?: Failure;
  milliseconds: number;
}

/** A mailbox's whole examination. */
export interface Examination {
  /** Id of the mailbox. */
  mailbox: string;
  /** No step failed. */
  healthy: boolean;
  /** In the order in which they were taken. */
  steps: Step[];
}

export function examinationOf(mailbox: string, steps: Step[]): Examination {
  return { mailbox, healthy: steps.every(({ status }) => status !== 'fail'), steps };
}
