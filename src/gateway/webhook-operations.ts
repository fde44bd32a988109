import type { Caller } from './api.ts';
import type { KeyEnd } from './api-key.ts';
import { eventId, MOST_WAITING } from './relay.ts';
import { rfc3339 } from './view.ts';
import {
  type Call,
  type Delivery,
  type DeliveryJob,
  type EndOfKey,
  secretsAt,
  type Webhook,
  type WebhookSecret,
  type WebhookStore,
  wants,
} from './webhook.ts';
import {
  type DeliveryView,
  EVERYBODY,
  type NewWebhook,
  type Replay,
  type ReplayWish,
  type WebhookApi,
  type WebhookView,
} from './webhook-api.ts';

export interface WebhookTools {
  webhooks: WebhookStore;
  call: Call;
  /** Why this address may not be called, in a sentence; undefined if it may. */
  objection(url: string): Promise<string | undefined>;
  endOf: EndOfKey;
  enqueue(webhookId: string, job: DeliveryJob): Promise<void>;
  /** How many events wait for an endpoint. */
  waiting(webhookId: string): Promise<number>;
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

/** All that a caller can do about its webhooks, and an operator about everybody's: see, disable and delete them. */
export function webhookApi(tools: WebhookTools): WebhookApi {
  const { webhooks } = tools;
  async function visible(caller: Caller, id: string): Promise<Webhook | undefined> {
    const found = ID.test(id) ? await webhooks.find(id) : undefined;
    return found && (found.callerId === caller.id || mayOperate(caller)) ? found : undefined;
  }
  async function own(caller: Caller, id: string): Promise<Webhook | undefined> {
    const found = await visible(caller, id);
    return found?.callerId === caller.id ? found : undefined;
  }
  const read = async (caller: Caller, id: string) => {
    const found = await visible(caller, id);
    return found && viewAs(tools, caller, found);
  };
  return {
    async create(caller, { url, events, description }) {
      const errors = await errorsOf(tools, url);
      if (errors.length > 0) return { kind: 'refused', errors };
      const secret = tools.newSecret();
      const createdAt = await webhooks.now();
      const made = { id: tools.newId(), callerId: caller.id, url, description, events, createdAt, failures: 0 };
      const webhook: Webhook = { ...made, secrets: [{ secret }] };
      if (!(await webhooks.create(webhook, MOST_OF_ONE_CALLER))) return { kind: 'tooMany', limit: MOST_OF_ONE_CALLER };
      return { kind: 'created', webhook: viewWebhook(webhook, createdAt), secret };
    },
    async list(caller, of = caller.id) {
      const found = of === EVERYBODY ? await everyWebhook(webhooks) : await webhooks.ofCaller(of);
      return Promise.all(found.map((each) => viewAs(tools, caller, each)));
    },
    read,
    async change(caller, id, wish) {
      const found = await visible(caller, id);
      if (!found) return undefined;
      const isOwn = found.callerId === caller.id;
      const errors = isOwn ? await errorsOf(tools, wish.url) : notForOperators(wish);
      if (errors.length > 0) return { kind: 'refused', errors };
      const asOperator = !isOwn || (wish.disabled === false && mayOperate(caller));
      const changed = await webhooks.change(id, wish, asOperator ? 'operator' : 'caller');
      if (changed === 'barred') return { kind: 'barred' };
      const webhook = await read(caller, id);
      return webhook && { kind: 'changed', webhook };
    },
    async remove(caller, id) {
      const found = await visible(caller, id);
      if (!found) return false;
      await webhooks.remove(id, found.callerId);
      // What is left in its queue finds no endpoint and is dropped.
      await tools.drop(id).catch(() => undefined);
      return true;
    },
    async rotate(caller, id, overlapSeconds) {
      const secret = tools.newSecret();
      // Another rotation may come in between: its secret, which its caller was told, is then one of the previous ones.
      for (;;) {
        const found = await own(caller, id);
        if (!found) return undefined;
        const now = await webhooks.now();
        const validUntil = now + overlapSeconds * 1_000;
        const secrets = rotated(found.secrets, secret, now, validUntil);
        const answer = await webhooks.changeSecrets(id, found.secrets, secrets);
        if (answer === 'gone') return undefined;
        if (answer === 'changed') return { secret, previousSecretValidUntil: rfc3339(validUntil) };
      }
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
      if (!(await visible(caller, id))) return undefined;
      return (await webhooks.deliveries(id, limit)).map(viewDelivery);
    },
  };
}

/** @param validUntil when the present ones end, and no later than they would anyway */
function rotated(present: WebhookSecret[], secret: string, now: number, validUntil: number): WebhookSecret[] {
  const older = present
    .filter((each) => each.validUntil === undefined || each.validUntil > now)
    .map((each) => ({ ...each, validUntil: Math.min(each.validUntil ?? validUntil, validUntil) }));
  return [{ secret }, ...older].slice(0, MOST_SECRETS);
}

const mayOperate = ({ permissions }: Caller) => permissions.includes('operate');

async function everyWebhook(webhooks: WebhookStore): Promise<Webhook[]> {
  const found = await Promise.all((await webhooks.ids()).map(webhooks.find));
  return found.filter((each) => each !== undefined).sort((a, b) => a.createdAt - b.createdAt);
}

/** Where events go, and which, is their owner's to say: an operator who could change it could have them sent elsewhere. */
function notForOperators({ disabled: _, ...others }: Partial<NewWebhook> & { disabled?: boolean }) {
  return Object.keys(others).map((name) => ({
    pointer: `/${name}`,
    message: 'This is another caller’s webhook: an operator can only set disabled, or delete it.',
  }));
}

async function viewAs({ webhooks, endOf }: WebhookTools, reader: Caller, webhook: Webhook): Promise<WebhookView> {
  const { callerId } = webhook;
  const now = await webhooks.now();
  if (callerId === reader.id) return viewWebhook(webhook, now);
  return { ...viewWebhook(webhook, now, await endOf(callerId)), callerId };
}

async function errorsOf({ objection }: WebhookTools, url: string | undefined) {
  const message = url === undefined ? undefined : await objection(url);
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
  const room = MOST_WAITING - (await tools.waiting(webhook.id));
  let events = 0;
  let looked = 0;
  let lastAt: number | undefined;
  for (const id of ids.slice(0, MOST_REPLAYED)) {
    // However often it is asked: what waits for one endpoint has its bound.
    if (events >= room) break;
    looked += 1;
    const event = await tools.webhooks.event(id);
    lastAt = event?.at ?? lastAt;
    if (event?.callerId !== webhook.callerId || !wants(webhook, event)) continue;
    await tools.enqueue(webhook.id, { eventId: id, attempt: 1, run });
    events += 1;
  }
  const more = ids.length > looked;
  return { kind: 'replayed', events, more, ...(more && lastAt !== undefined && { lastAt: rfc3339(lastAt) }) };
}

async function eventsOf({ webhooks, revisionOf }: WebhookTools, caller: Caller, wish: ReplayWish): Promise<string[]> {
  if ('since' in wish)
    return webhooks.eventsBetween(caller.id, wish.since, wish.until ?? Number.MAX_SAFE_INTEGER, MOST_REPLAYED + 1);
  const revision = (await revisionOf(caller, wish.messageId)) ?? 0;
  const first = Math.max(1, revision - MOST_REPLAYED + 1);
  return Array.from({ length: Math.max(0, revision - first + 1) }, (_, i) => eventId(wish.messageId, first + i));
}

/** @param end of its caller's key, which is the stronger reason: nothing but more time for the key ends it */
function viewWebhook(webhook: Webhook, now: number, end?: KeyEnd): WebhookView {
  const { id, url, description, events, createdAt, lastSuccessAt, lastFailure, failures, dropped } = webhook;
  const disabled = end ?? webhook.disabled;
  const previous = webhook.secrets[1]?.validUntil;
  return {
    ...{ id, url, description, events },
    state: disabled ? 'disabled' : 'active',
    ...(disabled && { disabledBecause: disabled.because }),
    ...(disabled?.at !== undefined && { disabledAt: rfc3339(disabled.at) }),
    createdAt: rfc3339(createdAt),
    ...(lastSuccessAt !== undefined && { lastSuccessAt: rfc3339(lastSuccessAt) }),
    ...(lastFailure && { lastFailure: { ...lastFailure, at: rfc3339(lastFailure.at) } }),
    consecutiveFailures: failures,
    ...(dropped && { dropped: { events: dropped.events, lastAt: rfc3339(dropped.lastAt) } }),
    ...(previous !== undefined && previous > now && { previousSecretValidUntil: rfc3339(previous) }),
  };
}

function viewDelivery({ at, nextAttemptAt, ...rest }: Delivery): DeliveryView {
  return { at: rfc3339(at), ...rest, ...(nextAttemptAt !== undefined && { nextAttemptAt: rfc3339(nextAttemptAt) }) };
}
