import type { Failure } from '../failure/failure.ts';
import { holdDelay } from '../failure/plan.ts';
import { LaneClosed, type Passage } from '../gateway/deliver.ts';
import { isForLostAnswers } from '../gateway/lost-answers.ts';
import type { LaneOwner, MailboxStore, StoredHold } from '../gateway/ports.ts';
import type { HoldTold } from './hold-teller.ts';

/**
 * What a failure of each scope stops; keys of holds. A mailbox that logs in by password belongs to no tenant we know. A
 * tenant's is another one for each credential: what one that is refused meets must not hold those that log in by another,
 * nor what these send end its hold.
 */
export interface HoldKeys {
  mailbox: string;
  tenant?: string;
  network: string;
}

/**
 * Lets messages of a mailbox pass while it works. After a failure that any of them would meet it closes: everybody
 * waits, nobody spends an attempt, and at growing intervals one message alone tries out whether it is over. A failure
 * of the tenant or the network closes the gates of every mailbox it concerns, and one of them tries for all.
 */
export interface Gate {
  pass(): Promise<Passage>;
  /** Is it closed, as far as this process knows? Who has passed before, and has not begun, must not begin then. */
  isClosed(): boolean;
  /** Reads the holds again: somebody may have begun or ended one. */
  refresh(): Promise<void>;
  /** Does a hold of this key concern this gate? */
  concerns(key: string): boolean;
  close(): void;
}

export interface GateOptions {
  keys: HoldKeys;
  owner: LaneOwner;
  store: MailboxStore;
  /** Of the settings that may be what a mailbox is held for: a hold of its own from under others is tried at once. */
  settingsDigest: string;
  windowMilliseconds: number;
  /** No hold lasts longer before it is tried out, whatever the failure. */
  longestHoldMilliseconds?: number | undefined;
  random: () => number;
  onHold: (key: string, told: HoldTold) => void;
  /** @param since milliseconds since the epoch */
  onRelease: (key: string, since: number) => void;
  /** That a hold begins or is over could not be written; what the store says is read again soon. */
  onUnwritten: (error: unknown) => void;
}

interface Closed {
  hold: StoredHold;
  /** By this process's monotonic clock, so that a jump of the wall clock neither hurries nor delays it. */
  probeAt: number;
}

/** A trial is one connection and one message, and ends with its lane; this bounds one that hangs. */
const TRIAL_MILLISECONDS = 120_000;
/** Between two looks at a trial that another process runs. */
const TRIAL_LOOK_MILLISECONDS = 2_000;

export async function openGate(options: GateOptions): Promise<Gate> {
  const { store, owner, settingsDigest } = options;
  const keys = keysFrom(options.keys);
  const held = new Map<string, Closed>();
  let trialRunning = false;
  let over = false;
  let waiters: (() => void)[] = [];
  /** Of the readings of the holds: how many were asked for, and the last one that told. */
  let asked = 0;
  let told = 0;
  /** Holds that are being written, and of those that were: the last reading that may have been too early to find it. */
  const writing = new Set<string>();
  const writtenSince = new Map<string, number>();

  function stir(): void {
    const stirred = waiters;
    waiters = [];
    for (const wake of stirred) wake();
  }

  async function refresh(): Promise<void> {
    asked += 1;
    const reading = asked;
    const holds = await store.holds(keys);
    const now = holds.size > 0 ? await store.now() : 0;
    // One that was asked for later has told already, and knows of what has ended since.
    if (reading < told) return;
    told = reading;
    const isToldOf = (key: string) => !writing.has(key) && (writtenSince.get(key) ?? 0) < reading;
    for (const key of keys.filter(isToldOf)) {
      const hold = holds.get(key);
      if (hold) held.set(key, { hold, probeAt: probeOf(key, hold, now) });
      else held.delete(key);
    }
    stir();
  }

  /** When to try, by the monotonic clock. What was known of this very hold stands: it may be the clock that has changed. */
  function probeOf(key: string, hold: StoredHold, now: number): number {
    if (hold.byOperator) return Number.POSITIVE_INFINITY;
    const outdated = key === options.keys.mailbox && hold.settings !== settingsDigest;
    const wait = outdated ? 0 : Math.min(hold.nextProbeAt - now, hold.delayMilliseconds ?? Number.POSITIVE_INFINITY);
    const known = held.get(key);
    const before = known?.hold.nextProbeAt === hold.nextProbeAt ? known.probeAt : Number.POSITIVE_INFINITY;
    return Math.min(before, performance.now() + wait);
  }

  function stirredWithin(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(Math.max(milliseconds, 1), 2 ** 31 - 1));
      waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async function pass(): Promise<Passage> {
    for (;;) {
      if (over) throw new LaneClosed('The lane is closing');
      if (held.size === 0) return passage([]);
      const wait = Math.max(...[...held.values()].map(({ probeAt }) => probeAt)) - performance.now();
      if (trialRunning) await stirredWithin(TRIAL_MILLISECONDS);
      else if (wait > 0) await stirredWithin(wait);
      else {
        trialRunning = true;
        const claimed = await claim([...held.keys()]).catch(() => undefined);
        if (claimed) return passage(claimed);
        // One looks for all who wait here: each look wakes the others, who would look at once, and wake this one again.
        await stirredWithin(TRIAL_LOOK_MILLISECONDS);
        trialRunning = false;
        await refresh();
      }
    }
  }

  /** The right to try out all of these holds; undefined where another process has one of them. */
  async function claim(wanted: string[]): Promise<string[] | undefined> {
    for (const [index, key] of wanted.entries()) {
      if (await store.claimTrial(key, owner, TRIAL_MILLISECONDS)) continue;
      for (const mine of wanted.slice(0, index)) await store.endTrial(mine, owner);
      return undefined;
    }
    return wanted;
  }

  function passage(claimed: string[]): Passage {
    const trial = claimed.length > 0;
    const claimedHolds = claimed.flatMap((key) => held.get(key)?.hold ?? []);
    return {
      trial,
      awaitsAnswer: claimedHolds.some(({ failure }) => isForLostAnswers(failure)),
      refresh,
      // What became of the message is no matter of the gate's.
      blocked: (failure, retryAfter) => begin(failure, claimed, retryAfter ?? 0).catch(options.onUnwritten),
      works: () => end(claimed).catch(options.onUnwritten),
      release() {
        if (trial) trialRunning = false;
        for (const key of claimed) store.endTrial(key, owner).catch(() => undefined);
        stir();
      },
    };
  }

  /**
   * Several attempts may run into the same trouble at once: only the first begins the hold, only a trial prolongs it.
   * A trial that ran into something narrower has shown that the wider thing works.
   */
  async function begin(failure: Failure, claimed: string[], retryAfter: number): Promise<void> {
    const key = keyFor(failure, options.keys);
    const known = held.get(key);
    if (!known || (claimed.includes(key) && !known.hold.byOperator)) await hold(key, known, failure, retryAfter);
    await end(claimed.filter((each) => keys.indexOf(each) < keys.indexOf(key)));
  }

  async function hold(key: string, known: Closed | undefined, failure: Failure, retryAfter: number): Promise<void> {
    const probes = known ? known.hold.probes + 1 : 0;
    const usual = Math.max(holdDelay(probes, failure, options.windowMilliseconds, options.random), retryAfter);
    const delay = Math.min(usual, options.longestHoldMilliseconds ?? usual);
    const now = Date.now();
    const since = known?.hold.since ?? now;
    const begun = {
      failure,
      since,
      probes,
      settings: settingsDigest,
      nextProbeAt: now + delay,
      delayMilliseconds: delay,
      by: owner,
    };
    const mine = { hold: begun, probeAt: performance.now() + delay };
    held.set(key, mine);
    options.onHold(key, { failure, since, probes, nextProbeInMilliseconds: delay });
    let isWritten: boolean;
    writing.add(key);
    try {
      const storeNow = await store.now();
      mine.hold = { ...begun, nextProbeAt: storeNow + delay, since: known?.hold.since ?? storeNow };
      isWritten = await store.beginHold(key, mine.hold);
    } finally {
      writing.delete(key);
      writtenSince.set(key, asked);
    }
    if (!isWritten) await refresh();
  }

  async function end(over: string[]): Promise<void> {
    for (const key of over) {
      // An operator may have taken it over since it was tried.
      const known = held.get(key)?.hold;
      if (!known || known.byOperator) continue;
      held.delete(key);
      if (await store.endHold(key)) options.onRelease(key, known.since);
      else await refresh();
    }
    stir();
  }

  await refresh();
  return {
    pass,
    isClosed: () => held.size > 0,
    refresh,
    concerns: (key) => keys.includes(key),
    close() {
      over = true;
      stir();
    },
  };
}

/** The widest first. */
export function keysFrom({ network, tenant, mailbox }: HoldKeys): string[] {
  return [network, ...(tenant ? [tenant] : []), mailbox];
}

function keyFor({ scope }: Failure, keys: HoldKeys): string {
  if (scope === 'network') return keys.network;
  if (scope === 'tenant') return keys.tenant ?? keys.mailbox;
  return keys.mailbox;
}
