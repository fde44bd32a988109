import { z } from 'zod';
import { EVENT_TYPES, type EventType, USUAL_EVENTS } from '../../gateway/webhook.ts';
import { characterUnfitForLine } from '../../mail/characters.ts';
import { checkedBy } from './checked-by.ts';
import { time } from './message.ts';
import { withoutPattern } from './time.ts';

const MAX_DESCRIPTION = 200;
const WEEK_SECONDS = 7 * 86_400;
const DAY_SECONDS = 86_400;
const MAX_DELIVERIES = 100;
const OVERLAP = `This must be a whole number of seconds from 0 to ${WEEK_SECONDS}.`;

const eventType = z.enum(EVENT_TYPES as [EventType, ...EventType[]]).meta({
  id: 'WebhookEventType',
  description: 'One for each status to which a message can move; see Status.',
});

const url = z.string().min(1, { error: 'This must be a URL.' }).max(2_048).meta({
  description: 'Where events are POSTed: an `https` URL of a public host, without user name and password.',
  example: 'https://example.com/hooks/postroom',
});
const events = z
  .array(eventType)
  .min(1, { error: 'Name at least one type of event; to get none, disable or delete the webhook.' })
  .max(EVENT_TYPES.length)
  .transform((types) => [...new Set(types)]);
const description = z.string().max(MAX_DESCRIPTION).superRefine(checkedBy(unfitDescription));
const describedAs = { description: `For people; at most ${MAX_DESCRIPTION} characters in one line.` };

export const newWebhook = z
  .strictObject({
    url,
    events: events.default(USUAL_EVENTS).meta({ description: 'All but `message.sending` if absent.' }),
    description: description.default('').meta(describedAs),
  })
  .meta({ id: 'NewWebhook' });

export const webhookPatch = z
  .strictObject({
    url: url.optional(),
    events: events.optional(),
    description: description.optional().meta(describedAs),
    disabled: z.boolean().optional().meta({
      description: '`true` stops it, what waits for it is dropped; `false` starts it again, whatever had disabled it.',
    }),
  })
  .meta({ id: 'WebhookPatch' });

export const rotateRequest = z
  .strictObject({
    overlapSeconds: z
      .int()
      .min(0, { error: OVERLAP })
      .max(WEEK_SECONDS, { error: OVERLAP })
      .default(DAY_SECONDS)
      .meta({ description: 'How long the old secret signs beside the new one; a day if absent.' }),
  })
  .meta({ id: 'RotateWebhookSecret' });

const moment = z.iso
  .datetime({
    offset: true,
    precision: null,
    error: 'This must be a time with seconds and an offset, as in 2026-01-31T09:30:00Z (RFC 3339).',
  })
  .meta({ override: withoutPattern });

export const replayRequest = z
  .strictObject({
    messageId: z.string().max(64).optional().meta({ description: 'All events of this message.' }),
    since: moment.optional().meta({ description: 'Or all events from this time on.' }),
    until: moment.optional().meta({ description: 'And up to this one; now if absent.' }),
  })
  .superRefine(({ messageId, since, until }, context) => {
    if ((messageId === undefined) === (since === undefined))
      context.addIssue({ code: 'custom', message: 'Give either messageId or since.' });
    if (until !== undefined && since === undefined)
      context.addIssue({ code: 'custom', path: ['until'], message: 'until goes with since.' });
  })
  .meta({ id: 'ReplayWebhook' });

const DELIVERIES = `This must be a whole number from 1 to ${MAX_DELIVERIES}.`;
export const deliveriesQuery = z.strictObject({
  limit: z.coerce
    .number({ error: DELIVERIES })
    .int({ error: DELIVERIES })
    .min(1, { error: DELIVERIES })
    .max(MAX_DELIVERIES, { error: DELIVERIES })
    .default(50)
    .meta({ description: `How many; at most ${MAX_DELIVERIES} are kept.` }),
});

export const listQuery = z.strictObject({
  caller: z.string().min(1).max(128).optional().meta({
    description: 'For `operate`: the webhooks of this caller (the `id` of a key, say), or `all`. Your own if absent.',
  }),
});

const reason = z.string().meta({ description: 'Why it was no success, in words.' });
const httpStatus = z.int().optional().meta({ description: 'What it answered, if it did.' });

export const webhook = z
  .looseObject({
    id: z.string(),
    url: z.string(),
    description: z.string(),
    events: z.array(eventType),
    state: z.enum(['active', 'disabled']),
    callerId: z.string().optional().meta({ description: 'Whose it is; absent where it is your own.' }),
    disabledBecause: z.enum(['byCaller', 'byOperator', 'gone', 'failing', 'keyRevoked', 'keyExpired']).optional().meta({
      description:
        'Its caller disabled it; an operator did; it answered 410 Gone; every try had failed for days; or its caller’s key was revoked, or has expired.',
    }),
    disabledAt: time.optional(),
    createdAt: time,
    lastSuccessAt: time.optional(),
    lastFailure: z.looseObject({ at: time, httpStatus, reason }).optional(),
    consecutiveFailures: z.int().meta({ description: 'Failed tries since the last success.' }),
    dropped: z
      .looseObject({
        events: z.int().meta({ description: 'How many since it was made.' }),
        lastAt: time.meta({ description: 'When the last of them was dropped.' }),
      })
      .optional()
      .meta({
        description:
          'Events that it was never told, because too many waited, for it or for a worker, or for too long; absent where there were none.',
      }),
    previousSecretValidUntil: time.optional().meta({ description: 'Until then the secret before signs as well.' }),
  })
  .meta({ id: 'Webhook', description: 'An address that is told of every change of its caller’s messages.' });

const secret = z.string().meta({ description: 'Shown this once. `whsec_` and base64, as Standard Webhooks has it.' });
export const createdWebhook = z.looseObject({ ...webhook.shape, secret }).meta({ id: 'CreatedWebhook' });
export const webhookList = z.looseObject({ webhooks: z.array(webhook) }).meta({ id: 'WebhookList' });
export const rotatedSecret = z
  .looseObject({ secret, previousSecretValidUntil: time })
  .meta({ id: 'RotatedWebhookSecret' });

const outcome = {
  outcome: z.enum(['delivered', 'failed']),
  httpStatus,
  reason: reason.optional(),
  response: z.string().optional().meta({ description: 'The first 200 characters of what it answered.' }),
  durationMilliseconds: z.int(),
};
export const testResult = z.looseObject({ eventId: z.string(), ...outcome }).meta({ id: 'WebhookTestResult' });
export const replayed = z
  .looseObject({
    events: z.int().meta({ description: 'How many events are on their way again.' }),
    more: z.boolean().meta({ description: 'There are others: ask again with `lastAt` as `since`.' }),
    lastAt: time.optional().meta({ description: 'Time of the last one, if there are more.' }),
  })
  .meta({ id: 'WebhookReplay' });

const delivery = z
  .looseObject({
    at: time,
    eventId: z.string().meta({ description: 'The header `webhook-id`.' }),
    type: eventType,
    messageId: z.string(),
    attempt: z.int().meta({ description: 'Counts from 1; a replay begins anew.' }),
    ...outcome,
    nextAttemptAt: time.optional().meta({ description: 'When it is tried again; absent where it is not.' }),
  })
  .meta({ id: 'WebhookDelivery', description: 'One try to tell one event.' });
export const deliveryList = z
  .looseObject({ deliveries: z.array(delivery).meta({ description: 'Newest first.' }) })
  .meta({ id: 'WebhookDeliveryList' });

function unfitDescription(text: string): string | undefined {
  const unfit = characterUnfitForLine(text);
  return unfit && `The description contains ${unfit}; remove it.`;
}
