import type { Redis } from 'ioredis';
import { type LaneSettings, type OpenLane, openLane } from './lane.ts';
import type { LaneTools } from './tools.ts';

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
  channels: { wake: string; changed: string };
}

/** Taken over this long after its owner died; renewed three times as often. */
const LEASE_MILLISECONDS = 6_000;
const RENEW_MILLISECONDS = 2_000;
/** A lost wake-up is made up for this soon. */
const LOOK_MILLISECONDS = 1_000;
/** An idle lane is closed, so that a thousand configured mailboxes cost what the busy ones do. */
const IDLE_MILLISECONDS = 15_000;
/** A message that came just as its idle lane was closing is finished first. */
const IDLE_GRACE_MILLISECONDS = 60_000;
/** A hold that somebody ended unheard, while the subscription was down without either end knowing, is read again. */
const HOLDS_MILLISECONDS = 15_000;
/** A process that drives many lanes already lets another one be first. */
const POLITENESS_MILLISECONDS = 15;

interface Owned {
  lane: OpenLane;
  lease: string;
  renewedAt: number;
  busyAt: number;
}

/** Drives, of the configured mailboxes that have something to do, those whose lease this process gets. */
export async function driveLanes<Connection>(options: LanesOptions<Connection>): Promise<Lanes> {
  const { owner, tools, subscriber, channels } = options;
  const { mailboxes: store, log } = tools;
  const settings = new Map(options.mailboxes.map((each) => [each.mailbox, each]));
  const owned = new Map<string, Owned>();
  const taking = new Set<string>();
  let epoch = 0;
  let over = false;

  async function take(mailbox: string): Promise<void> {
    const setting = settings.get(mailbox);
    if (!setting || over || owned.has(mailbox) || taking.has(mailbox)) return;
    taking.add(mailbox);
    try {
      await pause(owned.size * POLITENESS_MILLISECONDS);
      epoch += 1;
      const lease = `${owner}-${epoch}`;
      const takenAt = performance.now();
      if (over || !(await store.takeLease(mailbox, lease, LEASE_MILLISECONDS))) return;
      const lane = await openLane(setting, lease, tools).catch(async (error) => {
        await store.releaseLease(mailbox, lease);
        throw error;
      });
      owned.set(mailbox, { lane, lease, renewedAt: takenAt, busyAt: performance.now() });
      log.info({ mailbox }, 'Lane opened');
    } catch (error) {
      log.warn({ mailbox, error }, 'Lane not opened; tried again soon');
    } finally {
      taking.delete(mailbox);
    }
  }

  async function letGo(mailbox: string, mine: Owned, graceMilliseconds: number): Promise<void> {
    owned.delete(mailbox);
    taking.add(mailbox);
    // What still runs must stay this process's: a new owner would take it for left behind.
    const keeping = setInterval(() => {
      store.takeLease(mailbox, mine.lease, LEASE_MILLISECONDS).catch(() => undefined);
    }, RENEW_MILLISECONDS);
    await mine.lane.close(graceMilliseconds).catch((error) => log.warn({ mailbox, error }, 'Lane closed badly'));
    clearInterval(keeping);
    await store.releaseLease(mailbox, mine.lease).catch(() => undefined);
    // Whoever waits for it need not wait for its next look.
    await store.wake(mailbox).catch(() => undefined);
    taking.delete(mailbox);
    log.info({ mailbox }, 'Lane closed');
  }

  async function renew(mailbox: string, mine: Owned): Promise<void> {
    const askedAt = performance.now();
    const answer = await store.takeLease(mailbox, mine.lease, LEASE_MILLISECONDS).catch(() => 'unknown' as const);
    if (answer === 'renewed') mine.renewedAt = askedAt;
    // Taken anew: it had run out, perhaps unnoticed by anybody else; the recovery of a new owner sees to what is left.
    if (answer === 'taken' || answer === undefined) await letGo(mailbox, mine, 0);
  }

  async function look(): Promise<void> {
    const busy = new Set(await store.busy());
    for (const mailbox of busy) void take(mailbox);
    const now = performance.now();
    for (const [mailbox, mine] of owned) {
      if (busy.has(mailbox)) mine.busyAt = now;
      else if (now - mine.busyAt > IDLE_MILLISECONDS) void letGo(mailbox, mine, IDLE_GRACE_MILLISECONDS);
    }
  }

  function refresh(lane: OpenLane, holdKey?: string): void {
    lane.refreshHold(holdKey).catch((error) => log.warn({ mailbox: lane.mailbox, error }, 'Hold not read yet'));
  }

  subscriber.on('message', (channel: string, payload: string) => {
    if (channel === channels.wake) {
      const mine = owned.get(payload);
      if (mine) mine.lane.wake();
      else void take(payload);
    } else if (payload.startsWith('hold:')) {
      for (const { lane } of owned.values()) refresh(lane, payload.slice('hold:'.length));
    }
  });
  const refreshAll = () => {
    for (const { lane } of owned.values()) refresh(lane);
  };
  // What was said while the subscription was down went unheard.
  subscriber.on('ready', refreshAll);
  await subscriber.subscribe(channels.wake, channels.changed);
  const refreshing = setInterval(() => {
    refreshAll();
    // An unanswered ping is what makes the client notice that the other end is gone.
    subscriber.ping().catch(() => undefined);
  }, HOLDS_MILLISECONDS);
  const renewing = setInterval(() => {
    for (const [mailbox, mine] of owned) void renew(mailbox, mine);
  }, RENEW_MILLISECONDS);
  const looking = setInterval(() => {
    look().catch((error) => log.warn({ error }, 'Could not look for work'));
  }, LOOK_MILLISECONDS);
  look().catch((error) => log.warn({ error }, 'Could not look for work'));

  return {
    async close(graceMilliseconds) {
      over = true;
      for (const timer of [renewing, looking, refreshing]) clearInterval(timer);
      await Promise.all([...owned].map(([mailbox, mine]) => letGo(mailbox, mine, graceMilliseconds)));
    },
  };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
