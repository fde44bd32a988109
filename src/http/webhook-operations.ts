import { z } from 'zod';
import { BODY_EXAMPLES } from './document.ts';
import { ANY_BODY, problemResponses } from './problem-responses.ts';
import {
  createdWebhook,
  deliveriesQuery,
  deliveryList,
  listQuery,
  newWebhook,
  replayed,
  replayRequest,
  rotatedSecret,
  rotateRequest,
  testResult,
  webhook,
  webhookList,
  webhookPatch,
} from './schemas/webhook.ts';

// The document's side of http/webhooks. Made anew for every server, which each note in it what they have made of it.

const tags = ['Webhooks'];
const params = z.object({ id: z.string().meta({ description: 'The `id` of the webhook.' }) });
const json = <Schema extends z.ZodType>(schema: Schema) => ({ 'application/json': { schema } });
const aWebhook = () => ({ description: 'The webhook.', content: json(webhook) });
const URL = 'https://example.com/hooks/postroom';
const WRONG_BODY = [...ANY_BODY, 'invalid_fields'] as const;

export const createSchema = () => ({
  tags,
  operationId: 'createWebhook',
  summary: 'Register a webhook',
  description:
    'From now on this address is told of every change of the messages that you submit, by a signed POST. Messages accepted before are not told of. The answer holds the secret with which to verify; it is shown this once.',
  body: { required: true, content: json(newWebhook) },
  [BODY_EXAMPLES]: {
    all: { summary: 'Told of all but the beginning of attempts', value: { url: URL } },
    failures: {
      summary: 'Told of what went wrong',
      value: { url: URL, events: ['message.failed', 'message.partiallySent', 'message.unconfirmed'] },
    },
  },
  response: {
    201: {
      description: 'Registered.',
      headers: { Location: { type: 'string', description: 'Path of the webhook.' } },
      content: json(createdWebhook),
    },
    ...problemResponses(...WRONG_BODY, 'too_many_webhooks'),
  },
});

export const listSchema = () => ({
  tags,
  operationId: 'listWebhooks',
  summary: 'List your webhooks',
  description: 'Oldest first, each with how it fares. An operator can ask for those of another caller, or of all.',
  querystring: listQuery,
  response: { 200: { description: 'All of them.', content: json(webhookList) }, ...problemResponses() },
});

export const readSchema = () => ({
  tags,
  operationId: 'getWebhook',
  summary: 'Read a webhook',
  description: 'Its settings, its state, its last success and its last failure. An operator can read everybody’s.',
  params,
  response: { 200: aWebhook(), ...problemResponses('webhook_not_found') },
});

export const changeSchema = () => ({
  tags,
  operationId: 'updateWebhook',
  summary: 'Change a webhook',
  description:
    'Only what is given changes. An operator can set `disabled` of everybody’s; what an operator has disabled, its caller cannot enable.',
  params,
  body: { required: true, content: json(webhookPatch) },
  [BODY_EXAMPLES]: {
    start: { summary: 'Start it again', value: { disabled: false } },
    move: { summary: 'Move it', value: { url: URL } },
  },
  response: { 200: aWebhook(), ...problemResponses(...WRONG_BODY, 'webhook_not_found', 'webhook_disabled') },
});

export const removeSchema = () => ({
  tags,
  operationId: 'deleteWebhook',
  summary: 'Delete a webhook',
  description: 'It is told nothing any more; what waits for it is dropped. An operator can delete everybody’s.',
  params,
  response: { 204: { description: 'Deleted.' }, ...problemResponses(...ANY_BODY, 'webhook_not_found') },
});

export const rotateSchema = () => ({
  tags,
  operationId: 'rotateWebhookSecret',
  summary: 'Make a new secret',
  description:
    'For a day, or as long as you say, calls carry two signatures, one by each secret, so that receivers can change over without missing any.',
  params,
  body: { required: false, content: json(rotateRequest) },
  response: {
    200: { description: 'The new secret.', content: json(rotatedSecret) },
    ...problemResponses(...WRONG_BODY, 'webhook_not_found'),
  },
});

export const testSchema = () => ({
  tags,
  operationId: 'testWebhook',
  summary: 'Try a webhook out',
  description: 'One call at once, of type `webhook.test`. The answer says what came of it, within 15 seconds.',
  params,
  response: {
    200: { description: 'What came of it.', content: json(testResult) },
    ...problemResponses(...ANY_BODY, 'webhook_not_found'),
  },
});

export const replaySchema = () => ({
  tags,
  operationId: 'replayWebhook',
  summary: 'Tell events again',
  description:
    'The events of one message, or of a time, with the `webhook-id` and the body that they had; at most 1,000 at once. Events are kept for three days unless the operator says otherwise.',
  params,
  body: { required: true, content: json(replayRequest) },
  [BODY_EXAMPLES]: {
    since: { summary: 'All from a time on', value: { since: '2026-01-31T09:30:00Z' } },
    message: { summary: 'Those of one message', value: { messageId: 'msg_01m84xrb34zmpnzaa9kdknmj8n' } },
  },
  response: {
    200: { description: 'They are on their way.', content: json(replayed) },
    ...problemResponses(...WRONG_BODY, 'webhook_not_found', 'webhook_disabled'),
  },
});

export const deliveriesSchema = () => ({
  tags,
  operationId: 'listWebhookDeliveries',
  summary: 'List the latest tries',
  description: 'What was told when, what came of it, and when it is tried again.',
  params,
  querystring: deliveriesQuery,
  response: {
    200: { description: 'The latest.', content: json(deliveryList) },
    ...problemResponses('webhook_not_found'),
  },
});
