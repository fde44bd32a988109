import type { FastifyInstance, FastifyReply } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import { z } from 'zod';
import type { Api, Caller } from '../gateway/api.ts';
import { callerOf } from './auth.ts';
import { acceptBatch, type BatchResult } from './batch.ts';
import { foreignAdvice } from './foreign-names.ts';
import { idempotencyKeyOf, refuseKey } from './idempotency.ts';
import { problemBody } from './problem.ts';
import { ANY_BODY, problemResponses } from './problem-responses.ts';
import { chargeFurther } from './rate-limit.ts';
import { batchAnswer, batchEnvelope, batchRequest, MAX_BATCH } from './schemas/batch.ts';
import { sendBodyValidator } from './send-body.ts';
import { bodyValidator, unchecked } from './validation.ts';

function batchSchema() {
  return {
    tags: ['Messages'],
    operationId: 'sendBatch',
    summary: 'Send several messages',
    description: `Accepts or refuses each of 1 to ${MAX_BATCH} messages by itself: a wrong one does not keep the others back, so look at every result. The limits of a body hold for all of them together.\n\nWith an \`Idempotency-Key\` a batch may be repeated as it is: what was accepted is not accepted again, and what was refused is judged anew. The key stands for each message at its place; a message may have an \`idempotencyKey\` of its own instead, the same as the header of a single one.`,
    headers: z.object({
      'Idempotency-Key': z.string().optional().meta({
        description: '1 to 255 visible ASCII characters, one for each batch; remembered for at least 24 hours.',
        pattern: '^[!-~]{1,255}$',
      }),
    }),
    body: { required: true, content: { 'application/json': { schema: batchRequest } } },
    response: {
      200: {
        description: 'What became of each; those accepted are on disk.',
        content: { 'application/json': { schema: batchAnswer } },
      },
      ...problemResponses(...ANY_BODY, 'overloaded', 'invalid_fields'),
    },
  };
}

/** `POST /v1/messages/batch`. */
export function messageBatchRoutes(scope: FastifyInstance, api: Api, now: () => number): void {
  const checkBatch = bodyValidator(batchEnvelope, {
    fieldNames: () => ['messages'],
    advice: (_, name) => foreignAdvice('batch', name),
    wholeErrors: () => [],
  });
  const check = sendBodyValidator(now);

  scope.withTypeProvider<FastifyZodOpenApiTypeProvider>().post('/messages/batch', {
    config: { permissions: ['send'], holdsMessages: true },
    schema: batchSchema(),
    validatorCompiler: ({ httpPart }) => (httpPart === 'body' ? checkBatch : unchecked),
    handler: async (request, reply) => {
      const key = idempotencyKeyOf(request);
      if (key === 'refused') return refuseKey(reply);
      const { messages } = request.body as { messages: unknown[] };
      if (!(await chargeFurther(api, request, reply, messages.length - 1))) return reply;
      const results = await acceptBatch(messages, {
        api,
        caller: callerOf(request),
        check,
        key: key?.value,
        onFault: (error) => request.log.error({ requestId: request.id, error }, 'failed with a message of a batch'),
      });
      return sendResults(reply, results, callerOf(request));
    },
  });
}

function sendResults(reply: FastifyReply, results: BatchResult[], { test }: Caller): FastifyReply {
  return reply.send({ results: results.map((each) => told(each, reply)), ...(test && { test }) });
}

function told(result: BatchResult, reply: FastifyReply) {
  if (result.status === 'accepted') return result;
  const { index, status, error } = result;
  return { index, status, problem: problemBody(error.problem, reply.request.id, error.particulars) };
}
