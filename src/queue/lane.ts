import { type ConnectionOptions, type Job, WaitingError, Worker } from 'bullmq';
import { deliver, type Lane, LaneClosed, type Ticket } from '../gateway/deliver.ts';
import type { Pace } from '../gateway/ports.ts';
import { mayMoveTo } from '../mail/status.ts';
import { type Dialer, keepConnections } from './connections.ts';
import { type HoldKeys, keysFrom, type LoginDigests, openGate } from './gate.ts';
import { type JobData, ticketOf, WORKER_OPTIONS } from './jobs.ts';
import { localWindow } from './local-window.ts';
import { expireMessage, recoverOrphans } from './recovery.ts';
import type { LaneTools } from './tools.ts';

/** One mailbox as the engine sees it. */
export interface LaneSettings<Connection> {
  mailbox: string;
  pace: Pace;
  /** At most this many connections, and as many messages at a time. */
  connections: number;
  dialer: Dialer<Connection>;
  transact: Lane<Connection>['transact'];
  loginDigests: LoginDigests;
  holdKeys: HoldKeys;
}

export interface OpenLane {
  mailbox: string;
  wake(): void;
  /** Reads the holds again if this one is among them; without a key, in any case. */
  refreshHold(key?: string): Promise<void>;
  /** No new attempts; those that run are finished, for at most `graceMilliseconds`. */
  close(graceMilliseconds: number): Promise<void>;
}

/**
 * BullMQ's lock on a job, renewed at half, and how often it looks for jobs whose lock ran out. Neither guards against a
 * second send, which the ticket and the lease do: they only decide how soon a job that Redis gave to nobody, since its
 * answer was lost, is given again.
 */
const LOCK_MILLISECONDS = 15_000;
const STALLED_LOOK_MILLISECONDS = 15_000;
const RETRY_STORE_MILLISECONDS = 500;
/** Time enough for BullMQ to run a retry by itself. */
const PROMOTE_AFTER_MILLISECONDS = 2_000;
/** A lane with more retries than this waiting is behind its pace anyway. */
const MAX_TIMERS = 10_000;

/**
 * Drives one mailbox's queue. Call it only while this process holds the mailbox's lease (`lease` is its value): one
 * owner at a time is what makes the connection limit, the hold and the recovery below sound.
 */
export async function openLane<Connection>(
  settings: LaneSettings<Connection>,
  lease: string,
  tools: LaneTools,
): Promise<OpenLane> {
  const { mailbox, pace } = settings;
  const { messages, mailboxes, jobs, clock, log } = tools;
  const closing = new AbortController();
  const connections = keepConnections(settings.dialer, settings.connections);
  await mailboxes.landOrphans(mailbox, pace.windowMilliseconds);
  await recoverOrphans(mailbox, tools);
  const holdKeys = keysFrom(settings.holdKeys);
  await mailboxes.describe(mailbox, holdKeys);
  const gate = await openGate({
    keys: settings.holdKeys,
    owner: lease,
    store: mailboxes,
    digests: settings.loginDigests,
    windowMilliseconds: pace.windowMilliseconds,
    random: tools.chance.random,
    onHold: (hold, failure, nextProbeInMilliseconds) =>
      log.warn(
        { mailbox, hold, failure, nextProbeInMilliseconds: Math.round(nextProbeInMilliseconds) },
        'Mailbox held',
      ),
    onRelease: (hold) => log.info({ mailbox, hold }, 'Mailbox released'),
  });

  const window = localWindow(pace.perWindow, pace.windowMilliseconds);
  const timers = new Set<NodeJS.Timeout>();
  /** What frees the place of a running attempt, by its token. */
  const places = new Map<string, () => void>();

  const lane: Lane<Connection> = {
    pass: gate.pass,
    connect: connections.lend,
    giveBack: connections.takeBack,
    async begin({ messageId, number }, token, trial) {
      const wait = window.wait();
      if (wait > 0) return { kind: 'wait', milliseconds: wait };
      const permit = await persistently(
        () =>
          messages.begin({
            id: messageId,
            mailbox,
            ticket: number,
            token,
            lease,
            trial,
            holdKeys,
            ignoreExpiry: clock.jumped(),
            pace,
          }),
        (error) => log.warn({ mailbox, messageId, error }, 'Could not begin yet; trying again'),
        closing.signal,
      );
      if (permit.kind === 'go') places.set(token, window.take());
      return permit;
    },
    transact: settings.transact,
    markDot: messages.markDot,
    sleep: (milliseconds) => sleep(milliseconds, closing.signal),
    async settle(record, token, verdict, outcome) {
      places.get(token)?.();
      places.delete(token);
      const pending = record.recipients.filter(({ status }) => status !== 'sent' && status !== 'failed').length;
      const unused = verdict.to === 'unconfirmed' ? 0 : pending - outcome.accepted.length;
      const moved = await persistently(
        () =>
          messages.move({
            id: record.id,
            mailbox,
            to: verdict.to,
            from: mayMoveTo(verdict.to).filter((from) => from === 'sending' || from === 'unconfirmed'),
            token,
            recipients: verdict.recipients,
            attempts: verdict.attempts,
            attempt: verdict.attempt,
            ...(verdict.failure ? { failure: verdict.failure } : { clearFailure: true }),
            ...(verdict.delayMilliseconds !== undefined && { delayMilliseconds: verdict.delayMilliseconds }),
            flight: { counted: true, windowMilliseconds: pace.windowMilliseconds, unusedRecipients: unused },
          }),
        (error) => log.error({ mailbox, messageId: record.id, error }, 'Result could not be written yet; trying again'),
      );
      const fields = { messageId: record.id, mailbox, attempt: verdict.attempt.number, failure: verdict.failure };
      if (!moved.moved) return log.warn({ ...fields, status: moved.status }, 'Message had moved on; result dropped');
      log.info({ ...fields, response: verdict.attempt.reply?.response }, `Message ${verdict.to}`);
      if (verdict.to !== 'queued' && verdict.to !== 'deferred') return;
      const next = { messageId: record.id, number: moved.ticket, priority: record.priority };
      await jobs
        .add(mailbox, next, verdict.delayMilliseconds)
        .catch((error) => log.warn({ error }, 'Job not added yet'));
      if (verdict.delayMilliseconds) promoteInTime(next, verdict.delayMilliseconds);
    },
    async expire({ messageId }) {
      await clock.now();
      if (clock.jumped()) return false;
      await expireMessage(messageId, tools);
      return true;
    },
  };

  /** BullMQ goes by the wall clock: set back an hour, a retry would come an hour late. */
  function promoteInTime(ticket: Ticket, delayMilliseconds: number): void {
    if (timers.size >= MAX_TIMERS) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      jobs.promote(mailbox, ticket).catch((error) => log.warn({ mailbox, error }, 'Job not promoted'));
    }, delayMilliseconds + PROMOTE_AFTER_MILLISECONDS);
    timers.add(timer);
  }

  async function process(job: Job<JobData>, token?: string): Promise<void> {
    const ticket = ticketOf(job.data);
    try {
      await deliver(ticket, lane, tools.chance);
    } catch (error) {
      if (!(error instanceof LaneClosed)) {
        log.error({ mailbox, messageId: ticket.messageId, error }, 'Delivery stopped unexpectedly; tried again later');
        throw error;
      }
      await job.moveToWait(token);
      throw new WaitingError();
    }
  }

  const worker = new Worker<JobData>(
    mailbox,
    process,
    {
      ...WORKER_OPTIONS,
      connection: tools.redis as unknown as ConnectionOptions,
      prefix: tools.prefix,
      concurrency: settings.connections,
      lockDuration: LOCK_MILLISECONDS,
      stalledInterval: STALLED_LOOK_MILLISECONDS,
      maxStalledCount: 1_000_000,
      drainDelay: 5,
      runRetryDelay: 1_000,
    },
    tools.backends.factory,
  );
  worker.on('error', (error) => log.warn({ mailbox, error }, 'Queue had trouble'));

  return {
    mailbox,
    wake: () => tools.backends.wake(mailbox),
    refreshHold: async (key) => {
      if (key === undefined || gate.concerns(key)) await gate.refresh();
    },
    async close(graceMilliseconds) {
      closing.abort();
      gate.close();
      for (const timer of timers) clearTimeout(timer);
      await Promise.race([worker.close(), sleep(graceMilliseconds)]);
      await connections.close();
    },
  };
}

/** What has been learned must be written: tried until it is, whatever Redis says meanwhile. */
async function persistently<T>(
  ask: () => Promise<T>,
  tell: (error: unknown) => void,
  signal?: AbortSignal,
): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      tell(error);
      await sleep(RETRY_STORE_MILLISECONDS, signal);
    }
  }
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new LaneClosed('The lane is closing'));
    const close = () => {
      clearTimeout(timer);
      reject(new LaneClosed('The lane is closing'));
    };
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', close);
        resolve();
      },
      Math.max(1, milliseconds),
    );
    signal?.addEventListener('abort', close, { once: true });
  });
}
