import type { Api, Caller, Reading } from '../gateway/api.ts';
import { isFinal, type Status } from '../mail/status.ts';
import { namesEtag, weakEtag } from './etag.ts';

export interface Patience {
  /** How long to wait; 0 reads once. */
  milliseconds: number;
  /** Called when the waiting begins. */
  onWait: () => void;
  /** Ends the waiting; the message is then read as it stands. */
  stop: AbortController;
}

type Source = Pick<Api, 'read' | 'changed'>;

/**
 * Reads a message once it is other than the caller knows it, is final, or patience ends.
 *
 * @param ifNoneMatch what the caller has already seen; if absent, what the first look shows
 */
export async function readWhenChanged(
  api: Source,
  caller: Caller,
  id: string,
  { ifNoneMatch, ...patience }: Patience & { ifNoneMatch: string | undefined },
): Promise<Reading | undefined> {
  let known = ifNoneMatch;
  return readUntil(api, caller, id, patience, ({ message, etag }) => {
    known ??= weakEtag(etag);
    return isFinal(message.status) || !namesEtag(known, etag);
  });
}

/** Reads a message once there is more to tell than that it is on its way, or patience ends. */
export async function readOutcome(
  api: Source,
  caller: Caller,
  id: string,
  patience: Patience,
): Promise<Reading | undefined> {
  return readUntil(api, caller, id, patience, ({ message }) => !isOnItsWay(message.status));
}

export function isOnItsWay(status: Status): boolean {
  return status === 'queued' || status === 'sending';
}

/** Each round begins to listen before it looks, so that no change falls between the two. */
async function readUntil(
  api: Source,
  caller: Caller,
  id: string,
  { milliseconds, onWait, stop }: Patience,
  isEnough: (reading: Reading) => boolean,
): Promise<Reading | undefined> {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    const remaining = deadline - performance.now();
    const change = remaining > 0 && !stop.signal.aborted ? api.changed(id, remaining, stop.signal) : undefined;
    // Whoever listens fails only if Redis does, and then the reading says so.
    change?.catch(() => undefined);
    const reading = await api.read(caller, id);
    if (!reading || !change || isEnough(reading)) return reading;
    onWait();
    await change;
  }
}
