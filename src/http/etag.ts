import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify';
import { sendProblem } from './problem.ts';

/**
 * RFC 9110 §8.8.1: a weak validator, since two answers of the same state may differ in the estimate of when the
 * message will go.
 */
export function weakEtag(etag: string): string {
  return `W/"${etag}"`;
}

/** RFC 9110 §8.8.3, without the mark of a weak one: the commas between them may stand within one, too. */
const OPAQUE_TAG = /"[\x21\x23-\x7e\x80-\xff]*"/g;

/** RFC 9110 §13.1.2: whether `If-None-Match` names this representation; the comparison is the weak one (§8.8.3.2). */
export function namesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.match(OPAQUE_TAG)?.includes(`"${etag}"`) ?? false;
}

/**
 * An `onRequest` hook: answers `If-Match` as RFC 9110 §13.1.1 has it. That comparison is the strong one, and we have
 * weak tags only, so that none can match. To do the change all the same would be to overwrite what the caller wanted
 * to protect; `*` is true of everything that there is.
 */
export function refuseIfMatch(request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
  const { 'if-match': ifMatch } = request.headers;
  if (ifMatch === undefined || ifMatch.trim() === '*' || isSafe(request.method)) done();
  else sendProblem(reply, 'precondition_failed');
}

/** RFC 9110 §9.2.1. What only reads can overwrite nothing. */
function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}
