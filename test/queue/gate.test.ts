import { describe, expect, it } from 'vitest';
import type { Failure } from '../../src/failure/failure.ts';
import type { LaneOwner, MailboxStore, StoredHold } from '../../src/gateway/ports.ts';
import { type Gate, type GateOptions, openGate } from '../../src/queue/gate.ts';
import { eventually } from '../support/postroom.ts';

const TENANT = 'tenant:contoso';
const NETWORK = 'host:smtp.office365.com:587';

/** Holds and trials in memory, shared by the gates of a test as Redis is by processes. */
function sharedHolds() {
  const holds = new Map<string, StoredHold>();
  const trials = new Map<string, string>();
  const gates: Gate[] = [];
  const tellAll = async () => {
    for (const gate of gates) await gate.refresh();
  };
  const store = {
    holds: async (keys: string[]) => new Map([...holds].filter(([key]) => keys.includes(key))),
    async setHold(key: string, hold: StoredHold) {
      holds.set(key, hold);
      await tellAll();
    },
    async beginHold(key: string, hold: StoredHold) {
      holds.set(key, hold);
      await tellAll();
      return true;
    },
    async endHold(key: string) {
      holds.delete(key);
      await tellAll();
      return true;
    },
    async claimTrial(key: string, { lease }: LaneOwner) {
      if (trials.has(key) && trials.get(key) !== lease) return false;
      trials.set(key, lease);
      return true;
    },
    async endTrial(key: string, { lease }: LaneOwner) {
      if (trials.get(key) === lease) trials.delete(key);
    },
    now: async () => Date.now(),
  } as unknown as MailboxStore;
  async function gateOf(mailbox: string, more: Partial<GateOptions> = {}): Promise<Gate> {
    const gate = await openGate({
      keys: { mailbox: `mailbox:${mailbox}`, tenant: TENANT, network: NETWORK },
      owner: { mailbox, lease: `owner of ${mailbox}` },
      store,
      settingsDigest: `login of ${mailbox}`,
      windowMilliseconds: 50,
      random: () => 0,
      onHold: () => undefined,
      onRelease: () => undefined,
      onUnwritten: () => undefined,
      ...more,
    });
    gates.push(gate);
    return gate;
  }
  return { holds, store, gateOf };
}

function failing(scope: Failure['scope'], plan: Failure['plan'] = 'afterFix'): Failure {
  const category = plan === 'nextWindow' ? 'throttled' : 'authentication';
  return { category, code: 'x', scope, plan, summary: '', remedy: '', at: '' };
}

/** Does it get through now, without waiting? */
async function passesNow(gate: Gate): Promise<boolean> {
  const passed = await Promise.race([gate.pass(), new Promise((resolve) => setTimeout(() => resolve('waits'), 30))]);
  return passed !== 'waits';
}

describe('a gate', () => {
  it('lets everybody pass while nothing is wrong', async () => {
    const gate = await sharedHolds().gateOf('a');
    expect((await gate.pass()).trial).toBe(false);
    expect((await gate.pass()).trial).toBe(false);
  });

  it('stays closed for now where its hold could not be written, and tells that apart from what became of the message', async () => {
    const { gateOf, store } = sharedHolds();
    const told: unknown[] = [];
    const full = new Error('OOM');
    const refusing = { ...store, beginHold: () => Promise.reject(full), endHold: () => Promise.reject(full) };
    const a = await gateOf('a', { store: refusing, onUnwritten: (error) => told.push(error) });
    await (await a.pass()).blocked(failing('mailbox', 'nextWindow'));
    const trial = await a.pass();
    expect(trial.trial).toBe(true);
    await trial.works();
    expect(told).toEqual([full, full]);
  });

  it('closes for its own mailbox only, where the failure is the mailbox’s', async () => {
    const { gateOf } = sharedHolds();
    const [a, b] = [await gateOf('a'), await gateOf('b')];
    await (await a.pass()).blocked(failing('mailbox'));
    expect(await passesNow(a)).toBe(false);
    expect(await passesNow(b)).toBe(true);
  });

  it.each(['tenant', 'network'] as const)(
    'closes for all, where the failure is the %s’s, and nobody hurries',
    async (scope) => {
      const { gateOf } = sharedHolds();
      const gates = [await gateOf('a'), await gateOf('b'), await gateOf('c')];
      await (await (gates[0] as Gate).pass()).blocked(failing(scope));
      for (const gate of gates) expect(await passesNow(gate)).toBe(false);
    },
  );

  it('has one try for all when the time has come, and opens for all when that works', async () => {
    const { gateOf } = sharedHolds();
    const [a, b] = [await gateOf('a'), await gateOf('b')];
    await (await a.pass()).blocked(failing('tenant', 'nextWindow'));
    const trial = await Promise.race([a.pass(), b.pass()]);
    expect(trial.trial).toBe(true);
    expect(await passesNow(a)).toBe(false);
    expect(await passesNow(b)).toBe(false);
    await trial.works();
    trial.release();
    expect(await passesNow(a)).toBe(true);
  });

  it('does not ask over and over whether the try that another one makes is over, however many wait here', async () => {
    const { gateOf, store } = sharedHolds();
    let asked = 0;
    let tried = 0;
    const asking: Partial<MailboxStore> = {
      claimTrial(...claiming) {
        tried += 1;
        return store.claimTrial(...claiming);
      },
      async holds(keys) {
        asked += 1;
        await new Promise((resolve) => setImmediate(resolve));
        return store.holds(keys);
      },
    };
    const [a, b] = [await gateOf('a'), await gateOf('b', { store: { ...store, ...asking } })];
    await (await a.pass()).blocked(failing('network', 'nextWindow'));
    const trial = await a.pass();
    const passing = [b.pass(), b.pass(), b.pass()];
    await eventually(() => tried > 0);
    asked = 0;
    await b.refresh();
    for (let turns = 0; turns < 500; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toBeLessThan(5);
    await trial.works();
    trial.release();
    for (const passage of await Promise.all(passing)) expect(passage.trial).toBe(false);
  });

  it('tries at once what it was held for under other settings of its own, and nothing else', async () => {
    const { gateOf, holds } = sharedHolds();
    const hold = { failure: failing('mailbox'), since: 0, nextProbeAt: Date.now() + 60_000, probes: 0 };
    holds.set('mailbox:a', { ...hold, settings: 'login of a' });
    expect(await passesNow(await gateOf('a'))).toBe(false);
    holds.set('mailbox:a', { ...hold, settings: 'an old password' });
    expect(await passesNow(await gateOf('a'))).toBe(true);
    for (const key of [TENANT, NETWORK]) {
      holds.clear();
      holds.set(key, { ...hold, settings: 'whatever' });
      expect(await passesNow(await gateOf('c'))).toBe(false);
    }
  });

  it('that an operator closed stays closed until an operator opens it', async () => {
    const { gateOf, holds, store } = sharedHolds();
    const gate = await gateOf('a');
    const hold: StoredHold = {
      failure: failing('mailbox'),
      since: 0,
      nextProbeAt: 0,
      probes: 0,
      settings: '',
      byOperator: true,
    };
    await store.setHold('mailbox:a', hold);
    expect(await passesNow(gate)).toBe(false);
    const passing = gate.pass();
    await store.endHold('mailbox:a');
    expect((await passing).trial).toBe(false);
    expect(holds.size).toBe(0);
  });

  it('does not close again by an answer that is older than the release', async () => {
    const { gateOf, store } = sharedHolds();
    const gate = await gateOf('a');
    const hold = { failure: failing('mailbox'), since: 0, nextProbeAt: 0, probes: 0, settings: '' };
    await store.setHold('mailbox:a', { ...hold, byOperator: true });
    let answer: ((now: number) => void) | undefined;
    store.now = () => new Promise((resolve) => (answer = resolve));
    const late = gate.refresh();
    await expect.poll(() => answer).toBeDefined();
    await store.endHold('mailbox:a');
    answer?.(Date.now());
    await late;
    expect(await passesNow(gate)).toBe(true);
  });

  it('is tried in time although the clock was two days ahead when it closed', async () => {
    const { gateOf, store } = sharedHolds();
    const gate = await gateOf('a');
    const twoDays = 2 * 86_400_000;
    store.now = async () => Date.now() + twoDays;
    await (await gate.pass()).blocked(failing('mailbox', 'nextWindow'));
    store.now = async () => Date.now();
    await gate.refresh();
    expect((await gate.pass()).trial).toBe(true);
    expect((await (await gateOf('a')).pass()).trial).toBe(true);
  });

  it('a trial that meets something narrower ends the wider hold', async () => {
    const { gateOf, holds } = sharedHolds();
    const gate = await gateOf('a');
    await (await gate.pass()).blocked(failing('network', 'nextWindow'));
    const trial = await gate.pass();
    await trial.blocked(failing('mailbox'));
    trial.release();
    expect([...holds.keys()]).toEqual(['mailbox:a']);
  });

  it('that is being closed lets nobody wait', async () => {
    const gate = await sharedHolds().gateOf('a');
    await (await gate.pass()).blocked(failing('mailbox'));
    const waiting = gate.pass();
    gate.close();
    await expect(waiting).rejects.toMatchObject({ name: 'LaneClosed' });
  });
});

describe('a hold that is just being written', () => {
  it('is not forgotten by a reading that could not find it yet', async () => {
    const { gateOf, store } = sharedHolds();
    const gate = await gateOf('a');
    const write = store.beginHold;
    let written: (() => void) | undefined;
    store.beginHold = async (key, hold) => {
      await new Promise<void>((resolve) => {
        written = resolve;
      });
      return write(key, hold);
    };
    const passage = await gate.pass();
    const holding = passage.blocked(failing('mailbox'));
    await eventually(() => written !== undefined);
    await gate.refresh();
    expect(await passesNow(gate)).toBe(false);
    written?.();
    await holding;
    expect(await passesNow(gate)).toBe(false);
    await store.endHold('mailbox:a');
    expect(await passesNow(gate)).toBe(true);
  });
});

it('a credential that is refused is not tried again because another one of the same application works', async () => {
  const { gateOf } = sharedHolds();
  const keysWith = (mailbox: string, tenant: string) => ({ mailbox: `mailbox:${mailbox}`, tenant, network: NETWORK });
  const refused = await gateOf('a', { keys: keysWith('a', `${TENANT}:old`) });
  const working = await gateOf('b', { keys: keysWith('b', `${TENANT}:new`) });
  await (await refused.pass()).blocked(failing('tenant'));
  for (let round = 0; round < 3; round += 1) {
    const passage = await working.pass();
    await passage.works();
    passage.release();
    expect(passage.trial).toBe(false);
    expect(await passesNow(refused)).toBe(false);
  }
});
