import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Api, Idempotency } from '../gateway/api.ts';
import type { MessageView } from '../gateway/view.ts';
import { callerOf } from './auth.ts';
import { fingerprint } from './fingerprint.ts';
import { sendProblem } from './problem.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by `replayEarlier` where the request has an Idempotency-Key. */
    idempotency: Idempotency | null;
  }
}

const KEY = /^[\x21-\x7e]{1,255}$/;
const RULE = 'The Idempotency-Key header must be 1 to 255 visible ASCII characters, given once.';

/**
 * A `preValidation` hook: repeats the earlier answer before anything is judged, since what was right then (an
 * `expiresAt`, a mailbox's From list) may have become wrong since.
 *
 * @param answer sends the earlier message again
 */
export function replayEarlier(
  api: Pick<Api, 'replay'>,
  answer: (reply: FastifyReply, message: MessageView) => unknown,
) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const key = idempotencyKeyOf(request);
    if (key === undefined) return undefined;
    if (key === 'refused') return refuseKey(reply);
    request.idempotency = { key: key.value, fingerprint: fingerprint(request.body) };
    const replayed = await api.replay(callerOf(request), request.idempotency);
    if (replayed?.kind === 'conflict') return sendConflict(reply, replayed.messageId);
    if (replayed) await answer(reply, replayed.message);
    return replayed && reply;
  };
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
    detail: `This Idempotency-Key was used before with another body; it made message ${messageId}. Use a new key for a new message.`,
  };
}

export function refuseKey(reply: FastifyReply): FastifyReply {
  return sendProblem(reply, 'invalid_parameter', {
    detail: RULE,
    errors: [{ header: 'Idempotency-Key', message: RULE }],
  });
}
