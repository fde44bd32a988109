import { type BackendFactory, type ConnectionOptions, QueueKeys, RedisConnection, RedisQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import { type FinishKeys, finisher, type Next, type Over } from './finish-and-fetch.ts';

type Fetched = ReturnType<RedisQueueBackend['moveToActive']>;

/** Between two tries to fetch a job from a Redis that refuses: full, read-only, or short of replicas. */
const REFUSED_MILLISECONDS = 500;

/**
 * Lets any number of BullMQ queues and workers share one Redis connection. A stock worker waits for jobs by a blocking
 * read on a connection of its own, so two thousand lanes would mean two thousand connections; ours waits in memory
 * and is woken by `wake`, or looks by itself after BullMQ's `drainDelay`, so that a lost wake-up costs seconds only.
 */
class SharedBackend extends RedisQueueBackend {
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

  /** BullMQ asks again at once, where the answer was an error: of a Redis that is full, thousands of times a second. */
  override async moveToActive(...fetching: Parameters<RedisQueueBackend['moveToActive']>): Fetched {
    try {
      return await super.moveToActive(...fetching);
    } catch (error) {
      await new Promise((resolve) => setTimeout(resolve, REFUSED_MILLISECONDS));
      throw error;
    }
  }

  override async disconnectBlocking(): Promise<void> {
    this.#wake?.();
  }

  override async reconnectBlocking(): Promise<void> {}
}

type Completing = Parameters<RedisQueueBackend['moveToCompleted']>;
type Completed = ReturnType<RedisQueueBackend['moveToCompleted']>;

interface Ending {
  over: Over;
  told(next: Next): void;
  failed(error: unknown): void;
}

/** Jobs that end within so long do so by one script: nobody waits for it while a lane has others in hand. */
const TOGETHER_MILLISECONDS = 1;

/** The back end of a lane's worker, whose jobs all have the same options and are removed when they are over. */
class LaneBackend extends SharedBackend {
  readonly #finish: ReturnType<typeof finisher>;
  readonly #lane: LaneOptions;
  #ending: Ending[] = [];

  constructor(
    finish: ReturnType<typeof finisher>,
    lane: LaneOptions,
    ...rest: ConstructorParameters<typeof SharedBackend>
  ) {
    super(...rest);
    this.#finish = finish;
    this.#lane = lane;
  }

  override async moveToCompleted(...completing: Completing): Completed {
    const [job, , , token, fetchNext] = completing;
    const next = await this.#end({ jobId: job.id as string, token, fetchNext });
    // Its lock is not ours any more: BullMQ's script says what is wrong.
    if (next.kind === 'lost') return super.moveToCompleted(...completing);
    // Nothing was asked for. Told that there is nothing, BullMQ 6.7 would take the queue for empty, and wait a while for more.
    if (!fetchNext) return { result: undefined as never, finishedOn: Date.now() };
    const result = next.kind === 'stock' ? await this.moveToActive(token) : this.#asFetched(next);
    return { result, finishedOn: Date.now() };
  }

  #end(over: Over): Promise<Next> {
    return new Promise((told, failed) => {
      if (this.#ending.length === 0) setTimeout(() => void this.#flush(), TOGETHER_MILLISECONDS);
      this.#ending.push({ over, told, failed });
    });
  }

  async #flush(): Promise<void> {
    const ending = this.#ending;
    this.#ending = [];
    const { wait, active, prioritized, delayed, meta, pc, stalled, '': prefix } = this.keys as Record<string, string>;
    const keys = [wait, active, prioritized, delayed, meta, pc, stalled] as unknown as FinishKeys;
    const over = ending.map((each) => each.over);
    try {
      const nexts = await this.#finish(keys, prefix as string, this.#lane.lockMilliseconds, over);
      for (const [index, { told }] of ending.entries()) told(nexts[index] as Next);
    } catch (error) {
      for (const { failed } of ending) failed(error);
    }
  }

  /** As BullMQ's worker takes it: the job, its id, and for how long, or until when, there is none. */
  #asFetched(next: Extract<Next, { kind: 'job' | 'none' }>): unknown[] {
    if (next.kind === 'none') return [null, '', 0, next.delayedUntil];
    const { id, data, attemptsMade } = next;
    const { jobName: name, jobOptions: opts } = this.#lane;
    const known = { progress: 0, timestamp: 0, attemptsStarted: 1, stalledCounter: 0 };
    return [{ id, name, data, opts, attemptsMade, ...known }, id, 0, 0];
  }
}

/** What all jobs of all lanes have in common. */
export interface LaneOptions {
  jobName: string;
  jobOptions: object;
  lockMilliseconds: number;
}

/** Makes the back ends of all lanes over one connection, and wakes the workers among them. */
export interface Backends {
  factory: BackendFactory<RedisQueueBackend>;
  /** For the workers of lanes, whose queues have jobs of one kind only. */
  forLanes(options: LaneOptions): BackendFactory<RedisQueueBackend>;
  wake(queueName: string): void;
  /** What was made so far never works; what the factory makes next may. */
  failed(): boolean;
}

/** @param redis an ioredis instance; with `maxRetriesPerRequest: null` if workers are to use it */
export function sharedBackends(redis: Redis): Backends {
  let connection = connect(redis);
  const workers = new Map<string, SharedBackend>();
  const finish = finisher(redis);

  function making(
    make: (...parts: ConstructorParameters<typeof SharedBackend>) => SharedBackend,
  ): BackendFactory<RedisQueueBackend> {
    return (name, options, { withBlockingConnection } = {}) => {
      const { prefix = 'bull' } = options as { prefix?: string };
      const keys = new QueueKeys(prefix);
      const toKey = (type: string) => keys.toKey(name, type);
      if (connection.failed()) connection = connect(redis);
      // The scripts read the worker's own options, lock duration and the rest, off `options`.
      const backend = make(connection.made, name, keys.getKeys(name), toKey, options, undefined, false);
      if (withBlockingConnection) workers.set(name, backend);
      return backend;
    };
  }

  return {
    factory: making((...parts) => new SharedBackend(...parts)),
    forLanes: (lane) => making((...parts) => new LaneBackend(finish, lane, ...parts)),
    wake: (queueName) => workers.get(queueName)?.wake(),
    failed: () => connection.failed(),
  };
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
