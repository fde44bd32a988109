import { z } from 'zod';
import { message, testMark } from './message.ts';
import { problem } from './problem.ts';
import { batchMessage } from './send-message.ts';
import { batchRaw } from './send-raw.ts';
import { wrongType } from './wrong-type.ts';

export const MAX_BATCH = 100;

const COUNT = `This must have 1 to ${MAX_BATCH} messages; send several batches.`;
const idempotencyKey = z.string().regex(/^[!-~]{1,255}$/, { error: 'This must be 1 to 255 visible ASCII characters.' });

/** What is wrong with the whole; each message is judged by itself. */
export const batchEnvelope = z.strictObject(
  {
    messages: z.array(z.unknown()).min(1, { error: COUNT }).max(MAX_BATCH, { error: COUNT }),
  },
  { error: wrongType('This must be an object, as in {"messages": [{"from": …}, …]}.') },
);

/** The key of one message of a batch, as received. */
export const ownKey = z.looseObject({ idempotencyKey: idempotencyKey.optional() });

/** The body of `POST /v1/messages/batch`, as the document shows it. */
export const batchRequest = z
  .strictObject({
    messages: z
      .array(z.union([batchMessage, batchRaw]))
      .min(1)
      .max(MAX_BATCH),
  })
  .meta({ id: 'Batch', description: `1 to ${MAX_BATCH} messages.` });

const index = z.int().meta({ description: 'Place in the batch, from 0.' });

/** What became of each message of a batch. */
export const batchAnswer = z
  .looseObject({
    results: z
      .array(
        z.union([
          z
            .looseObject({
              index,
              status: z.literal('accepted'),
              replayed: z.literal(true).optional().meta({
                description: 'It was accepted before with the same key; nothing new was.',
              }),
              message,
            })
            .meta({ id: 'BatchAccepted' }),
          z.looseObject({ index, status: z.literal('refused'), problem }).meta({ id: 'BatchRefused' }),
        ]),
      )
      .meta({ description: 'In the order of the batch.' }),
    test: testMark,
  })
  .meta({ id: 'BatchResults' });
