import type { FastifyInstance } from 'fastify';
import { ProblemError } from './problem.ts';

/**
 * Refuses every query where an operation has none. What a caller hopes for by `?dryRun=true` is nothing that we could
 * leave undone without a word, and the message would be sent. Pages and files for machines (those not in the document)
 * are let alone: browsers and caches add parameters of their own.
 */
export function refuseQueries(scope: FastifyInstance): void {
  scope.addHook('onRequest', (request, _reply, done) => {
    if (!request.url.includes('?')) return done();
    const { schema } = request.routeOptions;
    const [name] = schema?.querystring || schema?.hide ? [] : Object.keys(request.query as object);
    done(name === undefined ? undefined : unknownParameter(name));
  });
}

function unknownParameter(name: string): ProblemError {
  const message = 'This takes no query parameters.';
  return new ProblemError('invalid_parameter', { detail: message, errors: [{ parameter: name, message }] });
}
