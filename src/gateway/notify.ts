import {
  type Call,
  type CallResult,
  type Delivery,
  type DeliveryJob,
  type EndOfKey,
  secretsAt,
  type Webhook,
  type WebhookEvent,
  type WebhookStore,
} from './webhook.ts';

export interface NotifyTools {
  webhooks: WebhookStore;
  call: Call;
  endOf: EndOfKey;
  /** How long to wait after the first, second … failed try; after the last one the event is given up. */
  retryMilliseconds: readonly number[];
  /** An endpoint whose every try has failed for so long is disabled. */
  disableAfterMilliseconds: number;
  now(): Date;
  random(): number;
  log: { info(fields: object, sentence: string): void; warn(fields: object, sentence: string): void };
}

/** No answer makes us wait longer. */
const LONGEST_RETRY_AFTER = 24 * 3_600_000;
/** Tries that failed together are spread, each by up to this part of its wait. */
const JITTER = 0.2;

/**
 * One try to tell an event to an endpoint. What is disabled, deleted or not kept any more is dropped, and so is what its
 * caller may not be told any more because its key has ended.
 *
 * @returns milliseconds until the next try; undefined when this job is over
 * @throws what the store throws; then the try may be made again
 */
export async function notify(tools: NotifyTools, webhookId: string, job: DeliveryJob): Promise<number | undefined> {
  const [webhook, event] = await Promise.all([tools.webhooks.find(webhookId), tools.webhooks.event(job.eventId)]);
  if (!webhook || webhook.disabled || !event) return undefined;
  if (await tools.endOf(webhook.callerId)) return undefined;
  const at = tools.now();
  const { url } = webhook;
  const secrets = secretsAt(webhook, at.getTime());
  const result = await tools.call({ url, eventId: event.id, secrets, body: event.body, at });
  const wait = waitAfter(tools, result, job.attempt);
  const delivery = deliveryOf(event, job.attempt, at.getTime(), result, wait);
  const disabled = await tools.webhooks.note(webhookId, delivery, tools.disableAfterMilliseconds);
  tell(tools, webhook, delivery);
  if (disabled) tools.log.warn({ webhookId, callerId: webhook.callerId, because: disabled }, 'Webhook disabled');
  return disabled ? undefined : wait;
}

function waitAfter({ retryMilliseconds, random }: NotifyTools, result: CallResult, attempt: number) {
  if (result.reason === undefined || result.httpStatus === 410) return undefined;
  const planned = retryMilliseconds[attempt - 1];
  if (planned === undefined) return undefined;
  const asked = Math.min(result.retryAfterMilliseconds ?? 0, LONGEST_RETRY_AFTER);
  return Math.round(Math.max(planned, asked) * (1 + JITTER * random()));
}

function deliveryOf(
  { id: eventId, type, messageId }: WebhookEvent,
  attempt: number,
  at: number,
  { httpStatus, reason, response, durationMilliseconds }: CallResult,
  wait: number | undefined,
): Delivery {
  return {
    ...{ at, eventId, type, messageId, attempt, outcome: reason === undefined ? 'delivered' : 'failed' },
    ...(httpStatus !== undefined && { httpStatus }),
    ...(reason !== undefined && { reason }),
    ...(response && { response }),
    durationMilliseconds,
    ...(wait !== undefined && { nextAttemptAt: at + durationMilliseconds + wait }),
  };
}

/** Neither the URL nor what it answered: both may hold what is not ours to keep in a log. */
function tell({ log }: NotifyTools, { id: webhookId }: Webhook, delivery: Delivery): void {
  const { messageId, eventId, attempt, httpStatus, reason, nextAttemptAt } = delivery;
  const fields = { messageId, webhookId, eventId, attempt, httpStatus, reason };
  if (delivery.outcome === 'delivered') log.info(fields, 'Webhook delivered');
  else log.warn(fields, nextAttemptAt ? 'Webhook failed; tried again later' : 'Webhook failed for good');
}
