import { type ConnectionOptions, type Job, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { DeliveryJob } from '../gateway/webhook.ts';
import type { Backends } from './backend.ts';
import { nowAndThen } from './now-and-then.ts';
import type { LaneLog } from './tools.ts';
import type { WebhookQueues } from './webhook-queues.ts';

export interface WebhookWorkersOptions {
  redis: Redis;
  /** A connection that only listens. */
  subscriber: Redis;
  channel: string;
  prefix: string;
  backends: Backends;
  queues: WebhookQueues;
  /** Every endpoint there is. */
  ids(): Promise<string[]>;
  /** Makes a try; resolves to milliseconds until the next one, if there is to be one. */
  notify(webhookId: string, job: DeliveryJob): Promise<number | undefined>;
  log: LaneLog;
}

export interface WebhookWorkers {
  /** There is something in this endpoint's queue. */
  wake(webhookId: string): void;
  /** Takes no new work and lets what runs finish. */
  close(graceMilliseconds: number): Promise<void>;
}

/** Tries that run at a time for one endpoint in one process. */
const CONCURRENCY = 4;
/** What a killed process had begun is begun again by another one within two or three times this. */
const LOCK_MILLISECONDS = 10_000;
/** A retry that a killed process had planned is seen by then. */
const IDLE_LOOK_SECONDS = 10;
/** An endpoint of which nothing was heard, because the subscription was down, is found by then. */
const LOOK_MILLISECONDS = 15_000;
/** Time enough for BullMQ to make a try by itself. */
const PROMOTE_AFTER_MILLISECONDS = 2_000;
/** Redis may be away when it should be made. */
const PROMOTE_AGAIN_MILLISECONDS = 5_000;
const MAX_TIMERS = 10_000;

/** Keeps a worker for every endpoint; they share one connection, and an idle one costs a dozen commands a minute. */
export function driveWebhooks(options: WebhookWorkersOptions): WebhookWorkers {
  const { subscriber, channel, backends, log } = options;
  const workers = new Map<string, Worker<DeliveryJob>>();
  const closing = new Set<Promise<unknown>>();
  const timers = new Set<NodeJS.Timeout>();
  let over = false;

  function wake(webhookId: string): void {
    if (over) return;
    if (workers.has(webhookId)) backends.wake(webhookId);
    else workers.set(webhookId, workerOf(webhookId, options, planned));
  }

  /** BullMQ goes by the wall clock: set back an hour, a try that this process has planned would come an hour late. */
  function planned(webhookId: string, job: DeliveryJob, delayMilliseconds: number): void {
    if (over || timers.size >= MAX_TIMERS) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (!workers.has(webhookId)) return;
      options.queues.promote(webhookId, job).then(
        () => backends.wake(webhookId),
        (error) => {
          log.warn({ webhookId, error }, 'Webhook job not promoted');
          planned(webhookId, job, PROMOTE_AGAIN_MILLISECONDS - PROMOTE_AFTER_MILLISECONDS);
        },
      );
    }, delayMilliseconds + PROMOTE_AFTER_MILLISECONDS);
    timers.add(timer);
  }

  function letGo(webhookId: string, worker: Worker): void {
    workers.delete(webhookId);
    const closed = worker.close().catch(() => undefined);
    closing.add(closed);
    void closed.finally(() => closing.delete(closed));
  }

  const notLooked = nowAndThen((error) => log.warn({ error }, 'Could not look for webhooks'));

  async function look(): Promise<void> {
    try {
      const ids = new Set(await options.ids());
      for (const id of ids) if (!workers.has(id)) wake(id);
      for (const [id, worker] of workers) {
        if (ids.has(id)) continue;
        letGo(id, worker);
        // Whoever deleted it may not have been able to.
        options.queues.drop(id).catch(() => undefined);
      }
    } catch (error) {
      notLooked(error);
    }
  }

  subscriber.on('message', (heard: string, payload: string) => {
    if (heard !== channel || over) return;
    if (payload === 'callers') void look();
    else wake(payload);
  });
  subscriber.subscribe(channel).then(look, () => undefined);
  const timer = setInterval(() => void look(), LOOK_MILLISECONDS);
  return {
    wake,
    async close(graceMilliseconds) {
      over = true;
      clearInterval(timer);
      for (const each of timers) clearTimeout(each);
      for (const [id, worker] of workers) letGo(id, worker);
      await Promise.race([Promise.all(closing), sleep(graceMilliseconds)]);
    },
  };
}

type Planned = (webhookId: string, job: DeliveryJob, delayMilliseconds: number) => void;

function workerOf(webhookId: string, options: WebhookWorkersOptions, planned: Planned): Worker<DeliveryJob> {
  const { redis, prefix, backends, queues, notify, log } = options;
  const worker = new Worker<DeliveryJob>(
    webhookId,
    async ({ data }: Job<DeliveryJob>) => {
      const wait = await notify(webhookId, data);
      if (wait === undefined) return;
      const next = { ...data, attempt: data.attempt + 1 };
      await queues.add(webhookId, next, wait);
      planned(webhookId, next, wait);
      // The worker may be waiting already, for longer than that.
      backends.wake(webhookId);
    },
    {
      connection: redis as unknown as ConnectionOptions,
      prefix,
      concurrency: CONCURRENCY,
      lockDuration: LOCK_MILLISECONDS,
      stalledInterval: LOCK_MILLISECONDS,
      maxStalledCount: 1_000_000,
      drainDelay: IDLE_LOOK_SECONDS,
      runRetryDelay: 1_000,
    },
    backends.factory,
  );
  worker.on(
    'error',
    nowAndThen((error) => log.warn({ webhookId, error }, 'Webhook queue had trouble')),
  );
  return worker;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}
