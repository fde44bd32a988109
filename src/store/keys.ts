import type { ListName } from '../gateway/lists.ts';

/**
 * Where everything is in Redis. All keys share one hash tag: on a Cluster they live in one slot, so that a message, its
 * mailbox's counters and its idempotency entry change in one atomic step (docs/decisions.md says what that costs).
 */
export interface Keys {
  prefix: string;
  message(id: string): string;
  mime(id: string): string;
  idempotency(callerId: string, keyDigest: string): string;
  /** Sorted set: messages of a list by the time of their acceptance. */
  list(name: ListName): string;
  /** Set: callers who have lists. */
  callers: string;
  /** Who tidies the lists at present, or has lately. */
  tidied: string;
  /** Sorted set: unfinished messages by the time the sweeper should look at them. */
  due: string;
  /** Sorted set: mailboxes by their number of messages that the engine still has to do something about. */
  busy: string;
  /** Hash: number of messages by `status|mailbox`. */
  counts: string;
  /** Hash: the same of one caller's, less `queued` and `sending`, which are what is left of `accepted|mailbox`. */
  countsOf(callerId: string): string;
  /** Sorted set: mailboxes with scheduled messages, by when to look at them next. */
  scheduled: string;
  /** Sorted set: a mailbox's scheduled messages by their time; one that was canceled stays in it until then. */
  scheduledOf(mailbox: string): string;
  /** Set: ids of the messages of a mailbox that are `sending`: each takes a place of the window while it is. */
  sending(mailbox: string): string;
  /** Sorted set: places for connections to a mailbox: an owner's have the score 0, a visitor's the time they end at. */
  places(mailbox: string): string;
  /** Sorted set: places of the sliding window that are taken after a reply, by the time they are free again. */
  permits(mailbox: string): string;
  /** Hash: recipients sent to, by slice of the last 24 hours, with their `sum` and the slice it was `summedIn`. */
  day(mailbox: string): string;
  /** Hash: what is known of a mailbox: which holds concern it, how many messages it was given and has done with. */
  mailbox(mailbox: string): string;
  /** Hash: holds by what they stop: `mailbox:<id>`, `tenant:<id>:<application>:<credential>`, `host:<host>:<port>`; of tests, `test:…`. */
  holds: string;
  /** Who tries out at present whether that hold is over. */
  trial(holdKey: string): string;
  lease(mailbox: string): string;
  /** Who held the lease last. */
  owner(mailbox: string): string;
  /** Hash: API keys as JSON by their id. */
  apiKeys: string;
  /** Hash: ids of API keys by the digest of their secret. */
  apiKeyDigests: string;
  /** Hash: when an API key was used last, by its id. */
  apiKeyUses: string;
  /** Of a caller's rate: since when how long takes to grow back what it has used, in microseconds. */
  rate(callerId: string): string;
  /** Pub/Sub: ids of messages, or `hold:` and the key of a hold, or `key:` and the id of an API key, that changed. */
  changed: string;
  /** Pub/Sub for the engine: mailboxes that have something to do, and `hold:` and the key of a hold that changed. */
  wake: string;
  /** What is known of Redis's clock on one boot of a machine. */
  clock(boot: string): string;
  /** Written to find out whether writing works. */
  probe: string;
  /** Prefix of BullMQ's own keys. */
  bull: string;
  webhooks: WebhookKeys;
}

/** Where webhooks are. */
export interface WebhookKeys {
  /** Hash: an endpoint. */
  webhook(id: string): string;
  /** List: its latest tries, newest first. */
  deliveries(id: string): string;
  /** Sorted set: endpoints of a caller by the time they were made. */
  ofCaller(callerId: string): string;
  /** Hash: every endpoint's caller by its id. */
  all: string;
  /** Hash: an event, as long as it may be told. */
  event(id: string): string;
  /** Sorted set: a caller's events by their time. */
  events(callerId: string): string;
  /** Stream: moves of messages whose caller has webhooks, until they are in the queues. */
  outbox: string;
  /** Hash: number of events dropped untold, by reason. */
  dropped: string;
  /** Who empties the outbox at present, and who did last. */
  relay: string;
  relayLast: string;
  /** Pub/Sub: `callers` when endpoints came or went; else an endpoint with something in its queue. */
  channel: string;
  /** Prefix of BullMQ's keys of the delivery queues. */
  bull: string;
}

export function keysOf(prefix: string): Keys {
  const under = (kind: string) => (name: string) => `${prefix}:${kind}:${name}`;
  return {
    prefix,
    message: under('message'),
    mime: under('mime'),
    idempotency: (callerId, keyDigest) => `${prefix}:idempotency:${callerId}:${keyDigest}`,
    list: ({ kind, callerId }) => `${prefix}:list:${kind}:${callerId}`,
    callers: `${prefix}:callers`,
    tidied: `${prefix}:tidied`,
    due: `${prefix}:due`,
    busy: `${prefix}:busy`,
    counts: `${prefix}:counts`,
    countsOf: under('counts'),
    scheduled: `${prefix}:scheduled`,
    scheduledOf: under('scheduled'),
    sending: under('sending'),
    places: under('places'),
    permits: under('permits'),
    day: under('day'),
    mailbox: under('mailbox'),
    holds: `${prefix}:holds`,
    trial: under('trial'),
    lease: under('lease'),
    owner: under('owner'),
    apiKeys: `${prefix}:apiKeys`,
    apiKeyDigests: `${prefix}:apiKeyDigests`,
    apiKeyUses: `${prefix}:apiKeyUses`,
    rate: under('rate'),
    changed: `${prefix}:changed`,
    wake: `${prefix}:wake`,
    clock: under('clock'),
    probe: `${prefix}:probe`,
    bull: `${prefix}:lanes`,
    webhooks: {
      webhook: under('webhook'),
      deliveries: under('webhook-deliveries'),
      ofCaller: under('webhooks-of'),
      all: `${prefix}:webhooks`,
      event: under('webhook-event'),
      events: under('webhook-events-of'),
      outbox: `${prefix}:webhook-outbox`,
      dropped: `${prefix}:webhook-dropped`,
      relay: `${prefix}:webhook-relay`,
      relayLast: `${prefix}:webhook-relay:last`,
      channel: `${prefix}:webhook-changes`,
      bull: `${prefix}:webhook-queues`,
    },
  };
}
