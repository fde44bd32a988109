import type { FastifyInstance } from 'fastify';
import type { Api } from '../gateway/api.ts';
import { publicProblemResponses } from './problem-responses.ts';
import { liveness, readiness } from './schemas/health.ts';

/** For load balancers and orchestrators; needs no key and tells no secret. */
export function healthRoutes(scope: FastifyInstance, api: Pick<Api, 'readiness'>): void {
  scope.get('/health/live', {
    schema: {
      tags: ['Health'],
      operationId: 'getLiveness',
      summary: 'Is the process alive?',
      description: 'Restart it if this does not answer.',
      security: [],
      response: {
        200: { description: 'It is.', content: { 'application/json': { schema: liveness } } },
        ...publicProblemResponses(),
      },
    },
    handler: async () => ({ status: 'ok' }),
  });

  scope.get('/health/ready', {
    schema: {
      tags: ['Health'],
      operationId: 'getReadiness',
      summary: 'Can it take requests?',
      description: 'Send no traffic while this is 503. What Microsoft 365 does has no influence on it.',
      security: [],
      response: {
        200: { description: 'It can.', content: { 'application/json': { schema: readiness, examples: READY } } },
        ...publicProblemResponses(),
        503: { description: 'It cannot.', content: { 'application/json': { schema: readiness, examples: NOT_READY } } },
      },
    },
    handler: async (_request, reply) => {
      const state = await api.readiness();
      return reply.code(state.ready ? 200 : 503).send(state);
    },
  });
}

const READY = {
  ready: {
    summary: 'Ready',
    value: { ready: true, checks: { redis: { status: 'ok', detail: 'Writes reach the disk.' } } },
  },
};
const NOT_READY = {
  notReady: {
    summary: 'Not ready',
    value: { ready: false, checks: { redis: { status: 'fail', detail: 'Redis cannot be reached.' } } },
  },
};
