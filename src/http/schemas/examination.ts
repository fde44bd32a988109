import { z } from 'zod';
import { STEP_STATUSES, type StepStatus } from '../../gateway/examination.ts';
import { failure } from './message.ts';

const stepStatus = z.enum(Object.keys(STEP_STATUSES) as [StepStatus, ...StepStatus[]]).meta({
  id: 'StepStatus',
  description: Object.entries(STEP_STATUSES)
    .map(([word, meaning]) => `- \`${word}\`: ${meaning}`)
    .join('\n'),
});

const step = z
  .looseObject({
    id: z.string().meta({ description: 'Stable. The steps of a domain come once for each From domain.' }),
    title: z.string(),
    status: stepStatus,
    finding: z.string(),
    remedy: z.string().optional().meta({ description: 'What a person can do.' }),
    failure: failure.optional().meta({ description: 'Where a reply or an error was classified.' }),
    milliseconds: z.int().min(0),
  })
  .meta({ id: 'ExaminationStep', description: 'One thing that the doctor looked at.' });

/** An `Examination`. */
export const examination = z
  .looseObject({
    mailbox: z.string(),
    healthy: z.boolean().meta({ description: 'No step failed. Warnings are allowed.' }),
    steps: z.array(step).meta({ description: 'In the order in which they were taken.' }),
  })
  .meta({ id: 'Examination', description: 'What the doctor found.' });

export const verifyRequest = z
  .strictObject({
    send: z.boolean().default(false).meta({
      description:
        'Also send a real message from the mailbox to itself, once for each From address; nothing else proves that it can.',
    }),
  })
  .meta({ id: 'VerifyRequest' });
