import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Api, Idempotency, Replayed } from '../gateway/api.ts';
import { callerOf } from './auth.ts';
import { fingerprint } from './fingerprint.ts';
import { sendProblem } from './problem.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by `noteIdempotency` where the request has an Idempotency-Key. */
    idempotency: Idempotency | null;
  }
}

type Answer = (reply: FastifyReply, earlier: Replayed) => FastifyReply | Promise<FastifyReply>;

const SMALL_BYTES = 65_536;
const KEY = /^[\x21-\x7e]{1,255}$/;
const RULE = 'The Idempotency-Key header must be 1 to 255 visible ASCII characters, given once.';

/**
 * A `preValidation` hook: notes what the request's Idempotency-Key stands for. Accepting finds an earlier answer in the
 * same step in which it would write; so only a large body is asked about first, which would be composed and written in
 * vain.
 *
 * @param answer sends the earlier answer again
 */
export function noteIdempotency(api: Pick<Api, 'replay'>, answer: Answer) {
  return (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
    const key = idempotencyKeyOf(request);
    if (key === 'refused') {
      refuseKey(reply);
      return;
    }
    if (key) request.idempotency = { key: key.value, fingerprint: fingerprint(request.body) };
    // One that does not say how large it is may be.
    if (!key || Number(request.headers['content-length']) <= SMALL_BYTES) done();
    else answerAsEarlier(api, request, reply, answer).then((earlier) => void (earlier || done()), done);
  };
}

/**
 * The answer that was given before, if there was one: to be asked for before a request is refused, since what was right
 * then (an `expiresAt`, a mailbox's From list) may have become wrong since.
 */
export async function answerAsEarlier(
  api: Pick<Api, 'replay'>,
  request: FastifyRequest,
  reply: FastifyReply,
  answer: Answer,
): Promise<FastifyReply | undefined> {
  const earlier = request.idempotency && (await api.replay(callerOf(request), request.idempotency));
  return earlier ? answer(reply, earlier) : undefined;
}

/** The header, if there is one and it is fit to be a key. */
export function idempotencyKeyOf({ headers }: FastifyRequest): { value: string } | 'refused' | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  // Node joins repeated ones with a comma and a space, which the pattern refuses.
  return typeof key === 'string' && KEY.test(key) ? { value: key } : 'refused';
}

export function sendConflict(reply: FastifyReply, messageId: string): FastifyReply {
  return sendProblem(reply, 'idempotency_key_reused', conflictParticulars(messageId));
}

export function conflictParticulars(messageId: string): { detail: string } {
  return {
    detail: `This Idempotency-Key was used before, with another body or for a message that is not kept any more; it made message ${messageId}. Use a new key for a new message.`,
  };
}

export function refuseKey(reply: FastifyReply): FastifyReply {
  return sendProblem(reply, 'invalid_parameter', {
    detail: RULE,
    errors: [{ header: 'Idempotency-Key', message: RULE }],
  });
}
