import { type ConnectionOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Ticket } from '../gateway/deliver.ts';
import type { Backends } from './backend.ts';

/** A job carries ids only: the record is the truth, and the job is the engine's way to it. */
export interface JobData {
  messageId: string;
  ticket: number;
  priority: Ticket['priority'];
}

export function ticketOf({ messageId, ticket, priority }: JobData): Ticket {
  return { messageId, number: ticket, priority };
}

/** Lower goes first. BullMQ runs jobs of rank 0 before all others, in the order in which they came. */
const RANK = { first: 0, high: 1, normal: 2, low: 3 } as const satisfies Record<Ticket['priority'], number>;

export interface Jobs {
  /** Adds the ticket's job; adding it twice is harmless. */
  add(mailbox: string, ticket: Ticket, delayMilliseconds?: number): Promise<void>;
  /** Runs a delayed job now; nothing where it has run or is gone. */
  promote(mailbox: string, ticket: Ticket): Promise<void>;
  /** Tickets whose jobs are `active`: at a change of owner, those that a dead process left behind. */
  active(mailbox: string): Promise<Ticket[]>;
  close(): Promise<void>;
}

/**
 * BullMQ must never fail or drop a message behind our back: a job that throws is tried again for as long as its ticket
 * is good, and `attempts` counts nothing that a caller sees.
 */
const JOB_OPTIONS = {
  attempts: 1_000_000,
  backoff: { type: 'fixed', delay: 5_000, jitter: 0.5 },
  removeOnComplete: true,
  removeOnFail: true,
} as const;

export function jobQueues(redis: Redis, prefix: string, backends: Backends): Jobs {
  const queues = new Map<string, Queue<JobData>>();
  const queueOf = (mailbox: string) => {
    const known = queues.get(mailbox);
    if (known) return known;
    const options = {
      connection: redis as unknown as ConnectionOptions,
      prefix,
      skipWaitingForReady: true,
      streams: { events: { maxLen: 100 } },
      defaultJobOptions: JOB_OPTIONS,
    };
    const queue = new Queue<JobData>(mailbox, options, backends.factory);
    queue.on('error', () => undefined);
    queues.set(mailbox, queue);
    return queue;
  };
  return {
    async add(mailbox, { messageId, number, priority }, delayMilliseconds = 0) {
      const delay = Math.max(0, Math.round(delayMilliseconds));
      const options = { jobId: `${messageId}-${number}`, delay, priority: RANK[priority] };
      if (backends.failed()) queues.clear();
      await queueOf(mailbox).add('deliver', { messageId, ticket: number, priority }, options);
    },
    async promote(mailbox, { messageId, number }) {
      const job = await queueOf(mailbox).getJob(`${messageId}-${number}`);
      if (await job?.isDelayed()) await job?.promote();
    },
    async active(mailbox) {
      const jobs = await queueOf(mailbox).getActive();
      return jobs.filter(Boolean).map(({ data }) => ticketOf(data));
    },
    async close() {
      await Promise.allSettled([...queues.values()].map((queue) => queue.close()));
    },
  };
}
