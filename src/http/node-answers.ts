import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { answerSocket } from './error-handler.ts';
import { ProblemError } from './problem.ts';

/** For `http.createServer`: a request without Host would be answered by Node, without a word. */
export const HOST_IS_OURS_TO_CHECK = { requireHostHeader: false } as const;

/**
 * Takes over what Node would answer itself (Node 20, `http.Server`): an `Expect`, with 100 before anybody has looked at
 * the request and 417 without a body; CONNECT, by closing without an answer; and header fields from the 2,001st on, by
 * dropping them. Their octets are bounded anyway.
 */
export function takeOverFromNode(app: FastifyInstance): void {
  const server = app.server as Server;
  server.maxHeadersCount = 0;
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    continueWhenRead(request, response);
    server.emit('request', request, response);
  });
  // RFC 9110 §10.1.1 lets a server ignore what it does not know there.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  // RFC 9110 §9.3.6. There is no resource whose methods could be named.
  server.on('connect', (_request, socket) => answerSocket(socket, 'method_not_allowed', ['Allow: ']));
}

/**
 * RFC 9110 §10.1.1: the body is asked for when it is first read, so that one that is refused unread (no key, too large)
 * is never sent. Where it is not asked for, nobody can know whether what comes next is the body or another request:
 * the connection ends.
 */
function continueWhenRead(request: IncomingMessage, response: ServerResponse): void {
  const read = request._read;
  response.setHeader('connection', 'close');
  request._read = (size) => {
    request._read = read;
    if (!response.headersSent) {
      response.removeHeader('connection');
      response.writeContinue();
    }
    read.call(request, size);
  };
}

/**
 * RFC 9112 §3.2: HTTP/1.1 has exactly one Host. Two programs that each take another one would be told apart by whoever
 * smuggles.
 *
 * @throws ProblemError `malformed_request`
 */
export function checkHost({ raw: { httpVersion, rawHeaders } }: FastifyRequest): void {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++;
  }
  if (hosts === 1 || (hosts === 0 && httpVersion === '1.0')) return;
  const detail = `The request has ${hosts === 0 ? 'no Host header' : 'more than one Host header'}; it needs exactly one.`;
  throw new ProblemError('malformed_request', { detail });
}
