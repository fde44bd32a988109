import { rfc3339, viewOf } from './view.ts';
import {
  type DeliveryJob,
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
  enqueue(webhookId: string, job: DeliveryJob): Promise<void>;
}

/**
 * Makes an event of each of these moves and puts it into the queue of every endpoint that wants it. Ends with the moves
 * gone from the outbox; done twice, because a process died in between, it makes the same events with the same ids.
 *
 * @throws what the store throws; then the moves are still in the outbox
 */
export async function relay(tools: RelayTools, batch: Outgoing[]): Promise<void> {
  const known = new Map<string, Promise<Webhook[]>>();
  const webhooksOf = (callerId: string) => {
    const asked = known.get(callerId) ?? tools.webhooks.ofCaller(callerId);
    known.set(callerId, asked);
    return asked;
  };
  await Promise.all(batch.map(async (each) => announce(tools, eventOf(each), await webhooksOf(each.record.callerId))));
  await tools.outbox.done(batch.map(({ entry }) => entry));
}

/** Kept also where every endpoint that wants it is disabled at present: it can be replayed. */
async function announce({ webhooks, enqueue }: RelayTools, event: WebhookEvent, all: Webhook[]): Promise<void> {
  const takers = all.filter((each) => wants(each, event));
  if (takers.length === 0) return;
  await webhooks.keepEvent(event);
  const active = takers.filter(({ disabled }) => !disabled);
  await Promise.all(active.map(({ id }) => enqueue(id, { eventId: event.id, attempt: 1, run: '' })));
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
