import type { SwaggerTransformObject } from '@fastify/swagger';
import { EVENT_TYPES } from '../gateway/webhook.ts';
import { STATUSES, type Status } from '../mail/status.ts';
import { readExamples } from './examples.ts';

type Document = ReturnType<SwaggerTransformObject>;

const HEADERS = {
  'webhook-id': 'Of the event: the same for every try and every replay of it, so that you can tell a repetition.',
  'webhook-timestamp': 'When this try was made, in seconds since 1970. Refuse what is older than some minutes.',
  'webhook-signature':
    'One or more signatures separated by spaces, each `v1,` and the base64 of the HMAC-SHA-256 of `{webhook-id}.{webhook-timestamp}.{body}`. One of them must be yours.',
};

const DESCRIPTION = `Signed and named as [Standard Webhooks](https://www.standardwebhooks.com) has it: its libraries verify it in any language.

Answer with any 2xx within 15 seconds and do your work afterwards. Anything else is tried again for two days; 410 ends it. An event may come twice (the same \`webhook-id\`) and after a later one (see \`timestamp\`).`;

/**
 * The part of the document that tells what Postroom sends (OpenAPI 3.1 §4.8.1, \`webhooks\`). The tool that collects
 * routes knows nothing of it, and it reuses their schemas.
 */
export function withWebhooks(document: Document): Document {
  const whole = document as Document & { webhooks?: object; components?: { schemas?: Record<string, unknown> } };
  if (!whole.components?.schemas?.Message) return document;
  whole.components.schemas.WebhookEvent = eventSchema();
  whole.webhooks = Object.fromEntries(EVENT_TYPES.map((type) => [type, { post: operationOf(type) }]));
  return document;
}

function eventSchema() {
  return {
    type: 'object',
    description: 'A change of a message. Members may be added.',
    properties: {
      type: { $ref: '#/components/schemas/WebhookEventType' },
      timestamp: { type: 'string', format: 'date-time', description: 'When the message changed.' },
      data: {
        allOf: [{ $ref: '#/components/schemas/Message' }],
        description: 'The message as GET gives it, as it stood then.',
      },
    },
    required: ['type', 'timestamp', 'data'],
  };
}

function operationOf(type: string) {
  const status = type.slice('message.'.length) as Status;
  const examples: Record<string, { value: { updatedAt: string } }> = readExamples();
  const data = examples[status]?.value;
  const example = data && { examples: { [status]: { value: { type, timestamp: data.updatedAt, data } } } };
  return {
    operationId: `on${status[0]?.toUpperCase()}${status.slice(1)}`,
    tags: ['Webhooks'],
    summary: `A message became ${status}`,
    description: `${STATUSES[status]}\n\n${DESCRIPTION}`,
    security: [],
    parameters: Object.entries(HEADERS).map(([name, description]) => ({
      ...{ name, in: 'header', required: true, description },
      schema: { type: 'string' },
    })),
    requestBody: {
      required: true,
      content: { 'application/json': { schema: { $ref: '#/components/schemas/WebhookEvent' }, ...example } },
    },
    responses: {
      '2XX': { description: 'You have it.' },
      '4XX': { description: 'Tried again; 410: the webhook is disabled at once; 429: not before `Retry-After`.' },
      '5XX': { description: 'Tried again; 503: not before `Retry-After`.' },
    },
  };
}
