import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Api, Caller, Permission, RefusedToken } from '../gateway/api.ts';
import { sendProblem } from './problem.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every request that `authenticate` has let through. */
    caller: Caller | null;
  }
  interface FastifyContextConfig {
    /** Any one of these is enough. A route under `authenticate` without it lets nobody in. */
    permissions?: readonly Permission[];
  }
}

/** RFC 9110 §11.4: the scheme in any case; then the key or token in visible ASCII characters. */
const BEARER = /^bearer +([\x21-\x7e]{1,8192})$/i;
const CHALLENGE = 'Bearer realm="postroom"';

/** An `onRequest` hook, so that a stranger's body is never read. The key is accepted nowhere but in the header. */
export function authenticate(api: Pick<Api, 'authenticate'>) {
  return (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
    if (request.headers.authorization === undefined) {
      sendProblem(reply, 'missing_credentials', { headers: { 'www-authenticate': CHALLENGE } });
      return;
    }
    const key = keyOf(request);
    const caller = key === undefined ? undefined : api.authenticate(key);
    // Whoever is known is let in within the same turn.
    if (caller instanceof Promise)
      caller.then((known) => letIn(request, reply, known)).then((isIn) => void (isIn && done()), done);
    else if (letIn(request, reply, caller)) done();
  };
}

/** @returns false if the caller had to be refused */
function letIn(request: FastifyRequest, reply: FastifyReply, caller: Caller | RefusedToken | undefined): boolean {
  if (!caller) refuseKey(reply);
  else if ('refused' in caller) refuseToken(reply, caller);
  else {
    request.caller = caller.test ? asTester(caller) : caller;
    if (caller.test) reply.header('postroom-test', 'true');
    if (mayPass(request, request.caller)) return true;
    refuseCaller(request, reply);
  }
  return false;
}

/** The caller of a request in a scope where `authenticate` is a hook. */
export function callerOf(request: FastifyRequest): Caller {
  if (!request.caller) throw new Error('A route without authentication asked for its caller.');
  return request.caller;
}

/** Node keeps the first of two Authorization headers without a word; which one a proxy meant, nobody knows. */
function keyOf(request: FastifyRequest): string | undefined {
  const { rawHeaders } = request.raw;
  let given = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (isAuthorization(rawHeaders[i] as string)) given += 1;
  if (given !== 1) return undefined;
  return BEARER.exec(request.headers.authorization ?? '')?.[1];
}

function isAuthorization(name: string): boolean {
  return name.length === 'authorization'.length && name.toLowerCase() === 'authorization';
}

function mayPass(request: FastifyRequest, caller: Caller): boolean {
  return neededFor(request).some((permission) => caller.permissions.includes(permission));
}

/** A test key changes nothing that is real: it operates nothing, whatever scopes it was given. */
function asTester(caller: Caller): Caller {
  return { ...caller, permissions: caller.permissions.filter((permission) => permission !== 'operate') };
}

function neededFor(request: FastifyRequest): readonly Permission[] {
  return request.routeOptions.config.permissions ?? [];
}

function refuseKey(reply: FastifyReply): FastifyReply {
  return sendProblem(reply, 'invalid_credentials', {
    headers: { 'www-authenticate': `${CHALLENGE}, error="invalid_token"` },
  });
}

/** RFC 6750 §3: what is wrong with the token, for its bearer. */
function refuseToken(reply: FastifyReply, { refused }: RefusedToken): FastifyReply {
  return sendProblem(reply, 'invalid_credentials', {
    detail: refused,
    headers: { 'www-authenticate': `${CHALLENGE}, error="invalid_token", error_description="${refused}"` },
  });
}

function refuseCaller(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const scopes = neededFor(request);
  return sendProblem(reply, 'insufficient_scope', {
    detail: `This needs an API key or token with the scope ${scopes.join(' or ')}.`,
    headers: { 'www-authenticate': `${CHALLENGE}, error="insufficient_scope", scope="${scopes.join(' ')}"` },
  });
}
