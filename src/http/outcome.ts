import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify';
import type { Api } from '../gateway/api.ts';
import type { MessageView } from '../gateway/view.ts';
import type { Status } from '../mail/status.ts';
import { callerOf } from './auth.ts';
import { leaveRoom } from './body-memory.ts';
import { isOnItsWay, readOutcome } from './long-poll.ts';
import { preferredWait } from './prefer.ts';
import type { Validated } from './validation.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** How long whoever submits a message waits for its outcome. */
    waitMilliseconds: number;
    /** Seconds of it that the header Prefer asks for, if it does. */
    preferredWait: number | undefined;
  }
}

const NO_QUERY = { value: {} };

/** A `preValidation` hook: read before the body is judged, since an upload is accepted before the query would be. */
export function readWait(check: (query: unknown) => Validated) {
  return (request: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void => {
    const checked = request.url.includes('?') ? check(request.query) : NO_QUERY;
    if ('error' in checked) throw checked.error;
    const { wait } = checked.value as { wait?: number };
    request.preferredWait = wait === undefined ? preferredWait(request) : undefined;
    request.waitMilliseconds = (wait ?? request.preferredWait ?? 0) * 1_000;
    done();
  };
}

export interface OutcomeTools {
  api: Pick<Api, 'read' | 'changed'>;
  /** Those that wait, to be sent home when the process stops. */
  waiting: Set<AbortController>;
}

/**
 * The message as it was accepted, or as it stands when there is an outcome to tell, for a caller who wants to wait for
 * that. Meanwhile it holds no place among requests in work and no room for its body. Whatever fails now, the message is
 * accepted, and the answer says so.
 */
export function outcomeOf(
  tools: OutcomeTools,
  reply: FastifyReply,
  message: MessageView,
): MessageView | Promise<MessageView> {
  const { request } = reply;
  if (request.waitMilliseconds === 0 || !mayHaveChanged(message.status) || !request.stepAside(reply)) return message;
  return outcomeAwaited(tools, reply, message);
}

/** An earlier answer that is repeated says `held` also where the hold has ended since. */
function mayHaveChanged(status: Status): boolean {
  return status === 'held' || isOnItsWay(status);
}

async function outcomeAwaited(
  { api, waiting }: OutcomeTools,
  reply: FastifyReply,
  message: MessageView,
): Promise<MessageView> {
  const { request } = reply;
  const milliseconds = request.waitMilliseconds;
  request.body = undefined;
  leaveRoom(reply);
  const stop = new AbortController();
  waiting.add(stop);
  reply.raw.once('close', () => stop.abort());
  try {
    const reading = await readOutcome(api, callerOf(request), message.id, {
      milliseconds,
      onWait: () => undefined,
      stop,
    });
    return reading?.message ?? message;
  } catch (error) {
    request.log.warn({ requestId: request.id, messageId: message.id, error }, 'could not wait for a message');
    return message;
  } finally {
    waiting.delete(stop);
    stop.abort();
  }
}
