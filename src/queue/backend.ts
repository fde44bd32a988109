import { type BackendFactory, type ConnectionOptions, QueueKeys, RedisConnection, RedisQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';

/**
 * Lets any number of BullMQ queues and workers share one Redis connection. A stock worker waits for jobs by a blocking
 * read on a connection of its own, so two thousand lanes would mean two thousand connections; ours waits in memory
 * and is woken by `wake`, or looks by itself after BullMQ's `drainDelay`, so that a lost wake-up costs seconds only.
 */
class LaneBackend extends RedisQueueBackend {
  #wake: (() => void) | undefined;
  #woken = false;

  wake(): void {
    if (this.#wake) this.#wake();
    else this.#woken = true;
  }

  override get maximumBlockTimeout(): number {
    return 60;
  }

  override waitForJob(seconds: number): Promise<{ member: string; score: number } | null> {
    if (this.#woken) {
      this.#woken = false;
      return Promise.resolve({ member: '0', score: 0 });
    }
    return new Promise((resolve) => {
      const finish = (woken: boolean) => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve(woken ? { member: '0', score: 0 } : null);
      };
      const timer = setTimeout(() => finish(false), Math.min(seconds * 1000, 2 ** 31 - 1));
      this.#wake = () => finish(true);
    });
  }

  override async disconnectBlocking(): Promise<void> {
    this.#wake?.();
  }

  override async reconnectBlocking(): Promise<void> {}
}

/** Makes the back ends of all lanes over one connection, and wakes the workers among them. */
export interface Backends {
  factory: BackendFactory<RedisQueueBackend>;
  wake(queueName: string): void;
}

/** @param redis an ioredis instance; with `maxRetriesPerRequest: null` if workers are to use it */
export function sharedBackends(redis: Redis): Backends {
  const connection = new RedisConnection(redis as unknown as ConnectionOptions, {
    shared: true,
    blocking: false,
    skipWaitingForReady: true,
  });
  connection.setMaxListeners(0);
  const workers = new Map<string, LaneBackend>();
  const factory: BackendFactory<RedisQueueBackend> = (name, options, { withBlockingConnection } = {}) => {
    const { prefix = 'bull' } = options as { prefix?: string };
    const keys = new QueueKeys(prefix);
    const toKey = (type: string) => keys.toKey(name, type);
    // The scripts read the worker's own options, lock duration and the rest, off `options`.
    const backend = new LaneBackend(connection, name, keys.getKeys(name), toKey, options, undefined, false);
    if (withBlockingConnection) workers.set(name, backend);
    return backend;
  };
  return { factory, wake: (queueName) => workers.get(queueName)?.wake() };
}
