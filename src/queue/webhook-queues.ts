import { type ConnectionOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { DeliveryJob } from '../gateway/webhook.ts';
import type { Backends } from './backend.ts';

export interface WebhookQueues {
  /** Adds a try; adding it twice is harmless. */
  add(webhookId: string, job: DeliveryJob, delayMilliseconds?: number): Promise<void>;
  /** Makes a try now that waits for its time; nothing where it was made already or is gone. */
  promote(webhookId: string, job: DeliveryJob): Promise<void>;
  /** How many tries wait for an endpoint, those of later included. */
  waiting(webhookId: string): Promise<number>;
  /** Takes all away that waits for an endpoint. */
  drop(webhookId: string): Promise<void>;
  close(): Promise<void>;
}

/** A job stands for one try, and only what the store throws makes it run again: the next try is a job of its own. */
const JOB_OPTIONS = {
  attempts: 1_000_000,
  backoff: { type: 'fixed', delay: 5_000, jitter: 0.5 },
  removeOnComplete: true,
  removeOnFail: true,
} as const;

/** A queue for each endpoint, so that one that is slow or away delays no other. */
export function webhookQueues(redis: Redis, prefix: string, backends: Backends): WebhookQueues {
  const queues = new Map<string, Queue<DeliveryJob>>();
  const queueOf = (webhookId: string) => {
    if (backends.failed()) queues.clear();
    const known = queues.get(webhookId);
    if (known) return known;
    const options = {
      connection: redis as unknown as ConnectionOptions,
      prefix,
      skipWaitingForReady: true,
      streams: { events: { maxLen: 100 } },
      defaultJobOptions: JOB_OPTIONS,
    };
    const queue = new Queue<DeliveryJob>(webhookId, options, backends.factory);
    queue.on('error', () => undefined);
    queues.set(webhookId, queue);
    return queue;
  };
  return {
    async add(webhookId, job, delayMilliseconds = 0) {
      const delay = Math.max(0, Math.round(delayMilliseconds));
      await queueOf(webhookId).add('notify', job, { jobId: jobIdOf(job), delay });
    },
    async promote(webhookId, job) {
      const waiting = await queueOf(webhookId).getJob(jobIdOf(job));
      if (await waiting?.isDelayed()) await waiting?.promote();
    },
    waiting: (webhookId) => queueOf(webhookId).count(),
    async drop(webhookId) {
      const queue = queueOf(webhookId);
      queues.delete(webhookId);
      await queue.obliterate({ force: true });
      await queue.close();
    },
    async close() {
      await Promise.allSettled([...queues.values()].map((queue) => queue.close()));
    },
  };
}

function jobIdOf({ eventId, run, attempt }: DeliveryJob): string {
  return `${eventId}-${run}-${attempt}`;
}
