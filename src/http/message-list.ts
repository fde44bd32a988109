import type { FastifyInstance, FastifyReply } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import type { Api } from '../gateway/api.ts';
import type { MessageCounts } from '../gateway/counts.ts';
import type { MessagePage } from '../gateway/list.ts';
import type { MessageFilter } from '../gateway/match.ts';
import { type Position, positionOf } from '../gateway/position.ts';
import { MOST_LOOKED_AT } from '../gateway/search.ts';
import { callerOf } from './auth.ts';
import { foreignAdvice } from './foreign-names.ts';
import { problemResponses } from './problem-responses.ts';
import { listQuery, messageCounts, messagePage } from './schemas/message-list.ts';
import { queryValidator, unchecked } from './validation.ts';

const readers = { permissions: ['read', 'operate'] } as const;

/** Made anew for each server, which changes what it is given. */
function listSchema() {
  return {
    tags: ['Messages'],
    operationId: 'listMessages',
    summary: 'List messages',
    description: `Newest first: your own, or those of all callers for a key with the scope \`operate\`. All filters that are given must hold.\n\nIf the answer has a \`next\`, give it as \`after\`, with the same filters, to go on. A page looks at no more than ${MOST_LOOKED_AT} messages: with a rare filter it may be short or empty and still have a \`next\`. Messages that come meanwhile shift nothing; one whose status changes meanwhile may be missed where you filter by status.`,
    querystring: listQuery,
    response: {
      200: { description: 'A page.', content: { 'application/json': { schema: messagePage } } },
      ...problemResponses(),
    },
  };
}

function countsSchema() {
  return {
    tags: ['Messages'],
    operationId: 'countMessages',
    summary: 'Count messages',
    description:
      'Your own by status and mailbox, or those of all callers for a key with the scope `operate`. What waits in a held mailbox is `held`. Finished messages are counted on when they are not kept any more, until none of the caller’s is.',
    response: {
      200: { description: 'The counts.', content: { 'application/json': { schema: messageCounts } } },
      ...problemResponses(),
    },
  };
}

/** `GET /v1/messages` and `GET /v1/messages/counts`. */
export function messageListRoutes(scope: FastifyInstance, api: Api): void {
  const routes = scope.withTypeProvider<FastifyZodOpenApiTypeProvider>();
  const checkQuery = queryValidator(listQuery, (name) => foreignAdvice('list', name));

  routes.get('/messages', {
    // A page of 100 takes Redis and us as long as a dozen messages do.
    config: { ...readers, weight: 16 },
    schema: listSchema(),
    validatorCompiler: ({ httpPart }) =>
      httpPart === 'querystring' ? (received: unknown) => checkQuery(withStatuses(received)) : unchecked,
    handler: async (request, reply) => {
      const { limit, ...filter } = request.query;
      return sendPage(reply, await api.list(callerOf(request), { limit, ...filterOf(filter) }));
    },
  });

  routes.get('/messages/counts', {
    config: readers,
    schema: countsSchema(),
    handler: async (request, reply) => sendCounts(reply, await api.counts(callerOf(request))),
  });
}

/** A parameter that is given once comes as a string. */
function withStatuses(received: unknown): unknown {
  const { status, ...rest } = received as Record<string, unknown>;
  return status === undefined ? rest : { ...rest, status: [status].flat() };
}

interface ReceivedFilter
  extends Omit<{ [Name in keyof MessageFilter]?: MessageFilter[Name] | undefined }, 'createdAfter' | 'createdBefore'> {
  createdAfter?: string | undefined;
  createdBefore?: string | undefined;
  after?: string | undefined;
}

/** A filter as the gateway takes it: times in milliseconds, and nothing in it that was not given. */
export function filterOf(received: ReceivedFilter): MessageFilter & { after?: Position } {
  const { createdAfter, createdBefore, after, ...rest } = received;
  const position = after === undefined ? undefined : positionOf(after);
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as MessageFilter;
  return {
    ...given,
    ...(createdAfter !== undefined && { createdAfter: Date.parse(createdAfter) }),
    ...(createdBefore !== undefined && { createdBefore: Date.parse(createdBefore) }),
    ...(position && { after: position }),
  };
}

function sendPage(reply: FastifyReply, page: MessagePage): FastifyReply {
  return reply.send(page);
}

function sendCounts(reply: FastifyReply, counted: MessageCounts): FastifyReply {
  return reply.send(counted);
}
