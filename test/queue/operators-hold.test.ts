import { describe, expect, it } from 'vitest';
import type { Failure } from '../../src/failure/failure.ts';
import type { Passage } from '../../src/gateway/deliver.ts';
import { holdMailbox, releaseMailbox } from '../../src/gateway/operate.ts';
import type { MailboxStore } from '../../src/gateway/ports.ts';
import { openGate } from '../../src/queue/gate.ts';
import { SILENT_LOG } from '../support/lane.ts';
import { aMessage, beginning, LEASE, leasedStore } from '../support/store.ts';

const store = leasedStore();
const MAILBOX = 'mailbox:main';
const NETWORK = 'host:example:587';

function failing(scope: Failure['scope']): Failure {
  return { category: 'throttled', code: 'x', scope, plan: 'nextWindow', summary: '', remedy: '', at: '' };
}

function openItsGate() {
  return openGate({
    keys: { mailbox: MAILBOX, network: NETWORK },
    owner: { mailbox: 'main', lease: LEASE },
    store: store.mailboxes,
    settingsDigest: '',
    windowMilliseconds: 1,
    random: () => 0,
    onHold: () => undefined,
    onRelease: () => undefined,
    onUnwritten: () => undefined,
  });
}

const operating = (mailboxes: MailboxStore) => ({ senders: [], mailboxes, now: () => new Date(), log: SILENT_LOG });

/** What an operator does, who knows nothing of gates. */
async function holdByOperator(): Promise<void> {
  await holdMailbox(operating(store.mailboxes), 'main', 'Do not send', 'a test');
}

/** A gate that one message tries out just now, because of a failure of this scope. */
async function beingTried(scope: Failure['scope']) {
  const gate = await openItsGate();
  await (await gate.pass()).blocked(failing(scope));
  const trial = await gate.pass();
  expect(trial.trial).toBe(true);
  return { gate, trial };
}

const isHeldByOperator = async () => (await store.mailboxes.holds([MAILBOX])).get(MAILBOX)?.byOperator === true;

describe('a mailbox that an operator holds while a message tries it out', () => {
  for (const told of ['has been told of it', 'knows nothing of it yet'])
    describe(`and its gate ${told}`, () => {
      const tell = (gate: { refresh(): Promise<void> }) => (told.startsWith('has') ? gate.refresh() : undefined);

      it.each<[string, (trial: Passage) => Promise<void>]>([
        ['is sent', (trial) => trial.works()],
        ['meets the failure again', (trial) => trial.blocked(failing('mailbox'))],
      ])('stays held by the operator, although the message %s', async (_, end) => {
        const { gate, trial } = await beingTried('mailbox');
        await holdByOperator();
        await tell(gate);
        await end(trial);
        trial.release();
        expect(await isHeldByOperator()).toBe(true);
        expect(await Promise.race([gate.pass(), new Promise((resolve) => setTimeout(resolve, 50))])).toBeUndefined();
        gate.close();
      });

      it('lets go of its server, which the message has reached', async () => {
        const { gate, trial } = await beingTried('network');
        await holdByOperator();
        await tell(gate);
        await trial.blocked(failing('mailbox'));
        trial.release();
        const holds = await store.mailboxes.holds([NETWORK, MAILBOX]);
        expect([...holds.keys()]).toEqual([MAILBOX]);
        expect(await isHeldByOperator()).toBe(true);
        gate.close();
      });
    });
});

describe('a release, while a message tries the mailbox out', () => {
  /** What happens between any reading of the holds and whatever is written because of it. */
  async function releasedWhile(meanwhile: () => Promise<unknown>): Promise<void> {
    const { mailboxes } = store;
    const holdsOf = async (mailbox: string) => {
      const holds = await mailboxes.holdsOf(mailbox);
      await meanwhile();
      return holds;
    };
    await releaseMailbox(operating({ ...mailboxes, holdsOf }), 'main', 'a test');
    await meanwhile();
  }

  it('does not bring a hold back that has just ended', async () => {
    await store.messages.accept(aMessage());
    const gate = await openItsGate();
    const passage = await gate.pass();
    await passage.blocked(failing('mailbox'));
    const trial = await gate.pass();
    await releasedWhile(() => trial.works());
    expect((await store.mailboxes.holds([MAILBOX])).size).toBe(0);
    gate.close();
  });

  it('keeps all that is known of the hold, and lets it be tried out now', async () => {
    await store.messages.accept(aMessage());
    const hold = {
      failure: {
        ...failing('mailbox'),
        summary: 'Ungültig: \u2028 “x”',
        smtp: { code: 535, response: '535', stage: 'auth' as const },
      },
      since: 1_764_316_000_123,
      nextProbeAt: Date.now() + 3_600_000,
      delayMilliseconds: 3_600_000,
      probes: 3,
      settings: 'digest',
    };
    await store.mailboxes.setHold(MAILBOX, hold);
    await releaseMailbox(operating(store.mailboxes), 'main', 'a test');
    const released = (await store.mailboxes.holds([MAILBOX])).get(MAILBOX);
    expect(released).toEqual({ ...hold, nextProbeAt: expect.any(Number) });
    expect(released?.nextProbeAt).toBeLessThanOrEqual(await store.mailboxes.now());
  });

  it('of a mailbox with nothing to send lets one message of another try out what holds both, and not all of them go', async () => {
    const { mailboxes, messages } = store;
    await mailboxes.describe('idle', [NETWORK, 'mailbox:idle']);
    for (const key of [NETWORK, 'mailbox:idle'])
      await mailboxes.setHold(key, {
        failure: failing('network'),
        since: 1,
        nextProbeAt: Date.now() + 3_600_000,
        probes: 0,
        settings: '',
      });
    await messages.accept(aMessage());
    await releaseMailbox(operating(mailboxes), 'idle', 'a test');
    expect([...(await mailboxes.holds([NETWORK, 'mailbox:idle'])).keys()]).toEqual([NETWORK]);
    const gate = await openItsGate();
    expect((await gate.pass()).trial).toBe(true);
    gate.close();
  });

  it('ends what nobody would try out, and a hold that is damaged is one to be tried out at once anyhow', async () => {
    await store.mailboxes.setHold(MAILBOX, {
      failure: failing('mailbox'),
      since: 1,
      nextProbeAt: 1,
      probes: 0,
      settings: '',
    });
    const release = () => releaseMailbox(operating(store.mailboxes), 'main', 'a test');
    await release();
    expect((await store.mailboxes.holds([MAILBOX])).size).toBe(0);
    await store.messages.accept(aMessage());
    await store.redis.hset(store.keys.holds, MAILBOX, '{');
    await release();
    expect((await store.mailboxes.holds([MAILBOX])).get(MAILBOX)?.failure.code).toBe('hold_damaged');
  });
});

it('a message that is to try a mailbox out is not begun once an operator holds it, however long it has waited to begin', async () => {
  const message = aMessage();
  await store.messages.accept(message);
  const { gate, trial } = await beingTried('mailbox');
  await holdByOperator();
  const request = beginning(message.id, { trial: trial.trial, holdKeys: [NETWORK, MAILBOX] });
  expect((await store.messages.begin(request)).kind).toBe('held');
  await releaseMailbox(operating(store.mailboxes), 'main', 'a test');
  expect((await store.messages.begin(request)).kind).toBe('go');
  gate.close();
});
