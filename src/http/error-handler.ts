import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { IdentityUnavailable, StoreUnavailable } from '../gateway/api.ts';
import { type Particulars, type ProblemCode, ProblemError, problemBody, sendProblem } from './problem.ts';

/** Seconds. Long enough for a Redis that restarts, short enough for a caller who waits. */
const RETRY_AFTER = '5';

/** Fastify's own refusals, by their codes; all else it throws is our fault. */
const FASTIFY_CODES: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_request',
  FST_ERR_BAD_URL: 'malformed_request',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
};

/** The only place where an error becomes an answer. */
export function errorHandler(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  keepConnection(reply);
  if (error instanceof ProblemError) return sendProblem(reply, error.problem, error.particulars);
  if (error instanceof StoreUnavailable) {
    // The log is told of it by whoever asked, at a pace of its own: while Redis is away it meets every request.
    request.log.debug({ requestId: request.id, reason: reasonOf(error) }, 'could not reach the store');
    return sendProblem(reply, 'store_unavailable', { headers: { 'retry-after': RETRY_AFTER } });
  }
  if (error instanceof IdentityUnavailable) {
    request.log.warn({ requestId: request.id, reason: reasonOf(error) }, 'could not fetch the keys of tokens');
    return sendProblem(reply, 'identity_unavailable', { headers: { 'retry-after': RETRY_AFTER } });
  }
  const known = FASTIFY_CODES[codeOf(error)] ?? (endedEarly(request) ? 'malformed_request' : undefined);
  if (known) return sendProblem(reply, known, particularsOf(known, request));
  request.log.error({ requestId: request.id, err: error }, 'failed to answer a request');
  return sendProblem(reply, 'internal_error');
}

/** Of the driver, whose stack says nothing about us; while Redis is away this is said for every request. */
function reasonOf({ cause, message }: Error): string {
  return cause instanceof Error ? cause.message : message;
}

/** Answers what is not HTTP, or too slow, in as far as the socket still takes an answer. */
export function clientErrorHandler(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable || hasBegunToAnswer(socket)) {
    socket.destroy();
    return;
  }
  answerSocket(socket, CLIENT_CODES[error.code ?? ''] ?? 'malformed_request');
}

/** Answers over a bare socket where there is nothing yet, or nothing any more, that could be answered by Fastify. */
export function answerSocket(socket: Writable, code: ProblemCode, headers: readonly string[] = []): void {
  const requestId = randomUUID();
  const problem = problemBody(code, requestId);
  const body = JSON.stringify(problem);
  const lines = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    'Cache-Control: no-store',
    ...headers,
    'Connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

const CLIENT_CODES: Readonly<Record<string, ProblemCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
  HPE_HEADER_OVERFLOW: 'headers_too_large',
};

/** Node keeps the answer under way there; a second one in its midst would be read as a part of it. */
function hasBegunToAnswer(socket: Socket): boolean {
  return (socket as Socket & { _httpMessage?: { headersSent: boolean } | null })._httpMessage?.headersSent ?? false;
}

/**
 * Fastify closes the connection when it refuses a body, and then the reset usually reaches the caller before the
 * answer does. Node reads and drops the rest instead, within the same time limit.
 */
function keepConnection(reply: FastifyReply): void {
  reply.removeHeader('connection');
}

function particularsOf(code: ProblemCode, { routeOptions }: FastifyRequest): Particulars {
  return code === 'body_too_large' ? { detail: `The body may have at most ${routeOptions.bodyLimit} bytes.` } : {};
}

function endedEarly(request: FastifyRequest): boolean {
  return request.raw.destroyed && !request.raw.complete;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
