import type { FastifyInstance, FastifyReply } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import { z } from 'zod';
import type { Api, Caller, FieldError } from '../gateway/api.ts';
import { callerOf } from './auth.ts';
import { acceptBatch, type BatchResult } from './batch.ts';
import { BODY_EXAMPLES } from './document.ts';
import type { ExampleAddresses } from './examples.ts';
import { foreignAdvice } from './foreign-names.ts';
import { idempotencyKeyOf, refuseKey } from './idempotency.ts';
import { problemBody } from './problem.ts';
import { ANY_BODY, problemResponses } from './problem-responses.ts';
import { chargeFurther } from './rate-limit.ts';
import { batchAnswer, batchEnvelope, batchRequest, MAX_BATCH } from './schemas/batch.ts';
import { hiddenNameErrors } from './schemas/whole-message.ts';
import { sendBodyValidator } from './send-body.ts';
import { lengthOf, type SharedFields } from './shared-fields.ts';
import { bodyValidator, unchecked } from './validation.ts';

function batchSchema({ from, to }: ExampleAddresses) {
  return {
    tags: ['Messages'],
    operationId: 'sendBatch',
    summary: 'Send several messages',
    description: `Accepts or refuses each of 1 to ${MAX_BATCH} messages by itself: a wrong one does not keep the others back, so look at every result. The limits of a body hold for all of them together.\n\nWhat they have in common may stand once, in \`shared\`: each message is judged and sent as if it were written out.\n\nWith an \`Idempotency-Key\` a batch may be repeated as it is: what was accepted is not accepted again, and what was refused is judged anew. The key stands for each message at its place; a message may have an \`idempotencyKey\` of its own instead, the same as the header of a single one.`,
    headers: z.object({
      'Idempotency-Key': z.string().optional().meta({
        description: '1 to 255 visible ASCII characters, one for each batch; remembered for at least 24 hours.',
        pattern: '^[!-~]{1,255}$',
      }),
    }),
    body: { required: true, content: { 'application/json': { schema: batchRequest } } },
    [BODY_EXAMPLES]: {
      shared: {
        summary: 'The same to several people, who do not see each other',
        value: {
          shared: { from, subject: 'We are closed on Monday', text: 'See you on Tuesday.' },
          messages: [{ to: [to] }, { to: ['eve@fabrikam.com'], subject: 'Eve, we are closed on Monday' }],
        },
      },
    },
    response: {
      200: {
        description: 'What became of each; those accepted are on disk.',
        content: { 'application/json': { schema: batchAnswer } },
      },
      ...problemResponses(...ANY_BODY, 'overloaded', 'invalid_fields'),
    },
  };
}

export interface BatchRoutes {
  api: Api;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Addresses for the example in the document. */
  example: ExampleAddresses;
  /** The most that a batch may have when its messages are written out. */
  bodyBytes: number;
}

/** `POST /v1/messages/batch`. */
export function messageBatchRoutes(scope: FastifyInstance, { api, now, example, bodyBytes }: BatchRoutes): void {
  const checkBatch = bodyValidator(batchEnvelope, {
    fieldNames: () => Object.keys(batchEnvelope.shape),
    advice: (_, name) => foreignAdvice('batch', name),
    wholeErrors: (received) => sharedErrors(received, bodyBytes),
  });
  const check = sendBodyValidator(now);

  scope.withTypeProvider<FastifyZodOpenApiTypeProvider>().post('/messages/batch', {
    config: { permissions: ['send'], holdsMessages: true },
    schema: batchSchema(example),
    validatorCompiler: ({ httpPart }) => (httpPart === 'body' ? checkBatch : unchecked),
    handler: async (request, reply) => {
      const key = idempotencyKeyOf(request);
      if (key === 'refused') return refuseKey(reply);
      const { messages, shared } = request.body as { messages: unknown[]; shared?: SharedFields };
      if (!(await chargeFurther(api, request, reply, messages.length - 1))) return reply;
      const results = await acceptBatch(messages, {
        api,
        caller: callerOf(request),
        check,
        key: key?.value,
        shared,
        onFault: (error) => request.log.error({ requestId: request.id, error }, 'failed with a message of a batch'),
      });
      return sendResults(reply, results, callerOf(request));
    },
  });
}

/** One attachment, shared, may not become a hundred times what a body may hold. */
function sharedErrors(received: unknown, bodyBytes: number): FieldError[] {
  const { messages, shared } = (received ?? {}) as { messages?: unknown; shared?: unknown };
  if (shared === undefined || !Array.isArray(messages)) return [];
  const hidden = hiddenNameErrors(shared, '/shared');
  if (hidden.length > 0) return hidden;
  const length = lengthOf(shared) * messages.length;
  const message = `Written out, the batch would have about ${length} bytes; at most ${bodyBytes} are taken. Send fewer messages at a time.`;
  return length > bodyBytes ? [{ pointer: '/shared', message }] : [];
}

function sendResults(reply: FastifyReply, results: BatchResult[], { test }: Caller): FastifyReply {
  return reply.send({ results: results.map((each) => told(each, reply)), ...(test && { test }) });
}

function told(result: BatchResult, reply: FastifyReply) {
  if (result.status === 'accepted') return result;
  const { index, status, error } = result;
  return { index, status, problem: problemBody(error.problem, reply.request.id, error.particulars) };
}
