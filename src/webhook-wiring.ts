import { randomUUID } from 'node:crypto';
import { newId } from './gateway/identifiers.ts';
import { keyEnds } from './gateway/keys.ts';
import { type NotifyTools, notify } from './gateway/notify.ts';
import type { MessageStore } from './gateway/ports.ts';
import type { WebhookStore } from './gateway/webhook.ts';
import type { WebhookApi } from './gateway/webhook-api.ts';
import { webhookApi } from './gateway/webhook-operations.ts';
import { sharedBackends } from './queue/backend.ts';
import type { LaneLog } from './queue/tools.ts';
import { webhookQueues } from './queue/webhook-queues.ts';
import { startRelay } from './queue/webhook-relay.ts';
import { driveWebhooks } from './queue/webhook-workers.ts';
import { keyStore } from './store/api-keys.ts';
import type { Keys } from './store/keys.ts';
import type { connectRedis, withScripts } from './store/redis.ts';
import { webhookOutbox } from './store/webhook-outbox.ts';
import { webhookStore } from './store/webhooks.ts';
import { VERSION } from './version.ts';
import { USUAL_WEBHOOKS, type WebhookSettings } from './webhook-settings.ts';
import { webhookCaller } from './webhooks/call.ts';
import { destinationOf, resolveBySystem } from './webhooks/destination.ts';
import { webhookPolicy } from './webhooks/policy.ts';
import { newWebhookSecret } from './webhooks/signature.ts';

type Connection = ReturnType<typeof connectRedis>;
type ScriptedConnection = ReturnType<typeof withScripts>;

const DAY = 24 * 3_600_000;

function outward({ allow, allowHttp, timeoutSeconds }: WebhookSettings) {
  const policy = webhookPolicy(allow, allowHttp);
  const options = {
    policy,
    version: VERSION,
    ...(timeoutSeconds !== undefined && { timeoutMilliseconds: timeoutSeconds * 1000 }),
  };
  return { policy, call: webhookCaller(options) };
}

/** What callers can do about their webhooks. */
export function wireWebhookApi(
  redis: ScriptedConnection,
  keys: Keys,
  messages: Pick<MessageStore, 'find'>,
  settings: WebhookSettings = USUAL_WEBHOOKS,
): { api: WebhookApi; close(): Promise<void> } & Pick<WebhookStore, 'idsOf' | 'metrics'> {
  const { policy, call } = outward(settings);
  const webhooks = webhookStore(redis, keys, settings.keepDays * DAY);
  const queues = webhookQueues(redis, keys.webhooks.bull, sharedBackends(redis));
  const api = webhookApi({
    webhooks,
    call,
    endOf: keyEnds({ keys: keyStore(redis, keys), now: () => new Date() }),
    async objection(url) {
      const destination = await destinationOf(url, policy, resolveBySystem);
      return 'refused' in destination ? destination.refused : undefined;
    },
    async enqueue(webhookId, job) {
      await queues.add(webhookId, job);
      await redis.publish(keys.webhooks.channel, webhookId);
    },
    waiting: queues.waiting,
    drop: queues.drop,
    newId: () => newId('wh', new Date()),
    newSecret: newWebhookSecret,
    async revisionOf(caller, messageId) {
      const record = await messages.find(messageId);
      return record?.callerId === caller.id ? record.revision : undefined;
    },
  });
  return { api, idsOf: webhooks.idsOf, metrics: webhooks.metrics, close: queues.close };
}

/** Delivers events: relays the outbox into the endpoints' queues, and works on these. */
export function startWebhooks(options: {
  redis: ScriptedConnection;
  connect: () => Connection;
  keys: Keys;
  settings?: WebhookSettings | undefined;
  log: LaneLog;
}): { close(graceMilliseconds: number): Promise<void> } {
  const { redis, connect, keys, settings = USUAL_WEBHOOKS, log } = options;
  const at = keys.webhooks;
  const webhooks = webhookStore(redis, keys, settings.keepDays * DAY);
  const backends = sharedBackends(redis);
  const queues = webhookQueues(redis, at.bull, backends);
  const endOf = keyEnds({ keys: keyStore(redis, keys), now: () => new Date() });
  const tools: NotifyTools = {
    webhooks,
    endOf,
    call: outward(settings).call,
    retryMilliseconds: settings.retrySeconds.map((seconds) => seconds * 1000),
    disableAfterMilliseconds: settings.disableDays * DAY,
    now: () => new Date(),
    random: Math.random,
    log,
  };
  const workers = driveWebhooks({
    ...{ redis, subscriber: connect(), channel: at.channel, prefix: at.bull, backends, queues, log },
    ids: webhooks.ids,
    notify: (webhookId, job) => notify(tools, webhookId, job),
  });
  const owner = randomUUID();
  const waiting = connect();
  const relay = startRelay({
    webhooks,
    endOf,
    outbox: webhookOutbox(redis, waiting, keys),
    waiting: queues.waiting,
    keepMilliseconds: settings.keepDays * DAY,
    interrupt: () => waiting.disconnect(),
    async enqueue(webhookId, job) {
      await queues.add(webhookId, job);
      workers.wake(webhookId);
    },
    takeTurn: async (milliseconds) =>
      (await redis.takeLeases(2, at.relay, at.relayLast, String(milliseconds), owner))[0] !== 0,
    endTurn: () => redis.releaseLease(at.relay, owner),
    log,
  });
  return {
    async close(graceMilliseconds) {
      await Promise.race([relay.close(), new Promise((resolve) => setTimeout(resolve, graceMilliseconds).unref())]);
      await workers.close(graceMilliseconds);
      await queues.close();
    },
  };
}
