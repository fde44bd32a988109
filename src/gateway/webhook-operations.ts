import type { Caller } from './api.ts';
import { eventId } from './relay.ts';
import { rfc3339 } from './view.ts';
import {
  type Call,
  type Delivery,
  type DeliveryJob,
  secretsAt,
  type Webhook,
  type WebhookStore,
  wants,
} from './webhook.ts';
import type { DeliveryView, Replay, ReplayWish, WebhookApi, WebhookView } from './webhook-api.ts';

export interface WebhookTools {
  webhooks: WebhookStore;
  call: Call;
  /** Why this address may not be called, in a sentence; undefined if it may. */
  objection(url: string): Promise<string | undefined>;
  enqueue(webhookId: string, job: DeliveryJob): Promise<void>;
  /** Forgets what waits for an endpoint that is gone. */
  drop(webhookId: string): Promise<void>;
  newId(): string;
  newSecret(): string;
  /** How many moves a message has made, if it is this caller's. */
  revisionOf(caller: Caller, messageId: string): Promise<number | undefined>;
}

/** Others cannot be ours and are not looked up. */
const ID = /^wh_[A-Za-z0-9-]{1,64}$/;
const MOST_OF_ONE_CALLER = 20;
/** Secrets that sign at a time; each rotation drops the oldest beyond. */
const MOST_SECRETS = 3;
/** What one replay tells at most. */
const MOST_REPLAYED = 1_000;

/** All that a caller can do about its webhooks. */
export function webhookApi(tools: WebhookTools): WebhookApi {
  const { webhooks } = tools;
  async function own(caller: Caller, id: string): Promise<Webhook | undefined> {
    const found = ID.test(id) ? await webhooks.find(id) : undefined;
    return found?.callerId === caller.id ? found : undefined;
  }
  const read = async (caller: Caller, id: string) => {
    const found = await own(caller, id);
    return found && viewWebhook(found, await webhooks.now());
  };
  return {
    async create(caller, { url, events, description }) {
      const errors = await errorsOf(tools, url);
      if (errors.length > 0) return { kind: 'refused', errors };
      if ((await webhooks.ofCaller(caller.id)).length >= MOST_OF_ONE_CALLER)
        return { kind: 'tooMany', limit: MOST_OF_ONE_CALLER };
      const secret = tools.newSecret();
      const createdAt = await webhooks.now();
      const made = { id: tools.newId(), callerId: caller.id, url, description, events, createdAt, failures: 0 };
      const webhook: Webhook = { ...made, secrets: [{ secret }] };
      await webhooks.create(webhook);
      return { kind: 'created', webhook: viewWebhook(webhook, createdAt), secret };
    },
    async list(caller) {
      const now = await webhooks.now();
      return (await webhooks.ofCaller(caller.id)).map((each) => viewWebhook(each, now));
    },
    read,
    async change(caller, id, wish) {
      if (!(await own(caller, id))) return undefined;
      const errors = wish.url === undefined ? [] : await errorsOf(tools, wish.url);
      if (errors.length > 0) return { kind: 'refused', errors };
      await webhooks.change(id, wish);
      const webhook = await read(caller, id);
      return webhook && { kind: 'changed', webhook };
    },
    async remove(caller, id) {
      if (!(await own(caller, id))) return false;
      await webhooks.remove(id, caller.id);
      // What is left in its queue finds no endpoint and is dropped.
      await tools.drop(id).catch(() => undefined);
      return true;
    },
    async rotate(caller, id, overlapSeconds) {
      const found = await own(caller, id);
      if (!found) return undefined;
      const now = await webhooks.now();
      const secret = tools.newSecret();
      const validUntil = now + overlapSeconds * 1_000;
      const older = found.secrets
        .filter((each) => each.validUntil === undefined || each.validUntil > now)
        .map((each) => ({ ...each, validUntil: Math.min(each.validUntil ?? validUntil, validUntil) }));
      if (!(await webhooks.change(id, { secrets: [{ secret }, ...older].slice(0, MOST_SECRETS) }))) return undefined;
      return { secret, previousSecretValidUntil: rfc3339(validUntil) };
    },
    async test(caller, id) {
      const found = await own(caller, id);
      return found && ping(tools, found);
    },
    async replay(caller, id, wish) {
      const found = await own(caller, id);
      return found && replay(tools, caller, found, wish);
    },
    async deliveries(caller, id, limit) {
      if (!(await own(caller, id))) return undefined;
      return (await webhooks.deliveries(id, limit)).map(viewDelivery);
    },
  };
}

async function errorsOf({ objection }: WebhookTools, url: string) {
  const message = await objection(url);
  return message === undefined ? [] : [{ pointer: '/url', message }];
}

/** Neither kept nor repeated, and no part of the endpoint's record: it tells of no message. */
async function ping({ webhooks, call }: WebhookTools, webhook: Webhook) {
  const now = await webhooks.now();
  const at = new Date();
  const id = eventId(`test_${webhook.id}`, at.getTime());
  const body = JSON.stringify({ type: 'webhook.test', timestamp: rfc3339(now), data: { webhookId: webhook.id } });
  const { retryAfterMilliseconds: _, ...result } = await call({
    ...{ url: webhook.url, eventId: id, secrets: secretsAt(webhook, now), body, at },
  });
  return {
    eventId: id,
    outcome: result.reason === undefined ? ('delivered' as const) : ('failed' as const),
    ...result,
  };
}

async function replay(tools: WebhookTools, caller: Caller, webhook: Webhook, wish: ReplayWish): Promise<Replay> {
  if (webhook.disabled) return { kind: 'disabled' };
  const ids = await eventsOf(tools, caller, wish);
  const run = `r${(await tools.webhooks.now()).toString(36)}`;
  let events = 0;
  let lastAt: number | undefined;
  for (const id of ids.slice(0, MOST_REPLAYED)) {
    const event = await tools.webhooks.event(id);
    lastAt = event?.at ?? lastAt;
    if (event?.callerId !== webhook.callerId || !wants(webhook, event)) continue;
    await tools.enqueue(webhook.id, { eventId: id, attempt: 1, run });
    events += 1;
  }
  const more = ids.length > MOST_REPLAYED;
  return { kind: 'replayed', events, more, ...(more && lastAt !== undefined && { lastAt: rfc3339(lastAt) }) };
}

async function eventsOf({ webhooks, revisionOf }: WebhookTools, caller: Caller, wish: ReplayWish): Promise<string[]> {
  if ('since' in wish)
    return webhooks.eventsBetween(caller.id, wish.since, wish.until ?? Number.MAX_SAFE_INTEGER, MOST_REPLAYED + 1);
  const revision = (await revisionOf(caller, wish.messageId)) ?? 0;
  const first = Math.max(1, revision - MOST_REPLAYED + 1);
  return Array.from({ length: Math.max(0, revision - first + 1) }, (_, i) => eventId(wish.messageId, first + i));
}

function viewWebhook(webhook: Webhook, now: number): WebhookView {
  const { id, url, description, events, disabled, createdAt, lastSuccessAt, lastFailure, failures } = webhook;
  const previous = webhook.secrets[1]?.validUntil;
  return {
    ...{ id, url, description, events },
    state: disabled ? 'disabled' : 'active',
    ...(disabled && { disabledBecause: disabled.because, disabledAt: rfc3339(disabled.at) }),
    createdAt: rfc3339(createdAt),
    ...(lastSuccessAt !== undefined && { lastSuccessAt: rfc3339(lastSuccessAt) }),
    ...(lastFailure && { lastFailure: { ...lastFailure, at: rfc3339(lastFailure.at) } }),
    consecutiveFailures: failures,
    ...(previous !== undefined && previous > now && { previousSecretValidUntil: rfc3339(previous) }),
  };
}

function viewDelivery({ at, nextAttemptAt, ...rest }: Delivery): DeliveryView {
  return { at: rfc3339(at), ...rest, ...(nextAttemptAt !== undefined && { nextAttemptAt: rfc3339(nextAttemptAt) }) };
}
