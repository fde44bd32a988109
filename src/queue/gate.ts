import type { Failure } from '../failure/failure.ts';
import { holdDelay } from '../failure/plan.ts';
import { LaneClosed, type Passage } from '../gateway/deliver.ts';
import type { MailboxStore, StoredHold } from '../gateway/ports.ts';

/**
 * Lets messages of a mailbox pass while it works. After a failure that any of them would meet it closes: everybody
 * waits, nobody spends an attempt, and at growing intervals one message alone tries out whether it is over.
 */
export interface Gate {
  pass(): Promise<Passage>;
  /** Reads the hold again: an operator may have ended it, or another process begun one. */
  refresh(): Promise<void>;
  close(): void;
}

export interface GateOptions {
  mailbox: string;
  store: MailboxStore;
  /** Digest of the login settings: a hold from under other settings is tried at once. */
  settings: string;
  windowMilliseconds: number;
  random: () => number;
  onHold: (failure: Failure, nextProbeInMilliseconds: number) => void;
  onRelease: () => void;
}

interface Closed {
  hold: StoredHold;
  /** By this process's monotonic clock. */
  probeAt: number;
}

export async function openGate(options: GateOptions): Promise<Gate> {
  const { mailbox, store, settings } = options;
  let held: Closed | undefined;
  let trialRunning = false;
  let over = false;
  let waiters: (() => void)[] = [];

  function stir(): void {
    const stirred = waiters;
    waiters = [];
    for (const wake of stirred) wake();
  }

  async function refresh(): Promise<void> {
    const hold = await store.hold(mailbox);
    if (!hold) held = undefined;
    else {
      const wait = hold.settings === settings ? hold.nextProbeAt - (await store.now()) : 0;
      held = { hold, probeAt: performance.now() + wait };
    }
    stir();
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
      if (!held) return passage(false);
      const wait = held.probeAt - performance.now();
      if (!trialRunning && wait <= 0) {
        trialRunning = true;
        return passage(true);
      }
      await stirredWithin(trialRunning ? 60_000 : wait);
    }
  }

  function passage(trial: boolean): Passage {
    return {
      trial,
      refresh,
      blocked: (failure, retryAfter) => begin(failure, trial, retryAfter ?? 0),
      works: end,
      release() {
        if (trial) trialRunning = false;
        stir();
      },
    };
  }

  /** Several attempts may run into the same trouble at once: only the first begins the hold, only a trial prolongs it. */
  async function begin(failure: Failure, trial: boolean, retryAfter: number): Promise<void> {
    if (held && !trial) return;
    const probes = held ? held.hold.probes + 1 : 0;
    const delay = Math.max(holdDelay(probes, failure, options.windowMilliseconds, options.random), retryAfter);
    const now = Date.now();
    const since = held?.hold.since ?? now;
    held = { hold: { failure, since, probes, settings, nextProbeAt: now + delay }, probeAt: performance.now() + delay };
    options.onHold(failure, delay);
    const storeNow = await store.now();
    held.hold = { ...held.hold, nextProbeAt: storeNow + delay, since: probes === 0 ? storeNow : since };
    await store.setHold(mailbox, held.hold);
  }

  async function end(): Promise<void> {
    if (!held) return;
    await store.clearHold(mailbox);
    held = undefined;
    options.onRelease();
    stir();
  }

  await refresh();
  return {
    pass,
    refresh,
    close() {
      over = true;
      stir();
    },
  };
}
