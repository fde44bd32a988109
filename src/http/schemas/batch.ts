import { z } from 'zod';
import { message, testMark } from './message.ts';
import { problem } from './problem.ts';
import { batchMessage, sharedFields } from './send-message.ts';
import { batchRaw } from './send-raw.ts';
import { wrongType } from './wrong-type.ts';

export const MAX_BATCH = 100;

const COUNT = `This must have 1 to ${MAX_BATCH} messages; send several batches.`;
const SHARED = wrongType('This must be an object, as in {"from": …, "html": …}.');
const OWN_KEY = 'A key is for one message: give each its own, or one for all as the header Idempotency-Key.';
const idempotencyKey = z.string().regex(/^[!-~]{1,255}$/, { error: 'This must be 1 to 255 visible ASCII characters.' });

/** What is wrong with the whole; each message is judged by itself. */
export const batchEnvelope = z.strictObject(
  {
    messages: z.array(z.unknown()).min(1, { error: COUNT }).max(MAX_BATCH, { error: COUNT }),
    shared: z
      .record(z.string(), z.unknown(), { error: SHARED })
      .refine((fields) => !Object.hasOwn(fields, 'idempotencyKey'), { error: OWN_KEY, path: ['idempotencyKey'] })
      .optional(),
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
    shared: sharedFields.optional().meta({
      description:
        'What every message has that does not give the field itself: one `html` and one set of `attachments` for a hundred recipients who do not see each other.',
    }),
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
