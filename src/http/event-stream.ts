import { type Api, type Caller, StoreUnavailable, type TimelineEvent } from '../gateway/api.ts';
import { isFinal } from '../mail/status.ts';

export interface Streaming {
  /** Number of the last event that the reader has. */
  after: number;
  heartbeatMilliseconds: number;
  /** How long the reader is to wait before it comes back, when the stream ends or breaks. */
  retryMilliseconds: number;
  /** Ends the stream. */
  signal: AbortSignal;
}

/**
 * A message's timeline as server-sent events (HTML Living Standard §9.2), as it happens and until its status is final.
 * Begins to listen before it looks, so that no move falls between the two, and looks only when there was one.
 */
export async function* streamEvents(
  api: Pick<Api, 'timeline' | 'changed'>,
  caller: Caller,
  id: string,
  { after, heartbeatMilliseconds, retryMilliseconds, signal }: Streaming,
): AsyncGenerator<string> {
  let last = after;
  let look = true;
  // Sent at once, so that the reader knows that the stream has begun.
  yield `: open\nretry: ${retryMilliseconds}\n\n`;
  while (!signal.aborted) {
    const change = api.changed(id, heartbeatMilliseconds, signal);
    change.catch(() => undefined);
    const events = look ? await timelineNow(api, caller, id) : [];
    // It is gone, or the store is away: the reader comes back and is told so.
    if (!events) return;
    for (const event of events.filter(({ number }) => number > last)) {
      yield asServerSentEvent(event);
      last = event.number;
    }
    if (isOver(events)) return;
    look = await change;
    if (!look && !signal.aborted) yield ': still here\n\n';
  }
}

export function isOver(events: readonly TimelineEvent[]): boolean {
  const latest = events.at(-1);
  return latest !== undefined && isFinal(latest.status);
}

async function timelineNow(
  api: Pick<Api, 'timeline'>,
  caller: Caller,
  id: string,
): Promise<TimelineEvent[] | undefined> {
  try {
    return await api.timeline(caller, id);
  } catch (error) {
    if (error instanceof StoreUnavailable) return undefined;
    throw error;
  }
}

function asServerSentEvent(event: TimelineEvent): string {
  return `id: ${event.number}\nevent: status\ndata: ${JSON.stringify(event)}\n\n`;
}
