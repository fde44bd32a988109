import type { FastifyInstance } from 'fastify';
import { ProblemError } from './problem.ts';

/**
 * Refuses every query where a route has none. What a caller hopes for by `?dryRun=true` is nothing that we could
 * leave undone without a word, and the message would be sent.
 */
export function refuseQueries(scope: FastifyInstance): void {
  scope.addHook('onRequest', (request, _reply, done) => {
    const [name] = request.routeOptions.schema?.querystring ? [] : Object.keys(request.query as object);
    done(name === undefined ? undefined : unknownParameter(name));
  });
}

function unknownParameter(name: string): ProblemError {
  const message = 'This takes no query parameters.';
  return new ProblemError('invalid_parameter', { detail: message, errors: [{ parameter: name, message }] });
}
