import { type ConnectionOptions, type Job, WaitingError, Worker } from 'bullmq';
import { deliver, type Lane, LaneClosed, type Ticket } from '../gateway/deliver.ts';
import type { Outcome, Verdict } from '../gateway/judge.ts';
import { type AnswerWatch, watchAnswers } from '../gateway/lost-answers.ts';
import type { Attempted, Pace, Permit } from '../gateway/ports.ts';
import { expiredFailure, lostFailure, overDayFailure } from '../gateway/recover.ts';
import { isFinal, mayMoveTo } from '../mail/status.ts';
import { isTestLane } from '../mail/test-lane.ts';
import { sendBackAstray } from './astray.ts';
import { type Dialer, keepConnections } from './connections.ts';
import { endedLately, isForgotten } from './ended.ts';
import { freshly, LATE_MILLISECONDS } from './fresh.ts';
import { type HoldKeys, keysFrom, openGate } from './gate.ts';
import type { HoldTeller } from './hold-teller.ts';
import { ITS_TURN, JOB_NAME, JOB_OPTIONS, type JobData, ticketOf, WORKER_OPTIONS } from './jobs.ts';
import { localWindow } from './local-window.ts';
import { persistently, RETRY_STORE_MILLISECONDS, sleep } from './persistently.ts';
import { lanePlaces, shareOf } from './places.ts';
import { putBackUnspent } from './put-back.ts';
import { giveUpMessage, readdJobs, recoverOrphans, recoverSent } from './recovery.ts';
import type { LaneTools } from './tools.ts';

/** One mailbox as the engine sees it. */
export interface LaneSettings<Connection> {
  mailbox: string;
  pace: Pace;
  /** At most this many connections, and as many messages at a time. */
  connections: number;
  dialer: Dialer<Connection>;
  transact: Lane<Connection>['transact'];
  /** Of the settings that its logins, and its day, depend on. */
  settingsDigest: string;
  holdKeys: HoldKeys;
  /** For a server that no try can harm. */
  longestHoldMilliseconds?: number;
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
/**
 * Connections are promised, and messages announced on them, where the mailbox may send this many a second on each. Below,
 * it would gain nothing, and a MAIL that was announced behind a dot can be read long after its worker has died, when its
 * place in the window has been given to another. Microsoft's thirty a minute are far below.
 */
const PROMISED_FROM_A_SECOND = 1;
/** So many messages that follow each other at once, and a lane takes more of them in hand. */
const PROMISED_BEFORE_MORE = 10;
/** Answers behind the dot that are lost in a row, beside one on each connection, before the mailbox is held. */
const LOST_BY_CHANCE = 2;
/** Half a minute's. */
const JOB_TRIES = 60;
/** After Redis was away, for what was under way to have settled. */
const SETTLED_MILLISECONDS = 1_000;
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
  holds: HoldTeller,
): Promise<OpenLane> {
  const { mailbox, pace } = settings;
  const { messages, mailboxes, jobs, clock, log } = tools;
  const closing = new AbortController();
  const window = localWindow(pace.perWindow, pace.windowMilliseconds);
  const share = shareOf(settings.connections, () => window.wait() === 0);
  const connections = keepConnections(settings.dialer, share, lanePlaces(settings, lease, tools));
  /** What the store's clock is ahead of our monotonic one. */
  let ahead = (await clock.now()) - performance.now();
  // What others have sent counts by that clock. Where it has jumped within a window, it may have forgotten all of it.
  const allTaken = () => window.fill(pace.windowMilliseconds + LATE_MILLISECONDS);
  if (clock.jumped(pace.windowMilliseconds + LATE_MILLISECONDS)) allTaken();
  await recoverOrphans(mailbox, lease, pace.windowMilliseconds, tools);
  const holdKeys = keysFrom(settings.holdKeys);
  for (const ended of await mailboxes.describe(mailbox, holdKeys)) holds.outdated(mailbox, ended);
  const gate = await openGate({
    keys: settings.holdKeys,
    owner: { mailbox, lease },
    store: mailboxes,
    settingsDigest: settings.settingsDigest,
    windowMilliseconds: pace.windowMilliseconds,
    longestHoldMilliseconds: settings.longestHoldMilliseconds,
    random: tools.chance.random,
    onHold: (hold, told) => holds.held(mailbox, hold, told),
    onRelease: (hold, since) => holds.released(mailbox, hold, since),
    onUnwritten: (error) => log.warn({ mailbox, error }, 'Hold could not be written'),
  });

  const timers = new Set<NodeJS.Timeout>();
  /** What frees the place of a running attempt, by its token, and what its ticket's priority was. */
  const places = new Map<string, { free(isMade?: boolean): void; priority: Ticket['priority'] }>();
  /** The tokens of attempts that may have begun, and whose end is not written yet. */
  const underWay = new Set<string>();
  /** How the last attempt at a message ended. */
  const ended = endedLately();
  /** What to call when the attempt of a job that BullMQ gave us has begun. */
  const jobsInHand = new Map<Ticket, () => void>();
  const deliveries = new Set<Promise<void>>();
  const isFast = (1_000 * pace.perWindow) / pace.windowMilliseconds >= PROMISED_FROM_A_SECOND * settings.connections;
  /** Connections that were promised since somebody had to wait for the window last. */
  let promised = 0;
  /** Results that Redis did not take at once. */
  let unwritten = 0;

  const lane: Lane<Connection> = {
    pass: gate.pass,
    connect: connections.lend,
    promise(connection) {
      if (!isFast || !connections.promise(connection)) return;
      promised += 1;
      // Two for a connection: one that is sent, and one that is made ready meanwhile. To look for them in a lane that is
      // soon empty would cost more than it saves.
      if (promised >= PROMISED_BEFORE_MORE) worker.concurrency = 2 * settings.connections;
    },
    upcoming: connections.upcoming,
    giveBack: connections.takeBack,
    async begin(ticket, token, trial) {
      underWay.add(token);
      const permit = await mayBegin(ticket, token, trial);
      if (permit.kind !== 'go') underWay.delete(token);
      return permit;
    },
    transact: settings.transact,
    markDot: messages.markDot,
    holdAfter: answerWatchOf(settings),
    sleep: (milliseconds) => sleep(milliseconds, closing.signal),
    async settle(record, token, verdict, outcome) {
      const place = places.get(token);
      place?.free();
      places.delete(token);
      const write = (of: string) => writeResult(record, of, verdict, outcome, place?.priority);
      const isWritten = await write(token);
      underWay.delete(token);
      if (isWritten) ended.remember(record.id, { token, verdict, write });
    },
    async putBack(record, token, wasAnnounced) {
      const { id } = record;
      places.get(token)?.free(wasAnnounced);
      places.delete(token);
      const moved = await persistently(
        () => putBackUnspent(record, token, settings, messages, wasAnnounced),
        (error) => log.warn({ mailbox, messageId: id, error }, 'Could not put it back yet; trying again'),
      );
      underWay.delete(token);
      if (moved.moved) await addJob({ messageId: id, number: moved.ticket, priority: ITS_TURN });
    },
    giveUpOverDay: ({ messageId }) => giveUpMessage(messageId, overDayFailure(pace.recipientsPerDay), tools),
    giveUpEmpty: ({ messageId }) => giveUpMessage(messageId, lostFailure, tools),
    async expire({ messageId }) {
      await clock.now();
      if (clock.jumped()) return false;
      await giveUpMessage(messageId, expiredFailure, tools);
      return true;
    },
  };

  /** How the attempt of this token ended, or one that came after it, where that is remembered. */
  async function writeAgain(id: string, token: string): Promise<void> {
    const before = ended.recall(id);
    if (!before) return;
    // Else it may be one that was put back, and the message was sent again since: by a person, say, after it had failed.
    const record = before.token === token ? undefined : await messages.find(id);
    if (before.token === token || (record && isForgotten(before, record))) await before.write(token);
  }

  /** @returns false where the message has moved on */
  async function writeResult(
    record: Attempted,
    token: string,
    verdict: Verdict,
    outcome: Outcome,
    priorityBefore: Ticket['priority'] | undefined,
  ): Promise<boolean> {
    const pending = record.recipients.filter(({ status }) => !isFinal(status)).length;
    // Where nobody knows whether the server has taken it, it counts, also if it is sent again.
    const unused = verdict.attempt.outcome === 'unconfirmed' ? 0 : pending - outcome.accepted.length;
    let isLate = false;
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
      (error) => {
        if (!isLate) unwritten += 1;
        isLate = true;
        log.error({ mailbox, messageId: record.id, error }, 'Result could not be written yet; trying again');
      },
    );
    if (isLate) unwritten -= 1;
    const { attempt, failure } = verdict;
    const response = attempt.reply?.response;
    const fields = { messageId: record.id, mailbox, attempt: attempt.number, failure, response };
    if (!moved.moved) {
      log.warn({ status: moved.status, ...fields }, 'Message had moved on; result dropped');
      return false;
    }
    const isPutBack = verdict.to === 'queued' && verdict.hold !== undefined;
    log.info(fields, isPutBack ? 'Message put back, since its mailbox is held' : `Message ${verdict.to}`);
    if (verdict.to !== 'queued' && verdict.to !== 'deferred') return true;
    // One that goes again at once has had its turn. But whoever meets a hold lets another be the next to try it, and one
    // that had its turn twice may be what breaks the connections.
    const isNext = verdict.to === 'queued' && !verdict.hold && priorityBefore !== ITS_TURN;
    const priority = isNext ? ITS_TURN : record.priority;
    const next = { messageId: record.id, number: moved.ticket, priority };
    await addJob(next, verdict.delayMilliseconds);
    if (verdict.delayMilliseconds) promoteInTime(next, verdict.delayMilliseconds);
    return true;
  }

  async function mayBegin(ticket: Ticket, token: string, trial: boolean): Promise<Permit> {
    // Closed since it passed, which the store may not know of yet.
    if (!trial && gate.isClosed()) return { kind: 'held' };
    // No message is sent whose result could not be written.
    const wait = unwritten > 0 ? RETRY_STORE_MILLISECONDS : window.wait();
    if (wait > 0) {
      // Who waits for the window should wait in the queue, where what is more urgent overtakes it.
      worker.concurrency = settings.connections;
      promised = 0;
      return { kind: 'wait', milliseconds: wait };
    }
    // Before it asks: others ask meanwhile, and a store that has lost its last writes lets them all.
    const free = window.take();
    const permit = await askToBegin(ticket, token, trial);
    if (permit.kind === 'go') {
      places.set(token, { free, priority: ticket.priority });
      jobsInHand.get(ticket)?.();
    } else free(false);
    return permit;
  }

  async function askToBegin(ticket: Ticket, token: string, trial: boolean): Promise<Permit> {
    const { messageId, number } = ticket;
    let asked = 0;
    let answeredAt = 0;
    const permit = await persistently(
      async () => {
        const begun = await freshly(() => {
          asked += 1;
          return messages.begin({
            id: messageId,
            mailbox,
            ticket: number,
            token,
            lease,
            trial,
            holdKeys,
            ignoreExpiry: clock.jumped(),
            expectedNow: performance.now() + ahead,
            pace,
          });
        });
        answeredAt = performance.now();
        if (begun.kind === 'damaged') {
          await putBackUnspent({ id: messageId, recipients: [] }, token, settings, messages);
          return { kind: 'gone' } as const;
        }
        if (begun.kind !== 'go') return begun;
        const mime = begun.mime ?? (await contentOf(messageId));
        if (mime) return { kind: 'go' as const, record: begun.record, startedAt: begun.startedAt, mime };
        await putBackUnspent(begun.record, token, settings, messages);
        return { kind: 'gone' } as const;
      },
      (error) => log.warn({ mailbox, messageId, error }, 'Could not begin yet; trying again'),
      closing.signal,
    );
    if (permit.kind === 'jumped') {
      ahead = permit.now - answeredAt;
      allTaken();
      log.warn({ mailbox }, 'Clock of Redis has jumped; waiting for a window');
      return { kind: 'wait', milliseconds: window.wait() };
    }
    // So that it follows clocks that go a little apart; an answer that was asked for again tells of the first time.
    if (permit.kind === 'go' && asked === 1) ahead = permit.startedAt - answeredAt;
    if (permit.kind === 'quota' && permit.left > 0) {
      const { recipients, left } = permit;
      log.warn({ mailbox, messageId, recipients, left }, 'Message goes to more than the day has left; all others wait');
    }
    if (permit.kind === 'go' && (permit.record.test === true) !== isTestLane(mailbox))
      return persistently(
        () => sendBackAstray(permit, token, settings, tools),
        (error) => log.warn({ mailbox, messageId, error }, 'Could not give it back yet; trying again'),
      );
    const before = permit.kind === 'go' ? ended.recall(messageId) : undefined;
    if (permit.kind !== 'go' || !before || !isForgotten(before, permit.record)) return permit;
    // Redis has forgotten an attempt. Another one would send the message twice.
    await before.write(token);
    return { kind: 'void' };
  }

  /** Undefined where Redis has lost it since the message began. */
  async function contentOf(id: string): Promise<Buffer | undefined> {
    try {
      return await messages.content(id);
    } catch (error) {
      if (await messages.hasContent(id)) throw error;
      return undefined;
    }
  }

  /** Tried again for a while; only then, or after a crash, is the message one for the sweeper, which comes later. */
  async function addJob(ticket: Ticket, delayMilliseconds = 0, tries = JOB_TRIES): Promise<void> {
    try {
      await jobs.add(mailbox, ticket, delayMilliseconds);
    } catch (error) {
      log.warn({ mailbox, messageId: ticket.messageId, error }, 'Job not added yet');
      const then = Math.max(0, delayMilliseconds - RETRY_STORE_MILLISECONDS);
      if (tries > 1) later(RETRY_STORE_MILLISECONDS, () => addJob(ticket, then, tries - 1));
    }
    // The worker may have found the queue empty meanwhile, or not know of the delay.
    tools.backends.wake(mailbox);
  }

  /** BullMQ goes by the wall clock: set back an hour, a retry would come an hour late. */
  function promoteInTime(ticket: Ticket, delayMilliseconds: number): void {
    const promote = () => jobs.promote(mailbox, ticket);
    later(delayMilliseconds + PROMOTE_AFTER_MILLISECONDS, () =>
      promote().catch((error) => log.warn({ mailbox, error }, 'Job not promoted')),
    );
  }

  function later(milliseconds: number, run: () => Promise<void>): void {
    if (closing.signal.aborted || timers.size >= MAX_TIMERS) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      void run();
    }, milliseconds);
    timers.add(timer);
  }

  /**
   * Delivers, and resolves when the attempt has begun or there is none. Then the job is over: the message is `sending`,
   * and what becomes of it is between its record and the lane. BullMQ finishes the job and fetches the next one while
   * the attempt runs.
   */
  function untilBegun(ticket: Ticket): Promise<void> {
    return new Promise((resolve, reject) => {
      let hasBegun = false;
      jobsInHand.set(ticket, () => {
        hasBegun = true;
        jobsInHand.delete(ticket);
        resolve();
      });
      const delivery = deliver(ticket, lane, tools.chance)
        .then(resolve, (error) => {
          if (!(error instanceof LaneClosed))
            log.error({ mailbox, messageId: ticket.messageId, error }, 'Delivery stopped unexpectedly');
          if (!hasBegun) reject(error);
        })
        .finally(() => {
          jobsInHand.delete(ticket);
          deliveries.delete(delivery);
        });
      deliveries.add(delivery);
    });
  }

  async function process(job: Job<JobData>, token?: string): Promise<void> {
    try {
      await untilBegun(ticketOf(job.data));
    } catch (error) {
      if (!(error instanceof LaneClosed)) throw error;
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
    tools.backends.forLanes({ jobName: JOB_NAME, jobOptions: JOB_OPTIONS, lockMilliseconds: LOCK_MILLISECONDS }),
  );
  worker.on('error', (error) => log.warn({ mailbox, error }, 'Queue had trouble'));

  /**
   * A job that BullMQ fetched in an answer that was lost is in nobody's hands until its lock has run out. And a Redis that
   * lost its last writes, as a fail-over may, takes for being sent what has ended: how, this process may still know.
   */
  async function takeUpWhatIsLost(): Promise<void> {
    await sleep(SETTLED_MILLISECONDS, closing.signal);
    for (const { id, token } of (await messages.sending(mailbox, lease)) ?? [])
      if (!underWay.has(token)) await writeAgain(id, token);
    await recoverSent(mailbox, lease, pace.windowMilliseconds, tools, (token) => underWay.has(token));
    const active = await jobs.active(mailbox);
    await sleep(0, closing.signal);
    const isInHand = (ticket: Ticket) =>
      [...jobsInHand.keys()].some((mine) => mine.messageId === ticket.messageId && mine.number === ticket.number);
    const lost = active.filter((ticket) => !isInHand(ticket));
    await readdJobs(mailbox, lost, tools);
    tools.backends.wake(mailbox);
  }
  const reconnected = () => {
    takeUpWhatIsLost().catch((error) => {
      if (!(error instanceof LaneClosed)) log.warn({ mailbox, error }, 'What Redis may have lost was not looked for');
    });
  };
  tools.redis.on('ready', reconnected);

  return {
    mailbox,
    wake: () => tools.backends.wake(mailbox),
    refreshHold: async (key) => {
      if (key === undefined || gate.concerns(key)) await gate.refresh();
    },
    async close(graceMilliseconds) {
      closing.abort();
      gate.close();
      connections.stop();
      tools.redis.off('ready', reconnected);
      for (const timer of timers) clearTimeout(timer);
      const finished = worker.close().then(() => Promise.all(deliveries));
      await Promise.race([finished, sleep(graceMilliseconds)]);
      if (places.size > 0)
        log.warn(
          { mailbox, attempts: places.size },
          'Attempts cut off; the next owner says what became of their messages',
        );
      await connections.close();
    },
  };
}

/** Of each mailbox: the lane of one that has little to send is closed between two messages. */
const answerWatches = new WeakMap<object, AnswerWatch>();

function answerWatchOf(settings: LaneSettings<unknown>): AnswerWatch {
  const known = answerWatches.get(settings) ?? watchAnswers(settings.connections + LOST_BY_CHANCE);
  answerWatches.set(settings, known);
  return known;
}
