import type { Redis } from 'ioredis';
import type { Keys } from './keys.ts';

const TRY_AGAIN_MILLISECONDS = 1_000;

export interface WebhookCallers {
  has(callerId: string): boolean;
  /** This process has just registered one: its caller may send a message before the channel tells of it. */
  changed(): void;
}

/**
 * Which callers have webhooks, known without asking: accepting a message must not cost a look. What is not known is
 * taken for yes, which costs an entry in the outbox that nobody wants.
 *
 * @param subscriber a connection that only listens, here and elsewhere
 */
export function watchWebhookCallers(redis: Redis, subscriber: Redis, keys: Keys): WebhookCallers {
  const { all, channel } = keys.webhooks;
  let callers: Set<string> | undefined;
  /** A look that began before the last change says nothing. */
  let look = 0;

  async function read(): Promise<void> {
    look += 1;
    const mine = look;
    callers = undefined;
    try {
      const found = new Set(await redis.hvals(all));
      if (mine === look && subscriber.status === 'ready') callers = found;
    } catch {
      if (mine === look && redis.status !== 'end') setTimeout(read, TRY_AGAIN_MILLISECONDS).unref();
    }
  }
  const listen = () => void subscriber.subscribe(channel).then(read, () => undefined);

  subscriber.on('message', (heard: string, payload: string) => {
    if (heard === channel && payload === 'callers') void read();
  });
  // What changes while the subscription is down goes unheard.
  subscriber.on('close', () => {
    look += 1;
    callers = undefined;
  });
  subscriber.on('ready', listen);
  if (subscriber.status === 'ready') listen();
  return { has: (callerId) => callers?.has(callerId) ?? true, changed: () => void read() };
}
