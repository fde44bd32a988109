import { rfc3339, viewOf } from './view.ts';
import {
  type DeliveryJob,
  type DropReason,
  type EndOfKey,
  type EventType,
  type Outbox,
  type Outgoing,
  type Webhook,
  type WebhookEvent,
  type WebhookStore,
  wants,
} from './webhook.ts';

export interface RelayTools {
  webhooks: WebhookStore;
  outbox: Outbox;
  endOf: EndOfKey;
  enqueue(webhookId: string, job: DeliveryJob): Promise<void>;
  /** How many events wait for an endpoint. */
  waiting(webhookId: string): Promise<number>;
  /** How long events can be told. */
  keepMilliseconds: number;
  log: { warn(fields: object, sentence: string): void };
}

/**
 * What waits for one endpoint at most: some 50 MB. One that hangs takes sixteen calls a minute from a process and is only
 * disabled after days; until then its events must not fill Redis. They are kept all the same, and can be replayed.
 */
export const MOST_WAITING = 100_000;

/**
 * Makes an event of each of these moves and puts it into the queue of every endpoint that wants it. Ends with the moves
 * gone from the outbox; done twice, because a process died in between, it makes the same events with the same ids.
 *
 * @throws what the store throws; then the moves are still in the outbox
 */
export async function relay(tools: RelayTools, batch: Outgoing[]): Promise<void> {
  const callers = oncePer((callerId: string) => callerOf(tools, callerId));
  const room = roomOf(tools);
  const untold = new Map<string, number>();
  const oldest = (await tools.webhooks.now()) - tools.keepMilliseconds;
  await Promise.all(
    batch.map(async (each) => {
      const event = eventOf(each);
      const caller = await callers(event.callerId);
      const takers = caller.webhooks.filter((webhook) => wants(webhook, event));
      if (event.at < oldest) for (const { id } of takers) note(untold, `${id} tooOld`);
      else await announce({ ...tools, room, untold }, event, takers, caller.hasEnded);
    }),
  );
  await Promise.all([...untold].map(([what, events]) => tellDropped(tools, what, events)));
  await tools.outbox.done(batch.map(({ entry }) => entry));
}

/** Whose key was revoked is told nothing any more; of one that has expired the events are kept, it may be given more time. */
async function callerOf({ webhooks, endOf }: RelayTools, callerId: string) {
  const [all, end] = await Promise.all([webhooks.ofCaller(callerId), endOf(callerId)]);
  return { webhooks: end?.because === 'keyRevoked' ? [] : all, hasEnded: end !== undefined };
}

/** Kept also where every endpoint that wants it is disabled at present: it can be replayed. */
async function announce(
  tools: RelayTools & { room: (id: string) => Promise<boolean>; untold: Map<string, number> },
  event: WebhookEvent,
  takers: Webhook[],
  hasEnded: boolean,
): Promise<void> {
  if (takers.length === 0) return;
  await tools.webhooks.keepEvent(event);
  const active = hasEnded ? [] : takers.filter(({ disabled }) => !disabled);
  await Promise.all(
    active.map(async ({ id }) => {
      if (await tools.room(id)) await tools.enqueue(id, { eventId: event.id, attempt: 1, run: '' });
      else note(tools.untold, `${id} queueFull`);
    }),
  );
}

/** Takes a place in an endpoint's queue; asks how many there are once a batch, not once an event. */
function roomOf({ waiting }: RelayTools): (webhookId: string) => Promise<boolean> {
  const left = oncePer(async (webhookId: string) => ({ places: MOST_WAITING - (await waiting(webhookId)) }));
  return async (webhookId) => {
    const room = await left(webhookId);
    room.places -= 1;
    return room.places >= 0;
  };
}

function note(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

async function tellDropped({ webhooks, log }: RelayTools, what: string, events: number): Promise<void> {
  const [webhookId = '', reason] = what.split(' ') as [string, DropReason];
  await webhooks.drop(webhookId, events, reason);
  log.warn({ webhookId, events, reason }, 'Webhook events dropped');
}

function oncePer<T>(ask: (name: string) => Promise<T>): (name: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (name) => {
    const asked = known.get(name) ?? ask(name);
    known.set(name, asked);
    return asked;
  };
}

/** The record as the move left it, not as it is now: an event never tells of a later status than its own. */
function eventOf({ record, attempts }: Outgoing): WebhookEvent {
  const type: EventType = `message.${record.status === 'held' ? 'queued' : record.status}`;
  const data = viewOf(record, { attempts });
  const body = JSON.stringify({ type, timestamp: rfc3339(record.updatedAt), data });
  const { id: messageId, callerId, webhooks: only } = record;
  const id = eventId(messageId, record.revision);
  return { id, type, at: record.updatedAt, callerId, messageId, ...(only && { only }), body };
}

/** Made of the message and the number of its move, so that the same move always makes the same event. */
export function eventId(messageId: string, revision: number): string {
  return `evt_${messageId.replace(/^msg_/, '')}_${revision}`;
}
