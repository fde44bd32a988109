import type { FastifyInstance, FastifyReply } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import type { Api } from '../gateway/api.ts';
import type { MessagePreview } from '../gateway/preview.ts';
import type { Submission } from '../mail/message.ts';
import { callerOf } from './auth.ts';
import { BODY_EXAMPLES } from './document.ts';
import { type ExampleAddresses, queued, sendExamples } from './examples.ts';
import { problemResponses } from './problem-responses.ts';
import { refusalOf } from './refusal.ts';
import { messagePreview } from './schemas/preview.ts';
import { sendBody } from './schemas/send-raw.ts';
import { sendBodyValidator } from './send-body.ts';
import { unchecked } from './validation.ts';

/** `POST /v1/messages/validate`: all that accepting a message checks, without accepting it. */
export function messageValidationRoutes(
  scope: FastifyInstance,
  api: Pick<Api, 'preview'>,
  now: () => number,
  addresses: ExampleAddresses,
): void {
  const check = sendBodyValidator(now);
  scope.withTypeProvider<FastifyZodOpenApiTypeProvider>().post('/messages/validate', {
    config: { permissions: ['send'], holdsMessages: true },
    schema: validateSchema(addresses),
    validatorCompiler: ({ httpPart }) => (httpPart === 'body' ? check : unchecked),
    handler: async (request, reply) => {
      const outcome = await api.preview(callerOf(request), request.body as Submission);
      if (outcome.kind === 'refused') throw refusalOf(outcome);
      return sendPreview(reply, outcome.preview);
    },
  });
}

function sendPreview(reply: FastifyReply, preview: MessagePreview): FastifyReply {
  return reply.send(preview);
}

function validateSchema(addresses: ExampleAddresses) {
  return {
    tags: ['Messages'],
    operationId: 'validateMessage',
    summary: 'Check a message without sending it',
    description:
      'A dry run: the body of `POST /v1/messages` is judged, its mailbox chosen and the message put together, but nothing is accepted, kept or sent. What would be refused there is refused here, with the same answer. An `Idempotency-Key` is not looked at.\n\nOnly what is known beforehand is told: whether the recipients exist, Microsoft says when it is sent.',
    body: {
      required: true,
      content: { 'application/json': { schema: sendBody } },
    },
    [BODY_EXAMPLES]: sendExamples(addresses),
    response: {
      200: {
        description: 'It would be accepted.',
        content: { 'application/json': { schema: messagePreview, examples: previewExample(addresses) } },
      },
      ...problemResponses(
        'invalid_json',
        'body_too_large',
        'message_too_large',
        'overloaded',
        'unsupported_media_type',
        'invalid_fields',
        'body_too_complex',
        'precondition_failed',
        'sender_not_allowed',
        'from_not_allowed',
        'recipient_not_allowed',
        'mailbox_not_allowed',
        'too_many_recipients',
        'message_refused',
      ),
    },
  };
}

function previewExample(addresses: ExampleAddresses) {
  const { mailbox, recipients, sizeBytes, estimatedSendAt } = queued(addresses);
  const value = {
    ...{ status: 'queued', mailbox, recipients: recipients.map(({ address }) => address), sizeBytes },
    estimatedSendAt,
  };
  return { queued: { summary: 'It would be sent next', value } };
}
