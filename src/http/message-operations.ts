import { z } from 'zod';
import { BODY_EXAMPLES } from './document.ts';
import { acceptedExample, type ExampleAddresses, readExamples, sendExamples } from './examples.ts';
import { scheduled } from './examples-schedule.ts';
import { MAX_WAIT_SECONDS } from './prefer.ts';
import { ANY_BODY, problemResponses } from './problem-responses.ts';
import { etagHeader, message } from './schemas/message.ts';
import { sendForm } from './schemas/send-form.ts';
import { sendBody } from './schemas/send-raw.ts';

const WAIT = `This must be a number of seconds from 0 to ${MAX_WAIT_SECONDS}.`;

/** @param what is waited for */
function waiting(what: string) {
  return z.strictObject({
    wait: z.coerce
      .number({ error: WAIT })
      .min(0, { error: WAIT })
      .max(MAX_WAIT_SECONDS, { error: WAIT })
      .optional()
      .meta({ default: 0, description: `Seconds to wait for ${what}.` }),
  });
}

const prefer = z
  .string()
  .optional()
  .meta({ description: 'RFC 7240: `wait=30` is the same as `?wait=30`, which counts where both are given.' });

// Response headers are given as plain schemas: @fastify/swagger puts them into header objects by itself.
const preferenceApplied = () => ({
  'Preference-Applied': { type: 'string', maxLength: 20, description: 'The `wait` of your `Prefer` that was granted.' },
});

const acceptedHeaders = {
  Location: { type: 'string', description: 'Path of the message.' },
  'Retry-After': {
    type: 'string',
    description: 'Seconds after which it is worth looking, at most 3600; absent where all is over.',
  },
  'Idempotent-Replayed': {
    type: 'string',
    enum: ['true'],
    description: 'This answer was given before to the same Idempotency-Key; nothing new was accepted.',
  },
  ...preferenceApplied(),
};

/** Documents and validates `POST /v1/messages`. */
export function sendMessageSchema(addresses: ExampleAddresses) {
  return {
    tags: ['Messages'],
    operationId: 'sendMessage',
    summary: 'Send a message',
    description:
      'Accepts a message. The answer comes when it is safely on disk, not when it has been sent: poll the message, or wait for it. Where its mailbox cannot send at present, the answer says `held`, and why.\n\nWith `?wait=30` the answer comes when there is an outcome to tell, at the latest after 30 seconds: what Microsoft said, or why it waits. It is 202 also then, since the message was accepted whatever became of it: look at its `status`. `scheduled` messages are not waited for.\n\nWith an `Idempotency-Key` a request may be repeated as often as needed: the message is accepted once, and every repetition gets the same answer.\n\nLarge files are better sent as `multipart/form-data`: without base64, and in little memory at both ends.',
    querystring: waiting('an outcome'),
    headers: z.object({
      'Idempotency-Key': z.string().optional().meta({
        description:
          '1 to 255 visible ASCII characters, of your choice, one for each message; remembered for at least 24 hours.',
        pattern: '^[!-~]{1,255}$',
      }),
      Prefer: prefer,
    }),
    body: {
      required: true,
      content: {
        'application/json': { schema: sendBody },
        'multipart/form-data': { schema: sendForm },
      },
    },
    [BODY_EXAMPLES]: sendExamples(addresses),
    response: {
      202: {
        description: 'Accepted and on disk; with `wait`, the message as it stands after that.',
        headers: acceptedHeaders,
        content: { 'application/json': { schema: message, examples: acceptedExample(addresses) } },
      },
      ...problemResponses(
        ...ANY_BODY,
        'invalid_multipart',
        'message_too_large',
        'overloaded',
        'invalid_fields',
        'idempotency_key_reused',
        'sender_not_allowed',
        'from_not_allowed',
        'recipient_not_allowed',
        'mailbox_not_allowed',
        'too_many_recipients',
        'message_refused',
      ),
    },
  };
}

/** Documents and validates `GET /v1/messages/{id}`. */
export const readMessageSchema = {
  tags: ['Messages'],
  operationId: 'getMessage',
  summary: 'Read a message',
  description:
    'Where the message stands, and why.\n\nWith `?wait=30` the answer comes as soon as the message changes, at the latest after 30 seconds, and at once if its status is final. To go on waiting, send the `ETag` of the last answer as `If-None-Match`: then a change that came in between is answered at once, and no change as 304.',
  params: z.object({ id: z.string().meta({ description: 'The `id` of the message.' }) }),
  querystring: waiting('a change'),
  headers: z.object({
    'If-None-Match': z.string().optional().meta({ description: 'The `ETag` of the answer that you have.' }),
    Prefer: prefer,
  }),
  response: {
    200: {
      description: 'The message.',
      headers: { ...etagHeader(), ...preferenceApplied() },
      content: {
        'application/json': {
          schema: message,
          examples: { ...readExamples(), scheduled: { summary: 'scheduled: waits for its time', value: scheduled() } },
        },
      },
    },
    304: { description: 'It is still as the `If-None-Match` says.' },
    ...problemResponses('message_not_found'),
  },
};
