import type { FastifyInstance, FastifyReply } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import type { z } from 'zod';
import type { Api } from '../gateway/api.ts';
import type { ReplayWish } from '../gateway/webhook-api.ts';
import { callerOf } from './auth.ts';
import { sendProblem } from './problem.ts';
import {
  deliveriesQuery,
  listQuery,
  newWebhook,
  replayRequest,
  rotateRequest,
  webhookPatch,
} from './schemas/webhook.ts';
import { bodyValidator, invalidFields, queryValidator, unchecked } from './validation.ts';
import * as documented from './webhook-operations.ts';

/** Whoever may read messages may be told of them. */
const readers = { permissions: ['read'] } as const;
/** And operators see everybody's, and can stop them; what is told, and to whom, stays the owner's. */
const readersAndOperators = { permissions: ['read', 'operate'] } as const;

/** Webhooks of the caller's own. No answer holds a secret but the two that make one. */
export function webhookRoutes(scope: FastifyInstance, api: Pick<Api, 'webhooks'>): void {
  const routes = scope.withTypeProvider<FastifyZodOpenApiTypeProvider>();

  routes.post('/webhooks', {
    config: readers,
    schema: documented.createSchema(),
    validatorCompiler: forBody(newWebhook),
    handler: async (request, reply) => {
      const creation = await api.webhooks.create(callerOf(request), request.body);
      if (creation.kind === 'refused') throw invalidFields(creation.errors);
      if (creation.kind === 'tooMany')
        return sendProblem(reply, 'too_many_webhooks', { detail: `You have ${creation.limit} webhooks; delete one.` });
      const { webhook, secret } = creation;
      return reply
        .code(201)
        .header('location', `/v1/webhooks/${webhook.id}`)
        .send({ ...webhook, secret });
    },
  });

  const checkList = queryValidator(listQuery);
  routes.get('/webhooks', {
    config: readersAndOperators,
    schema: documented.listSchema(),
    validatorCompiler: ({ httpPart }) => (httpPart === 'querystring' ? checkList : unchecked),
    handler: async (request, reply) => {
      const caller = callerOf(request);
      const { caller: of } = request.query;
      if (of !== undefined && of !== caller.id && !caller.permissions.includes('operate')) return refuseOthers(reply);
      return send(reply, { webhooks: await api.webhooks.list(caller, of) });
    },
  });

  routes.get('/webhooks/:id', {
    config: readersAndOperators,
    schema: documented.readSchema(),
    validatorCompiler: () => unchecked,
    handler: async (request, reply) => send(reply, await api.webhooks.read(callerOf(request), request.params.id)),
  });

  routes.patch('/webhooks/:id', {
    config: readersAndOperators,
    schema: documented.changeSchema(),
    validatorCompiler: forBody(webhookPatch),
    handler: async (request, reply) => {
      const { body, params } = request;
      const update = await api.webhooks.change(callerOf(request), params.id, given(body));
      if (update?.kind === 'refused') throw invalidFields(update.errors);
      if (update?.kind === 'barred') return sendProblem(reply, 'webhook_disabled', { detail: BARRED });
      return send(reply, update?.webhook);
    },
  });

  routes.delete('/webhooks/:id', {
    config: readersAndOperators,
    schema: documented.removeSchema(),
    validatorCompiler: () => unchecked,
    handler: async (request, reply) => {
      const there = await api.webhooks.remove(callerOf(request), request.params.id);
      return there ? reply.code(204).send() : sendProblem(reply, 'webhook_not_found');
    },
  });

  routes.post('/webhooks/:id/rotate', {
    config: readers,
    schema: documented.rotateSchema(),
    validatorCompiler: forBody(rotateRequest, {}),
    handler: async (request, reply) => {
      const { overlapSeconds } = rotateRequest.parse(request.body ?? {});
      return send(reply, await api.webhooks.rotate(callerOf(request), request.params.id, overlapSeconds));
    },
  });

  routes.post('/webhooks/:id/test', {
    config: readers,
    schema: documented.testSchema(),
    validatorCompiler: () => unchecked,
    handler: async (request, reply) => send(reply, await api.webhooks.test(callerOf(request), request.params.id)),
  });

  routes.post('/webhooks/:id/replay', {
    config: readers,
    schema: documented.replaySchema(),
    validatorCompiler: forBody(replayRequest),
    handler: async (request, reply) => {
      const replay = await api.webhooks.replay(callerOf(request), request.params.id, wishOf(request.body));
      if (replay?.kind === 'disabled') return sendProblem(reply, 'webhook_disabled');
      if (!replay) return sendProblem(reply, 'webhook_not_found');
      const { kind: _, ...answer } = replay;
      return send(reply, answer);
    },
  });

  const checkQuery = queryValidator(deliveriesQuery);
  routes.get('/webhooks/:id/deliveries', {
    config: readersAndOperators,
    schema: documented.deliveriesSchema(),
    validatorCompiler: ({ httpPart }) => (httpPart === 'querystring' ? checkQuery : unchecked),
    handler: async (request, reply) => {
      const { limit } = request.query;
      const deliveries = await api.webhooks.deliveries(callerOf(request), request.params.id, limit);
      return send(reply, deliveries && { deliveries });
    },
  });
}

const BARRED = 'An operator has disabled this webhook; only an operator can enable it again.';

/** The same whatever is asked for: whether there is such a caller is not told. */
function refuseOthers(reply: FastifyReply): FastifyReply {
  return sendProblem(reply, 'insufficient_scope', {
    detail: 'Webhooks of other callers need an API key or token with the scope operate.',
  });
}

/** Loose schemas describe the answer for clients; what is sent is the view itself. */
function send(reply: FastifyReply, answer: object | undefined): FastifyReply {
  return answer ? reply.send(answer) : sendProblem(reply, 'webhook_not_found');
}

/** @param absent what no body at all means, where there need not be one */
function forBody(schema: z.ZodObject, absent?: object) {
  const check = bodyValidator(schema, { fieldNames: () => Object.keys(schema.shape), wholeErrors: () => [] });
  return ({ httpPart }: { httpPart?: string }) =>
    httpPart === 'body' ? (body: unknown = absent) => check(body) : unchecked;
}

/** Only what was said: a member that is there without a value is not there. */
function given<Body extends object>(body: Body): { [Name in keyof Body]?: Exclude<Body[Name], undefined> } {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) as never;
}

function wishOf({ messageId, since = '', until }: z.output<typeof replayRequest>): ReplayWish {
  if (messageId !== undefined) return { messageId };
  return { since: Date.parse(since), ...(until !== undefined && { until: Date.parse(until) }) };
}
