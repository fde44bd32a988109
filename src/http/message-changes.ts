import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import { z } from 'zod';
import type { Api, Change } from '../gateway/api.ts';
import type { Status } from '../mail/status.ts';
import { callerOf } from './auth.ts';
import { weakEtag } from './etag.ts';
import { sendProblem } from './problem.ts';
import { ANY_BODY, problemResponses } from './problem-responses.ts';
import { etagHeader, message } from './schemas/message.ts';
import { bodyValidator, invalidFields, unchecked } from './validation.ts';

const params = z.object({ id: z.string().meta({ description: 'The `id` of the message.' }) });
/** Made anew for each, since @fastify/swagger changes the headers it is given. */
const aMessage = () => ({
  description: 'The message as it is now.',
  headers: etagHeader(),
  content: { 'application/json': { schema: message } },
});
const senders = { permissions: ['send', 'operate'] } as const;

const resolution = z
  .strictObject({
    outcome: z
      .enum(['sent', 'failed'], { error: 'Say "sent" or "failed".' })
      .meta({ description: 'What was found out.', example: 'sent' }),
  })
  .meta({ id: 'Resolution' });

/** What a person can do to a message: cancel it, have it sent again, or say what became of it. */
export function messageChangeRoutes(scope: FastifyInstance, api: Api): void {
  const routes = scope.withTypeProvider<FastifyZodOpenApiTypeProvider>();

  routes.post('/messages/:id/cancel', {
    config: senders,
    schema: {
      tags: ['Messages'],
      operationId: 'cancelMessage',
      summary: 'Cancel a message',
      description:
        'Either it is canceled and never sent, or the answer is 409: an attempt is running, or all is over. One that was to be sent again, since nobody knows whether it had arrived, is `unconfirmed` instead, and is not sent again.',
      params,
      response: { 200: aMessage(), ...problemResponses(...ANY_BODY, 'message_not_found', 'too_late') },
    },
    validatorCompiler: () => unchecked,
    handler: async (request, reply) =>
      sendChanged(api, request, reply, await api.cancel(callerOf(request), request.params.id)),
  });

  routes.post('/messages/:id/retry', {
    config: senders,
    schema: {
      tags: ['Messages'],
      operationId: 'retryMessage',
      summary: 'Send a failed or unconfirmed message again',
      description:
        'The same bytes, to the recipients that were not accepted; all of these must be among those that you may send to. An unconfirmed message may arrive twice; every copy has the same Message-ID and Date.',
      params,
      response: {
        200: aMessage(),
        ...problemResponses(...ANY_BODY, 'recipient_not_allowed', 'message_not_found', 'too_late', 'content_gone'),
      },
    },
    validatorCompiler: () => unchecked,
    handler: async (request, reply) =>
      sendChanged(api, request, reply, await api.retry(callerOf(request), request.params.id), RETRIES),
  });

  const checkResolution = bodyValidator(resolution, { fieldNames: () => ['outcome'], wholeErrors: () => [] });
  routes.post('/messages/:id/resolve', {
    config: senders,
    schema: {
      tags: ['Messages'],
      operationId: 'resolveMessage',
      summary: 'Say what became of an unconfirmed message',
      description:
        'For a person who has looked into Sent Items or the message trace. It is about the recipients that are ' +
        '`unconfirmed`; if others were refused for now, the message is `queued` again for them.',
      params,
      body: { required: true, content: { 'application/json': { schema: resolution } } },
      response: {
        200: aMessage(),
        ...problemResponses(...ANY_BODY, 'invalid_fields', 'message_not_found', 'too_late'),
      },
    },
    validatorCompiler: ({ httpPart }) => (httpPart === 'body' ? checkResolution : unchecked),
    handler: async (request, reply) =>
      sendChanged(
        api,
        request,
        reply,
        await api.resolve(callerOf(request), request.params.id, request.body.outcome),
        RESOLVES,
      ),
  });
}

const RETRIES = 'only a failed or unconfirmed one can be sent again.';
const RESOLVES = 'only an unconfirmed one can be resolved.';

/** @param rule why it is not done where it is too late, as the second half of a sentence */
export async function sendChanged(
  api: Api,
  request: FastifyRequest<{ Params: { id: string } }>,
  reply: FastifyReply,
  change: Change,
  rule = 'it is too late for that.',
): Promise<FastifyReply> {
  if (change.kind === 'tooLate') {
    const messageStatus = await asRead(api, request, change.status);
    return sendProblem(reply, 'too_late', { detail: `The message is ${messageStatus}: ${rule}`, messageStatus });
  }
  if (change.kind === 'unfit') throw invalidFields(change.errors);
  if (change.kind === 'barred') return sendProblem(reply, 'recipient_not_allowed', { detail: change.reason });
  if (change.kind === 'contentGone') return sendProblem(reply, 'content_gone');
  const reading = change.kind === 'changed' ? await api.read(callerOf(request), request.params.id) : undefined;
  if (!reading) return sendProblem(reply, 'message_not_found');
  return reply.header('etag', weakEtag(reading.etag)).send(reading.message);
}

/** What waits in a held mailbox reads as `held`, and should not be called otherwise here. */
async function asRead(api: Api, request: FastifyRequest<{ Params: { id: string } }>, status: Status): Promise<Status> {
  if (status !== 'queued' && status !== 'deferred') return status;
  const reading = await api.read(callerOf(request), request.params.id);
  return reading?.message.status === 'held' ? 'held' : status;
}
