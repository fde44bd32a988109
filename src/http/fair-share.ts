import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from './auth.ts';
import { sendProblem } from './problem.ts';
import { callerShares, type Place } from './shares.ts';
import { callerTurns } from './turns.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Held while the request is in work; given back when it begins to wait for something to happen. */
    place: Place | null;
    /** Takes a place to wait in instead, until the answer is out; false where all of the caller's are taken. */
    stepAside(reply: FastifyReply): boolean;
    /** Does the work on a body of so many octets, in turn with other callers that are there. */
    inTurn(bytes: number, work: () => void): void;
  }
  interface FastifyContextConfig {
    /** Does this request ask to wait for something to happen? */
    mayWait?: (request: FastifyRequest) => boolean;
    /** How many ordinary requests one of these counts as; 1 if absent. */
    weight?: number;
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
 *
 * A long poll or a stream is work until it begins to wait. Those that may wait are counted besides, from their first
 * moment, and have no other bound: a thousand of them come back at once when a process was restarted.
 */
export function shareFairly(scope: FastifyInstance, limits: ShareLimits): void {
  const workers = callerShares(limits.callerRequests);
  const seats = callerShares(limits.callerWaiting);
  const turns = callerTurns(() => performance.now());
  scope.decorateRequest('place', null);
  scope.decorateRequest('inTurn', function (this: FastifyRequest, bytes: number, work: () => void): void {
    const leaveTurn = turns.take(callerOf(this).id, bytes, work);
    const { place } = this;
    if (!leaveTurn || !place) return;
    this.place = {
      isQueued: place.isQueued,
      leave() {
        place.leave();
        leaveTurn();
      },
    };
  });
  scope.decorateRequest('stepAside', function (this: FastifyRequest, reply: FastifyReply): boolean {
    const seat = seats.take(callerOf(this).id, { weight: 1, mostQueued: 0 });
    if (!seat) return false;
    reply.raw.once('close', () => seat.leave());
    this.place?.leave();
    return true;
  });
  scope.addHook('onRequest', (request, reply, done) => {
    const { id } = callerOf(request);
    turns.seen(id);
    const { config } = request.routeOptions;
    const waits = config.mayWait?.(request) === true;
    const seat = waits ? seats.take(id, { weight: 1, mostQueued: 0 }) : undefined;
    if (waits && !seat) return refuse(reply);
    const mostQueued = waits ? Number.POSITIVE_INFINITY : limits.callerQueue;
    const place = workers.take(id, { weight: weightOf(request.headers, config), mostQueued, begin: done });
    if (!place) return refuse(reply);
    request.place = place;
    const isQueued = place.isQueued();
    // A request in work that is aborted keeps its place until the work is done: leaving early would cost nothing.
    if (seat || isQueued)
      reply.raw.once('close', () => {
        seat?.leave();
        if (place.isQueued()) place.leave();
      });
    if (!isQueued) done();
  });
  scope.addHook('onSend', (request, _reply, _payload, done) => {
    request.place?.leave();
    done();
  });
}

/** Large bodies take memory and time to read: one for each mebibyte. */
function weightOf(headers: FastifyRequest['headers'], config: FastifyContextConfig): number {
  if (headers['transfer-encoding'] !== undefined) return UNKNOWN_WEIGHT;
  return (config.weight ?? 1) + Math.floor(Number(headers['content-length'] ?? 0) / MEBIBYTE);
}

function refuse(reply: FastifyReply): void {
  sendProblem(reply, 'too_many_requests', { headers: { 'retry-after': '1' } });
}
