import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from './auth.ts';
import { sendProblem } from './problem.ts';
import { callerShares, type Place } from './shares.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What makes a request to this route one that waits: it asks for a long poll, or for a stream. */
    waits?: 'poll' | 'stream';
  }
  interface FastifyRequest {
    /** Held while the request is in work. */
    place: Place | null;
  }
}

export interface ShareLimits {
  callerRequests: number;
  callerQueue: number;
  callerWaiting: number;
}

const MEBIBYTE = 1024 * 1024;
/** Of a body that does not say how large it is: most are small, and it may be the largest. */
const UNKNOWN_WEIGHT = 8;

/**
 * Keeps one caller's flood from the others: of each caller only so many requests are in work at a time, its others wait
 * with their bodies unread, and when too many wait they are refused. So a caller's request shares the process with at
 * most `callerRequests` of any other caller, however many that one sends.
 */
export function shareFairly(scope: FastifyInstance, limits: ShareLimits): void {
  const workers = callerShares(limits.callerRequests, limits.callerQueue);
  const readers = callerShares(limits.callerWaiting, 0);
  scope.decorateRequest('place', null);
  scope.addHook('onRequest', (request, reply, done) => {
    const waits = mayWait(request);
    const place = (waits ? readers : workers).take(callerOf(request).id, waits ? 1 : weightOf(request), done);
    if (!place) return refuse(reply);
    if (!waits) request.place = place;
    // A request in work that is aborted keeps its place until the work is done: leaving early would cost nothing.
    reply.raw.once('close', () => {
      if (waits || place.isQueued()) place.leave();
    });
    if (!place.isQueued()) done();
  });
  scope.addHook('onSend', (request, _reply, _payload, done) => {
    request.place?.leave();
    done();
  });
}

/** Long polls and streams cost a place to wait in, and next to no work. */
function mayWait({ routeOptions, query, headers }: FastifyRequest): boolean {
  const { waits } = routeOptions.config;
  if (waits === undefined) return false;
  if (waits === 'stream') return headers.accept?.includes('text/event-stream') === true;
  const { wait } = query as { wait?: unknown };
  return wait !== undefined && wait !== '0';
}

/** Large bodies take memory and time to read: one for each mebibyte. */
function weightOf({ headers }: FastifyRequest): number {
  if (headers['transfer-encoding'] !== undefined) return UNKNOWN_WEIGHT;
  return 1 + Math.floor(Number(headers['content-length'] ?? 0) / MEBIBYTE);
}

function refuse(reply: FastifyReply): void {
  sendProblem(reply, 'too_many_requests', { headers: { 'retry-after': '1' } });
}
