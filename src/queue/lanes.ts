import type { Redis } from 'ioredis';
import { holdTeller } from './hold-teller.ts';
import { type LaneSettings, type OpenLane, openLane } from './lane.ts';
import type { LaneTools } from './tools.ts';
import { undrivenTeller } from './undriven.ts';

export interface Lanes {
  /** Stops taking work, finishes what runs, hands the lanes over. */
  close(graceMilliseconds: number): Promise<void>;
}

export interface LanesOptions<Connection> {
  /** Unique to this process. */
  owner: string;
  mailboxes: LaneSettings<Connection>[];
  tools: LaneTools;
  /** A connection of its own: a subscriber can do nothing else. */
  subscriber: Redis;
  /** Where mailboxes that have something to do are named, and holds (`hold:<key>`) that changed. */
  channel: string;
  /** How long a lane is idle before it is closed; 15 s if absent. */
  idleMilliseconds?: number;
}

/** Taken over this long after its owner died; renewed three times as often. */
const LEASE_MILLISECONDS = 3_000;
const RENEW_MILLISECONDS = 1_000;
/** A lost wake-up is made up for, and a lane without an owner seen, this soon. */
const LOOK_MILLISECONDS = 500;
/** An idle lane is closed, so that a thousand configured mailboxes cost what the busy ones do. */
const USUAL_IDLE_MILLISECONDS = 15_000;
/** A message that came just as its idle lane was closing is finished first. */
const IDLE_GRACE_MILLISECONDS = 60_000;
/** A hold that somebody ended unheard, while the subscription was down without either end knowing, is read again. */
const HOLDS_MILLISECONDS = 15_000;
/** A process lets others be first, the longer the more lanes it drives already. */
const POLITENESS_MILLISECONDS = 50;
const MOST_POLITENESS_MILLISECONDS = 1_000;

interface Owned {
  lane: OpenLane;
  lease: string;
  busyAt: number;
}

/** Drives, of the configured mailboxes that have something to do, those whose lease this process gets. */
export async function driveLanes<Connection>(options: LanesOptions<Connection>): Promise<Lanes> {
  const { owner, tools, subscriber, channel, idleMilliseconds = USUAL_IDLE_MILLISECONDS } = options;
  const { mailboxes: store, log } = tools;
  const settings = new Map(options.mailboxes.map((each) => [each.mailbox, each]));
  const owned = new Map<string, Owned>();
  /** By mailbox: of open lanes, of those being opened, and of those being closed, in which something may still run. */
  const leases = new Map<string, string>();
  const holds = holdTeller(log);
  const undriven = undrivenTeller(log);
  const taking = new Set<string>();
  let epoch = 0;
  let over = false;

  /** Waiting for their turn to be taken, in order, since when they were wanted. */
  const wanted: { mailbox: string; since: number }[] = [];
  const opening = new Set<Promise<void>>();
  let isTaking = false;

  function take(mailbox: string): void {
    if (!settings.has(mailbox) || over || owned.has(mailbox) || taking.has(mailbox)) return;
    taking.add(mailbox);
    wanted.push({ mailbox, since: performance.now() });
    void takeInTurn();
  }

  /** One after the other, and the later the more there are already: what others have taken meanwhile is only asked for. */
  async function takeInTurn(): Promise<void> {
    if (isTaking) return;
    isTaking = true;
    for (let next = wanted[0]; next && !over; next = wanted[0]) {
      const politeness = Math.min(leases.size * POLITENESS_MILLISECONDS, MOST_POLITENESS_MILLISECONDS);
      const early = next.since + politeness - performance.now();
      if (early > 0) await pause(early);
      else {
        wanted.shift();
        await tryToTake(next.mailbox);
      }
    }
    isTaking = false;
  }

  async function tryToTake(mailbox: string): Promise<void> {
    epoch += 1;
    const lease = `${owner}-${epoch}`;
    const answer = await store.takeLease(mailbox, lease, LEASE_MILLISECONDS).catch(() => undefined);
    if (!answer || over) {
      if (answer) await store.releaseLease(mailbox, lease).catch(() => undefined);
      taking.delete(mailbox);
      return;
    }
    leases.set(mailbox, lease);
    const opened = open(mailbox, lease).finally(() => opening.delete(opened));
    opening.add(opened);
  }

  async function open(mailbox: string, lease: string): Promise<void> {
    try {
      const lane = await openLane(settings.get(mailbox) as LaneSettings<Connection>, lease, tools, holds);
      owned.set(mailbox, { lane, lease, busyAt: performance.now() });
      log.info({ mailbox }, 'Lane opened');
    } catch (error) {
      leases.delete(mailbox);
      await store.releaseLease(mailbox, lease).catch(() => undefined);
      log.warn({ mailbox, error }, 'Lane not opened; tried again soon');
    } finally {
      taking.delete(mailbox);
    }
  }

  async function letGo(mailbox: string, mine: Owned, graceMilliseconds: number): Promise<void> {
    owned.delete(mailbox);
    taking.add(mailbox);
    await mine.lane.close(graceMilliseconds).catch((error) => log.warn({ mailbox, error }, 'Lane closed badly'));
    leases.delete(mailbox);
    await store.releaseLease(mailbox, mine.lease).catch(() => undefined);
    // Whoever waits for it need not wait for its next look. An idle one would only be opened again, by everybody in turn.
    if (await store.isBusy(mailbox).catch(() => false)) await store.wake(mailbox).catch(() => undefined);
    taking.delete(mailbox);
    log.info({ mailbox }, 'Lane closed');
  }

  /** All in one step. */
  async function renew(): Promise<void> {
    const wanted = [...leases].map(([mailbox, id]) => ({ mailbox, id }));
    const answers = await store.takeLeases(wanted, LEASE_MILLISECONDS);
    for (const [index, { mailbox, id }] of wanted.entries()) {
      const mine = owned.get(mailbox);
      // It had run out, and somebody else has it or had it; the recovery of a new owner sees to what is left.
      if (answers[index] !== 'renewed' && mine?.lease === id) void letGo(mailbox, mine, 0);
    }
  }

  async function look(): Promise<void> {
    const found = await store.look(LEASE_MILLISECONDS);
    for (const { mailbox, isDriven } of found) if (!isDriven) take(mailbox);
    undriven.seen(found.filter(({ mailbox, isDriven }) => !isDriven && !settings.has(mailbox)));
    const busy = new Set(found.map(({ mailbox }) => mailbox));
    const now = performance.now();
    for (const [mailbox, mine] of owned) {
      if (busy.has(mailbox)) mine.busyAt = now;
      else if (now - mine.busyAt > idleMilliseconds) void letGo(mailbox, mine, IDLE_GRACE_MILLISECONDS);
    }
  }

  function refresh(lane: OpenLane, holdKey?: string): void {
    lane.refreshHold(holdKey).catch((error) => log.warn({ mailbox: lane.mailbox, error }, 'Hold not read yet'));
  }

  subscriber.on('message', (_channel: string, payload: string) => {
    if (payload.startsWith('hold:')) {
      for (const { lane } of owned.values()) refresh(lane, payload.slice('hold:'.length));
      return;
    }
    const mine = owned.get(payload);
    if (mine) mine.lane.wake();
    else take(payload);
  });
  const refreshAll = () => {
    for (const { lane } of owned.values()) refresh(lane);
  };
  // What was said while the subscription was down went unheard.
  subscriber.on('ready', refreshAll);
  await subscriber.subscribe(channel);
  const refreshing = setInterval(() => {
    refreshAll();
    // An unanswered ping is what makes the client notice that the other end is gone.
    subscriber.ping().catch(() => undefined);
  }, HOLDS_MILLISECONDS);
  const renewing = setInterval(() => {
    renew().catch((error) => log.warn({ error }, 'Leases not renewed yet'));
  }, RENEW_MILLISECONDS);
  const notLooked = (error: unknown) => log.warn({ error }, 'Could not look for work');
  const looking = setInterval(() => {
    look().catch(notLooked);
  }, LOOK_MILLISECONDS);
  look().catch(notLooked);

  return {
    async close(graceMilliseconds) {
      over = true;
      for (const timer of [looking, refreshing]) clearInterval(timer);
      await Promise.race([Promise.all(opening), pause(graceMilliseconds)]);
      await Promise.all([...owned].map(([mailbox, mine]) => letGo(mailbox, mine, graceMilliseconds)));
      clearInterval(renewing);
    },
  };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
