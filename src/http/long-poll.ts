import type { Api, Caller, Reading } from '../gateway/api.ts';
import { isFinal } from '../mail/status.ts';
import { namesEtag, quotedEtag } from './etag.ts';

export interface Patience {
  /** How long to wait for a change; 0 reads once. */
  milliseconds: number;
  /** What the caller has already seen. If absent, what the first look shows. */
  ifNoneMatch: string | undefined;
  /** Called when the waiting begins. */
  onWait: () => void;
  /** Ends the waiting; the message is then read as it stands. */
  stop: AbortController;
}

/**
 * Reads a message once it is other than the caller knows it, is final, or patience ends. Each round begins to listen
 * before it looks, so that no change falls between the two.
 */
export async function readWhenChanged(
  api: Pick<Api, 'read' | 'changed'>,
  caller: Caller,
  id: string,
  { milliseconds, ifNoneMatch, onWait, stop }: Patience,
): Promise<Reading | undefined> {
  const deadline = performance.now() + milliseconds;
  let known = ifNoneMatch;
  for (;;) {
    const remaining = deadline - performance.now();
    const change = remaining > 0 && !stop.signal.aborted ? api.changed(id, remaining, stop.signal) : undefined;
    // Whoever listens fails only if Redis does, and then the reading says so.
    change?.catch(() => undefined);
    const reading = await api.read(caller, id);
    known ??= reading && quotedEtag(reading.etag);
    if (!reading || !change || isFinal(reading.message.status) || !namesEtag(known, reading.etag)) return reading;
    onWait();
    await change;
  }
}
