import { z } from 'zod';

export const liveness = z
  .looseObject({ status: z.literal('ok') })
  .meta({ id: 'Liveness', description: 'The process answers.', examples: [{ status: 'ok' }] });

export const readiness = z
  .looseObject({
    ready: z.boolean(),
    checks: z.record(z.string(), z.looseObject({ status: z.enum(['ok', 'warn', 'fail']), detail: z.string() })),
  })
  .meta({ id: 'Readiness', description: 'What this process depends on. Never Microsoft 365.' });
