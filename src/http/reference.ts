import type { FastifyInstance } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import { z } from 'zod';
import { isProblemCode, PROBLEMS, problemType, sendProblem } from './problem.ts';
import { publicProblemResponses } from './problem-responses.ts';
import { problemDefinition } from './schemas/problem.ts';
import { unchecked } from './validation.ts';

/** `/`, which says where to look, and `/problems/{code}`, where the `type` of a problem points. */
export function referenceRoutes(scope: FastifyInstance, version: string, hasDocs: boolean): void {
  const entrance = { name: 'postroom', version, openapi: '/openapi.json', ...(hasDocs && { docs: '/docs' }) };
  scope.get('/', { schema: { hide: true } }, async () => entrance);

  scope.withTypeProvider<FastifyZodOpenApiTypeProvider>().get('/problems/:code', {
    schema: {
      tags: ['Reference'],
      operationId: 'getProblemDefinition',
      summary: 'What does a problem code mean?',
      description: 'The `type` of every problem points here.',
      security: [],
      params: z.object({
        code: z.string().meta({ description: 'The `code` of the problem.', example: 'invalid_fields' }),
      }),
      response: {
        200: { description: 'Its meaning.', content: { 'application/json': { schema: problemDefinition } } },
        ...publicProblemResponses('not_found'),
      },
    },
    validatorCompiler: () => unchecked,
    handler: async (request, reply) => {
      const { code } = request.params;
      if (!isProblemCode(code)) return sendProblem(reply, 'not_found');
      return reply.send({ type: problemType(code), code, ...PROBLEMS[code] });
    },
  });
}
