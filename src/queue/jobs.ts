import { type ConnectionOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Ticket } from '../gateway/deliver.ts';
import { ADD_JOBS, type WaitingJob, waitingJobs } from './add-jobs.ts';
import type { Backends } from './backend.ts';

/**
 * A job carries ids only: the record is the truth, and the job is the engine's way to it. Names of one letter, because
 * Redis keeps a hash whose values have at most 64 octets in half the memory.
 */
export interface JobData {
  /** The message's id. */
  m: string;
  /** The ticket's number. */
  n: number;
  /** The message's priority. */
  p: Ticket['priority'];
}

export function ticketOf({ m, n, p }: JobData): Ticket {
  return { messageId: m, number: n, priority: p };
}

/**
 * Lower goes first. BullMQ runs jobs of rank 0 before all others, in the order in which they came. The odd ones are for
 * retries whose time has come: behind all that came meanwhile, they would wait days in a long lane, and expire.
 */
const RANK = { first: 0, high: 2, normal: 4, low: 6 } as const satisfies Record<Ticket['priority'], number>;
const BEFORE_ITS_LIKE = 1;

/** Whose turn it was, and who could not go, would else wait behind all that a lane has: a hundred thousand take two days. */
export const ITS_TURN: Ticket['priority'] = 'first';

export interface Jobs {
  /** Adds the ticket's job; adding it twice is harmless. */
  add(mailbox: string, ticket: Ticket, delayMilliseconds?: number): Promise<void>;
  /** Runs a delayed job now; nothing where it has run or is gone. */
  promote(mailbox: string, ticket: Ticket): Promise<void>;
  /** Takes the ticket's job out of its queue, unless it is being worked on or is not there. */
  remove(mailbox: string, ticket: Pick<Ticket, 'messageId' | 'number'>): Promise<void>;
  /** Tickets whose jobs are `active`: at a change of owner, those that a dead process left behind. */
  active(mailbox: string): Promise<Ticket[]>;
  close(): Promise<void>;
}

/**
 * BullMQ must never fail or drop a message behind our back: a job that throws is tried again for as long as its ticket
 * is good, and `attempts` counts nothing that a caller sees. What all jobs have in common is said once, by the worker
 * (`WORKER_OPTIONS`), and not written into each.
 */
export const JOB_OPTIONS = { attempts: 1_000_000, backoff: { type: 'again' } };
export const JOB_NAME = 'deliver';

/** What a worker of these jobs must be started with: a job that is over goes at once, one that throws waits a while. */
export const WORKER_OPTIONS = {
  removeOnComplete: { count: 0 },
  removeOnFail: { count: 0 },
  settings: { backoffStrategy: () => Math.round(2_500 + Math.random() * 2_500) },
};

/** As BullMQ's back end takes it: making a `Job` for it first would cost as much as all the rest. */
function jobOf({ messageId, number, priority }: Ticket, delayMilliseconds: number) {
  const jobId = `${messageId}-${number}`;
  const delay = Math.max(0, Math.round(delayMilliseconds));
  const data: JobData = { m: messageId, n: number, p: priority };
  const usual = RANK[priority];
  const rank = delay > 0 && usual > 0 ? usual - BEFORE_ITS_LIKE : usual;
  const job = {
    id: jobId,
    name: JOB_NAME,
    data: JSON.stringify(data),
    opts: { ...JOB_OPTIONS, priority: rank, ...(delay > 0 && { delay }) },
    timestamp: Date.now(),
    progress: 0,
    attemptsMade: 0,
    attemptsStarted: 0,
    stalledCounter: 0,
    failedReason: '',
    returnvalue: '',
  };
  return { job, jobId };
}

type Adding = ReturnType<typeof jobOf>;

/** What is taken out of another's hands goes first again. */
function ticketNamed(jobId: string): Ticket {
  const end = jobId.lastIndexOf('-');
  return { messageId: jobId.slice(0, end), number: Number(jobId.slice(end + 1)), priority: ITS_TURN };
}

/** The same options as `jobOf` gives, by rank. */
const WAITING_OPTIONS = new Map<number, string>(
  Object.values(RANK).map((priority) => [
    priority,
    JSON.stringify({ attempts: JOB_OPTIONS.attempts, backoff: JOB_OPTIONS.backoff, priority }),
  ]),
);

function waitingJobOf({ messageId, number, priority }: Ticket): WaitingJob {
  const data: JobData = { m: messageId, n: number, p: priority };
  const rank = RANK[priority];
  return {
    id: `${messageId}-${number}`,
    data: JSON.stringify(data),
    options: WAITING_OPTIONS.get(rank) as string,
    rank,
  };
}

const inLua = (text: string) => `'${text}'`;
const byPriority = (told: (rank: number) => string) =>
  `{ ${Object.entries(RANK).map(([priority, rank]) => `${priority} = ${inLua(told(rank))}`)} }`;

/**
 * Lua for the script that writes new messages: defines `firstJobs(queue, timestamp, messages)`, which adds the job of each
 * message's first ticket as `add` does. Of each message come its id and its priority in turn.
 */
export const FIRST_JOBS = `${ADD_JOBS}
local OPTIONS = ${byPriority((rank) => WAITING_OPTIONS.get(rank) as string)}
local RANK = ${byPriority(String)}
local function firstJobs(queue, timestamp, messages)
  local jobs = {}
  for i = 1, #messages, 2 do
    local id, priority = messages[i], messages[i + 1]
    local at = #jobs
    jobs[at + 1] = id .. '-1'
    jobs[at + 2] = '{"m":"' .. id .. '","n":1,"p":"' .. priority .. '"}'
    jobs[at + 3] = OPTIONS[priority]
    jobs[at + 4] = RANK[priority]
  end
  addJobs(queue, ${inLua(JOB_NAME)}, timestamp, jobs)
end
`;

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
    };
    const queue = new Queue<JobData>(mailbox, options, backends.factory);
    queue.on('error', () => undefined);
    queues.set(mailbox, queue);
    return queue;
  };
  const adding = together<Adding>(async (mailbox, jobs) => {
    if (backends.failed()) queues.clear();
    await queueOf(mailbox).getBackend().addJobs(jobs);
  });
  const addingWaiting = together(waitingJobs(redis, prefix, JOB_NAME));
  return {
    // BullMQ keeps what waits for a time, and what goes before all others, in other ways.
    add: (mailbox, ticket, delayMilliseconds = 0) =>
      delayMilliseconds > 0 || RANK[ticket.priority] === 0
        ? adding(mailbox, jobOf(ticket, delayMilliseconds))
        : addingWaiting(mailbox, waitingJobOf(ticket)),
    async promote(mailbox, { messageId, number }) {
      const job = await queueOf(mailbox).getJob(`${messageId}-${number}`);
      if (!job || !(await job.isDelayed())) return;
      try {
        await job.promote();
      } catch (error) {
        // Its time has come meanwhile, or somebody else has promoted it.
        if (await job.isDelayed()) throw error;
      }
    },
    async remove(mailbox, { messageId, number }) {
      await queueOf(mailbox).remove(`${messageId}-${number}`);
    },
    async active(mailbox) {
      // Their names are enough: a job that is damaged must not keep a lane from being opened.
      const ids = await queueOf(mailbox).getRanges(['active'], 0, -1, true);
      return ids.map(ticketNamed);
    },
    async close() {
      await Promise.allSettled([...queues.values()].map((queue) => queue.close()));
    },
  };
}

interface Group<Item> {
  items: Item[];
  sent: Promise<void>;
}

/**
 * Adds the jobs of one turn of the event loop together, mailbox by mailbox, in one write. The turn's end is set anew by
 * each, so that they follow whatever was written of their messages in the same way before them.
 */
function together<Item>(send: (mailbox: string, items: Item[]) => Promise<void>) {
  let groups = new Map<string, Group<Item>>();
  let end: NodeJS.Immediate | undefined;
  let begin = () => {};
  let begun = Promise.resolve();

  function flush(): void {
    groups = new Map();
    end = undefined;
    begin();
  }

  return (mailbox: string, item: Item): Promise<void> => {
    if (end) clearImmediate(end);
    else
      begun = new Promise((resolve) => {
        begin = resolve;
      });
    end = setImmediate(flush);
    const group = groups.get(mailbox);
    if (group) {
      group.items.push(item);
      return group.sent;
    }
    const items = [item];
    const sent = begun.then(() => send(mailbox, items));
    groups.set(mailbox, { items, sent });
    return sent;
  };
}
