import type { FastifyInstance, FastifyReply } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import { z } from 'zod';
import type { Api, MailboxView } from '../gateway/api.ts';
import { callerOf } from './auth.ts';
import { sendProblem } from './problem.ts';
import { ANY_BODY, problemResponses } from './problem-responses.ts';
import { holdRequest, mailbox, mailboxList } from './schemas/mailbox.ts';
import { bodyValidator, unchecked } from './validation.ts';

const params = z.object({ id: z.string().meta({ description: 'The `id` of the mailbox.' }) });
const aMailbox = { description: 'The mailbox.', content: { 'application/json': { schema: mailbox } } };
const operators = { permissions: ['operate'] } as const;

/** Mailboxes, and an operator's hand on them. */
export function mailboxRoutes(scope: FastifyInstance, api: Api): void {
  const routes = scope.withTypeProvider<FastifyZodOpenApiTypeProvider>();

  routes.get('/mailboxes', {
    config: operators,
    schema: {
      tags: ['Mailboxes'],
      operationId: 'listMailboxes',
      summary: 'List the mailboxes',
      description: 'Their state, their depth and what is left of the minute and of the day.',
      response: {
        200: { description: 'All of them.', content: { 'application/json': { schema: mailboxList } } },
        ...problemResponses(),
      },
    },
    handler: async (_request, reply) => sendList(reply, await api.mailboxes()),
  });

  routes.get('/mailboxes/:id', {
    config: operators,
    schema: {
      tags: ['Mailboxes'],
      operationId: 'getMailbox',
      summary: 'Read a mailbox',
      description: 'Its state, its depth and what is left of the minute and of the day.',
      params,
      response: { 200: aMailbox, ...problemResponses('mailbox_not_found') },
    },
    validatorCompiler: () => unchecked,
    handler: async (request, reply) => sendMailbox(reply, await api.mailbox(request.params.id)),
  });

  const checkHold = bodyValidator(holdRequest, { fieldNames: () => ['reason'], wholeErrors: () => [] });
  routes.post('/mailboxes/:id/hold', {
    config: operators,
    schema: {
      tags: ['Mailboxes'],
      operationId: 'holdMailbox',
      summary: 'Hold a mailbox',
      description: 'It sends nothing until a person releases it. What is being sent is finished; what waits, waits.',
      params,
      body: { required: false, content: { 'application/json': { schema: holdRequest } } },
      response: {
        200: aMailbox,
        ...problemResponses(...ANY_BODY, 'invalid_fields', 'mailbox_not_found'),
      },
    },
    validatorCompiler: ({ httpPart }) => (httpPart === 'body' ? (body: unknown = {}) => checkHold(body) : unchecked),
    handler: async (request, reply) => {
      const reason = request.body?.reason ?? '';
      return sendMailbox(reply, await api.hold(request.params.id, reason, callerOf(request).id));
    },
  });

  routes.post('/mailboxes/:id/release', {
    config: operators,
    schema: {
      tags: ['Mailboxes'],
      operationId: 'releaseMailbox',
      summary: 'Release a mailbox',
      description:
        'Ends an operator’s hold. Any other hold is tried out at once: one message goes alone, and if it is accepted all others follow.',
      params,
      response: { 200: aMailbox, ...problemResponses(...ANY_BODY, 'mailbox_not_found') },
    },
    validatorCompiler: () => unchecked,
    handler: async (request, reply) => sendMailbox(reply, await api.release(request.params.id, callerOf(request).id)),
  });
}

function sendMailbox(reply: FastifyReply, view: MailboxView | undefined): FastifyReply {
  return view ? reply.send(view) : sendProblem(reply, 'mailbox_not_found');
}

/** Loose schemas describe the answer for clients; what is sent is the view itself. */
function sendList(reply: FastifyReply, mailboxes: MailboxView[]): FastifyReply {
  return reply.send({ mailboxes });
}
