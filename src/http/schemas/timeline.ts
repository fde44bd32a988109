import { z } from 'zod';
import { status, testMark, time } from './message.ts';

const event = z
  .looseObject({
    number: z.int().meta({ description: 'Counts the moves from 1.' }),
    at: time,
    status: status.meta({ description: 'Where the message stood from then on.' }),
    code: z.string().optional().meta({ description: 'Code of the failure that led to it.' }),
    sendAt: time.optional().meta({ description: 'For `scheduled`: until when it waited from then on.' }),
    expedited: z.literal(true).optional().meta({ description: 'Somebody wanted it to go before the others.' }),
    resolved: z.literal(true).optional().meta({
      description:
        'Somebody said by `resolve` that it was sent; the server never did. (That it was not has the code `resolved_not_sent`.)',
    }),
    test: testMark,
  })
  .meta({ id: 'MessageEvent', description: 'One move of a message.' });

/** The timeline of a message. */
export const timeline = z
  .looseObject({ events: z.array(event).meta({ description: 'Oldest first.' }) })
  .meta({ id: 'Timeline' });
