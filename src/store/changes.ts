import type { Redis } from 'ioredis';
import type { Keys } from './keys.ts';

/** Who waits for a message to change. One subscription serves any number of waiting readers. */
export interface Changes {
  /** True when the message may have changed; false after `milliseconds`, or when `signal` aborts. */
  changed(id: string, milliseconds: number, signal: AbortSignal): Promise<boolean>;
}

type Waiting = Map<string, Set<(changed: boolean) => void>>;

/** @param subscriber a connection that does nothing else */
export function watchChanges(subscriber: Redis, keys: Keys): Changes {
  const waiting: Waiting = new Map();
  const wake = (ids: Iterable<string>) => {
    for (const id of ids) for (const stir of [...(waiting.get(id) ?? [])]) stir(true);
  };
  subscriber.on('message', (channel: string, payload: string) => {
    if (channel !== keys.changed) return;
    // A hold changes how all messages of its mailboxes read; it is rare, and reading again is cheap.
    wake(payload.startsWith('hold:') ? [...waiting.keys()] : payload.split(' '));
  });
  // What changed while the subscription was down went unheard.
  subscriber.on('ready', () => wake([...waiting.keys()]));
  // Not waited for: whoever asks before Redis is there is told to look when it is.
  subscriber.subscribe(keys.changed).then(
    () => wake([...waiting.keys()]),
    () => undefined,
  );
  return { changed: (id, milliseconds, signal) => waitFor(waiting, id, milliseconds, signal) };
}

function waitFor(waiting: Waiting, id: string, milliseconds: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const others = waiting.get(id) ?? new Set();
    waiting.set(id, others);
    const stir = (changed: boolean) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      others.delete(stir);
      if (others.size === 0 && waiting.get(id) === others) waiting.delete(id);
      resolve(changed);
    };
    const stop = () => stir(false);
    const timer = setTimeout(stop, milliseconds);
    signal.addEventListener('abort', stop, { once: true });
    others.add(stir);
  });
}
