import type { Redis } from 'ioredis';
import {
  type Delivery,
  type DisabledBecause,
  DROP_REASONS,
  type EventType,
  type Webhook,
  type WebhookChange,
  type WebhookEvent,
  type WebhookFailure,
  type WebhookMetrics,
  type WebhookSecret,
  type WebhookStore,
} from '../gateway/webhook.ts';
import type { Keys } from './keys.ts';
import type { Scripted } from './redis.ts';

/** Of one endpoint, and for how long. */
const DELIVERIES_KEPT = 100;
const DELIVERIES_LIFETIME = 30 * 24 * 3_600_000;

/** Endpoints, events and deliveries. Throws what ioredis throws when Redis cannot be asked. */
export function webhookStore(redis: Redis & Scripted, keys: Keys, eventLifetimeMilliseconds: number): WebhookStore {
  const at = keys.webhooks;

  async function find(id: string): Promise<Webhook | undefined> {
    return webhookOf(id, await redis.hgetall(at.webhook(id)));
  }

  async function now(): Promise<number> {
    const [seconds, microseconds] = await redis.time();
    return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
  }

  const idsOf = (callerId: string) => redis.zrange(at.ofCaller(callerId), '0', '-1');

  return {
    find,
    now,
    idsOf,
    async create({ id, callerId, url, description, events, secrets, createdAt }, most) {
      const settings = { ...settingsOf({ url, description, events }), secrets: JSON.stringify(secrets) };
      const fields = { callerId, createdAt: String(createdAt), failures: '0', ...settings };
      const names = [at.webhook(id), at.all, at.ofCaller(callerId)] as const;
      const answer = await redis.createWebhook(...names, id, JSON.stringify(fields), String(most), at.channel);
      return answer === 1;
    },
    async ofCaller(callerId) {
      const found = await Promise.all((await idsOf(callerId)).map(find));
      return found.filter((each) => each !== undefined);
    },
    ids: () => redis.hkeys(at.all),
    async change(id, { disabled, ...settings }, by = 'caller') {
      const because: DisabledBecause = by === 'operator' ? 'byOperator' : 'byCaller';
      const off = disabled === true && { disabled: because, disabledAt: await now() };
      const on = disabled === false && { failures: 0 };
      const set = { ...settingsOf(settings), ...off, ...on };
      const clear = disabled === false ? ['disabled', 'disabledAt', 'failingSince'] : [];
      const answer = await redis.changeWebhook(at.webhook(id), JSON.stringify(set), JSON.stringify(clear), by);
      return answer === 1 ? 'changed' : answer === 2 ? 'barred' : 'gone';
    },
    async changeSecrets(id, from, to) {
      const answer = await redis.changeSecrets(at.webhook(id), JSON.stringify(from), JSON.stringify(to));
      return answer === 1 ? 'changed' : answer === 2 ? 'outdated' : 'gone';
    },
    async remove(id, callerId) {
      await redis
        .multi()
        .del(at.webhook(id), at.deliveries(id))
        .hdel(at.all, id)
        .zrem(at.ofCaller(callerId), id)
        .publish(at.channel, 'callers')
        .exec();
    },
    async note(id, delivery, disableAfterMilliseconds) {
      const { at: made, outcome, httpStatus, reason = '' } = delivery;
      const failure: WebhookFailure = { at: made, ...(httpStatus !== undefined && { httpStatus }), reason };
      const because = await redis.noteDelivery(
        at.webhook(id),
        at.deliveries(id),
        JSON.stringify(delivery),
        String(made),
        httpStatus === 410 ? 'gone' : outcome,
        JSON.stringify(failure),
        String(disableAfterMilliseconds),
        String(DELIVERIES_KEPT),
        String(DELIVERIES_LIFETIME),
      );
      return (because || undefined) as DisabledBecause | undefined;
    },
    async drop(id, events, reason) {
      const [key, count] = [at.webhook(id), String(events)];
      await redis.dropEvents(key, at.dropped, count, String(await now()), reason);
    },
    async metrics() {
      const [outbox, counts] = await Promise.all([redis.xlen(at.outbox), redis.hmget(at.dropped, ...DROP_REASONS)]);
      const dropped = Object.fromEntries(DROP_REASONS.map((reason, i) => [reason, Number(counts[i] ?? 0)]));
      return { outbox, dropped: dropped as WebhookMetrics['dropped'] };
    },
    async deliveries(id, limit) {
      const kept = await redis.lrange(at.deliveries(id), 0, limit - 1);
      return kept.map((each) => JSON.parse(each) as Delivery);
    },
    async keepEvent({ id, only, ...event }) {
      await redis
        .multi()
        .hset(at.event(id), { ...event, ...(only && { only: JSON.stringify(only) }) })
        .pexpire(at.event(id), eventLifetimeMilliseconds)
        .zadd(at.events(event.callerId), event.at, id)
        .zremrangebyscore(at.events(event.callerId), '-inf', event.at - eventLifetimeMilliseconds)
        .pexpire(at.events(event.callerId), eventLifetimeMilliseconds)
        .exec();
    },
    async event(id) {
      return eventOf(id, await redis.hgetall(at.event(id)));
    },
    eventsBetween: (callerId, since, until, limit) =>
      redis.zrangebyscore(at.events(callerId), since, until, 'LIMIT', 0, limit),
  };
}

function settingsOf({ url, description, events }: WebhookChange): Record<string, string> {
  return {
    ...(url !== undefined && { url }),
    ...(description !== undefined && { description }),
    ...(events && { events: JSON.stringify(events) }),
  };
}

function webhookOf(id: string, fields: Record<string, string>): Webhook | undefined {
  const { callerId, url, disabled, lastSuccessAt, lastFailure, dropped } = fields;
  if (!callerId || !url) return undefined;
  const because = disabled as DisabledBecause | undefined;
  return {
    ...{ id, callerId, url, description: fields.description ?? '' },
    events: JSON.parse(fields.events ?? '[]') as EventType[],
    secrets: JSON.parse(fields.secrets ?? '[]') as WebhookSecret[],
    createdAt: Number(fields.createdAt),
    failures: Number(fields.failures),
    ...(because && { disabled: { because, at: Number(fields.disabledAt) } }),
    ...(lastSuccessAt && { lastSuccessAt: Number(lastSuccessAt) }),
    ...(lastFailure && { lastFailure: JSON.parse(lastFailure) as WebhookFailure }),
    ...(dropped && { dropped: { events: Number(dropped), lastAt: Number(fields.droppedAt) } }),
  };
}

function eventOf(id: string, fields: Record<string, string>): WebhookEvent | undefined {
  const { type, callerId, messageId, body, only } = fields;
  if (!type || !callerId || !messageId || !body) return undefined;
  const named = only ? { only: JSON.parse(only) as string[] } : {};
  return { id, type: type as EventType, at: Number(fields.at), callerId, messageId, body, ...named };
}
