import { z } from 'zod';
import { PROBLEMS, type ProblemCode } from '../problem.ts';
import { status } from './message.ts';

const codes = Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]];

const item = z
  .looseObject({
    message: z.string().meta({ description: 'What is wrong, and the fix.' }),
    pointer: z.string().optional().meta({ description: 'JSON pointer into the body (RFC 6901), as in `/to/2`.' }),
    header: z.string().optional().meta({ description: 'Or the request header.' }),
    parameter: z.string().optional().meta({ description: 'Or the query parameter.' }),
  })
  .meta({ id: 'ProblemItem', description: 'One thing that is wrong, and where.' });

/** A `ProblemBody`. */
export const problem = z
  .looseObject({
    type: z.string().meta({ description: 'Path of this service that explains the code.', format: 'uri-reference' }),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What is wrong in this case.' }),
    code: z.enum(codes).meta({
      id: 'ProblemCode',
      description: `Stable; branch on it.\n\n${codes.map((code) => `- \`${code}\` (${PROBLEMS[code].status}): ${PROBLEMS[code].description}`).join('\n')}`,
    }),
    errors: z.array(item).max(50).optional().meta({ description: 'At most 50; the first that were found.' }),
    messageStatus: status.optional().meta({ description: 'Where the message stands, if that is the reason.' }),
    requestId: z.string().meta({ description: 'Also in the X-Request-Id header and in the log.' }),
  })
  .meta({ id: 'Problem', description: 'An error answer (RFC 9457).' });

export const problemDefinition = z
  .looseObject({ type: z.string(), code: z.string(), title: z.string(), status: z.int(), description: z.string() })
  .meta({ id: 'ProblemDefinition', description: 'What a problem code means.' });
