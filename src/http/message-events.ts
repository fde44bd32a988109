import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import { z } from 'zod';
import type { Api, TimelineEvent } from '../gateway/api.ts';
import { callerOf } from './auth.ts';
import { isOver, streamEvents } from './event-stream.ts';
import { isMessageId } from './message-id.ts';
import { sendProblem } from './problem.ts';
import { problemResponses } from './problem-responses.ts';
import { timeline } from './schemas/timeline.ts';
import { unchecked } from './validation.ts';

export interface StreamLimits {
  heartbeatMilliseconds: number;
  streamMilliseconds: number;
}

/** A reader that has not taken in the end of its stream by then is disconnected. */
const GRACE_MILLISECONDS = 2_000;

/** Made anew for each server, which changes what it is given. */
function eventsSchema() {
  return {
    tags: ['Messages'],
    operationId: 'listMessageEvents',
    summary: 'Read or follow the timeline of a message',
    description:
      'Every move of the message, oldest first; the last 500 are kept. The hold of a mailbox is no move of its messages: read the message for that.\n\nWith `Accept: text/event-stream` the moves come as they happen, as server-sent events: `id` is the `number`, `event` is `status`, `data` is the event as JSON. The stream ends after a final status, or after an hour; come back with the last `id` as `Last-Event-ID`, after the milliseconds in `retry` (an `EventSource` does so by itself). If there is nothing left to come, the answer is 204.',
    params: z.object({ id: z.string().meta({ description: 'The `id` of the message.' }) }),
    headers: z.object({
      'Last-Event-ID': z.string().optional().meta({ description: 'For a stream: only what came after this event.' }),
    }),
    response: {
      200: {
        description: 'The timeline.',
        content: {
          'application/json': { schema: timeline },
          'text/event-stream': { schema: z.string().meta({ description: 'Server-sent events.' }) },
        },
      },
      204: { description: 'The status is final, and its event is the one that the `Last-Event-ID` names.' },
      ...problemResponses('message_not_found'),
    },
  };
}

/** `GET /v1/messages/{id}/events`, at once or as it happens. */
export function messageEventRoutes(scope: FastifyInstance, api: Api, limits: StreamLimits): void {
  const streams = new Set<AbortController>();
  scope.addHook('preClose', async () => {
    for (const stop of streams) stop.abort();
  });

  scope.withTypeProvider<FastifyZodOpenApiTypeProvider>().get('/messages/:id/events', {
    config: { permissions: ['read', 'operate'], mayWait: wantsStream },
    schema: eventsSchema(),
    validatorCompiler: () => unchecked,
    handler: async (request, reply) => {
      const { id } = request.params;
      const events = isMessageId(id) ? await api.timeline(callerOf(request), id) : undefined;
      if (!events) return sendProblem(reply, 'message_not_found');
      reply.header('vary', 'accept');
      if (!wantsStream(request)) return reply.send({ events });
      const after = lastEventId(request, lastNumber(events));
      if (isOver(events) && after >= lastNumber(events)) return reply.code(204).send();
      const { signal } = openStream(streams, reply, limits.streamMilliseconds);
      const { heartbeatMilliseconds } = limits;
      const following = { after, heartbeatMilliseconds, retryMilliseconds: comeBackAfter(Math.random()), signal };
      const text = streamEvents(api, callerOf(request), id, following);
      // Proxies of the nginx family hold answers back unless told not to.
      return reply
        .headers({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
        .send(Readable.from(text));
    },
  });
}

/**
 * Between one and three seconds: when a process stops, all its readers come back, and need not do so at once.
 *
 * @param chance from 0 to 1
 */
function comeBackAfter(chance: number): number {
  return 1_000 + Math.round(2_000 * chance);
}

function wantsStream({ headers }: FastifyRequest): boolean {
  return /\btext\/event-stream(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(headers.accept ?? '');
}

/** What is no number of this timeline counts as nothing seen; else its reader would wait for events for ever. */
function lastEventId({ headers }: FastifyRequest, latest: number): number {
  const given = headers['last-event-id'];
  const number = typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : 0;
  return number > latest ? 0 : number;
}

function lastNumber(events: readonly TimelineEvent[]): number {
  return events.at(-1)?.number ?? 0;
}

/** Ends with its reader, with the server, or when its time is over; if need be by force. */
function openStream(streams: Set<AbortController>, reply: FastifyReply, milliseconds: number): AbortController {
  const stop = new AbortController();
  streams.add(stop);
  const over = setTimeout(() => stop.abort(), milliseconds);
  let force: NodeJS.Timeout | undefined;
  stop.signal.addEventListener('abort', () => {
    force = setTimeout(() => reply.raw.destroy(), GRACE_MILLISECONDS);
  });
  reply.raw.once('close', () => {
    stop.abort();
    clearTimeout(over);
    clearTimeout(force);
    streams.delete(stop);
  });
  return stop;
}
