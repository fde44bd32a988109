import { z } from 'zod';
import { STAGES } from '../../mail/reply.ts';
import { failure } from './message.ts';

/** A log's worth; what is beyond the first reply or error in it is not looked at. */
const MAX_TEXT_LENGTH = 20_000;

export const explainRequest = z
  .strictObject({
    text: z
      .string()
      .max(MAX_TEXT_LENGTH)
      .refine((text) => text.trim() !== '', { error: 'There is nothing to explain.' })
      .meta({
        description: 'An SMTP reply, a log line or an error, as you have it.',
        example: '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.',
      }),
    stage: z.enum(STAGES).optional().meta({ description: 'Where it was met, if you know.' }),
  })
  .meta({ id: 'ExplainRequest' });

export const explanation = z.looseObject({ failure }).meta({ id: 'Explanation' });
