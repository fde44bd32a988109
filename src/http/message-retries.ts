import type { FastifyInstance, FastifyReply } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import type { Api } from '../gateway/api.ts';
import type { Retried } from '../gateway/retry-many.ts';
import { MOST_LOOKED_AT } from '../gateway/search.ts';
import { callerOf } from './auth.ts';
import { BODY_EXAMPLES } from './document.ts';
import { filterOf } from './message-list.ts';
import { ANY_BODY, problemResponses } from './problem-responses.ts';
import { retried, retryRequest } from './schemas/message-list.ts';
import { bodyValidator, unchecked } from './validation.ts';

function retrySchema() {
  return {
    tags: ['Messages'],
    operationId: 'retryMessages',
    summary: 'Send all failed messages again that match',
    description: `After a fix: each as \`POST /v1/messages/{id}/retry\` would. Your own, or those of all callers for a key with the scope \`operate\`.\n\nA request looks at no more than ${MOST_LOOKED_AT} messages. If the answer has a \`next\`, repeat the request with it as \`after\` to go on. Repeating a request sends nothing twice: what is queued again is not failed any more. Messages that are \`held\` need no retry; they go by themselves.`,
    body: { required: true, content: { 'application/json': { schema: retryRequest } } },
    [BODY_EXAMPLES]: {
      fixed: {
        summary: 'What failed for one reason, which is mended',
        value: { category: 'senderRefused', limit: 100 },
      },
      all: { summary: 'The 100 latest that failed', value: {} },
    },
    response: {
      200: { description: 'How many.', content: { 'application/json': { schema: retried, examples: example() } } },
      ...problemResponses(...ANY_BODY, 'invalid_fields'),
    },
  };
}

function example() {
  const value: Retried = { retried: 97, notRetried: { contentGone: 3, notAllowed: 0, tooLate: 0 } };
  return { most: { summary: 'All but three, which are not kept any more', value } };
}

/** `POST /v1/messages/retry`. */
export function messageRetryRoutes(scope: FastifyInstance, api: Api): void {
  const checkBody = bodyValidator(retryRequest, {
    fieldNames: () => Object.keys(retryRequest.shape),
    wholeErrors: () => [],
  });
  scope.withTypeProvider<FastifyZodOpenApiTypeProvider>().post('/messages/retry', {
    config: { permissions: ['send', 'operate'], weight: 16 },
    schema: retrySchema(),
    validatorCompiler: ({ httpPart }) => (httpPart === 'body' ? checkBody : unchecked),
    handler: async (request, reply) => {
      const { limit, status, ...filter } = request.body;
      return sendRetried(reply, await api.retryMany(callerOf(request), { ...filterOf(filter), limit, status }));
    },
  });
}

function sendRetried(reply: FastifyReply, what: Retried): FastifyReply {
  return reply.send(what);
}
