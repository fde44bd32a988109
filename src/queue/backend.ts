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

  /** In one write. BullMQ's own way is a pipeline of ioredis, which looks through all scripts each time it is made. */
  override async addJobs(entries: Parameters<RedisQueueBackend['addJobs']>[0]): Promise<string[]> {
    const client = await this.queue.client;
    const { stream } = client as unknown as Pick<Redis, 'stream'>;
    stream?.cork();
    const adding = entries.map(({ job, jobId }) => this.addJobToTransaction(client, job, jobId));
    stream?.uncork();
    return Promise.all(adding);
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
  /** What was made so far never works; what the factory makes next may. */
  failed(): boolean;
}

/** @param redis an ioredis instance; with `maxRetriesPerRequest: null` if workers are to use it */
export function sharedBackends(redis: Redis): Backends {
  let connection = connect(redis);
  const workers = new Map<string, LaneBackend>();
  const factory: BackendFactory<RedisQueueBackend> = (name, options, { withBlockingConnection } = {}) => {
    const { prefix = 'bull' } = options as { prefix?: string };
    const keys = new QueueKeys(prefix);
    const toKey = (type: string) => keys.toKey(name, type);
    if (connection.failed()) connection = connect(redis);
    // The scripts read the worker's own options, lock duration and the rest, off `options`.
    const backend = new LaneBackend(connection.made, name, keys.getKeys(name), toKey, options, undefined, false);
    if (withBlockingConnection) workers.set(name, backend);
    return backend;
  };
  return { factory, wake: (queueName) => workers.get(queueName)?.wake(), failed: () => connection.failed() };
}

/**
 * BullMQ asks for the server's version once, when the client is ready; where that fails, this connection of its own
 * never works any more.
 */
function connect(redis: Redis): { made: RedisConnection; failed(): boolean } {
  const made = new RedisConnection(redis as unknown as ConnectionOptions, {
    shared: true,
    blocking: false,
  });
  made.setMaxListeners(0);
  // It repeats the client's errors, which the client's owner hears; unheard they would end the process.
  made.on('error', () => undefined);
  let failed = false;
  made.client.catch(() => {
    failed = true;
  });
  return { made, failed: () => failed };
}
