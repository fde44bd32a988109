import { describe, expect, it } from 'vitest';
import type { Failure } from '../../src/failure/failure.ts';
import type { Passage } from '../../src/gateway/deliver.ts';
import { holdMailbox } from '../../src/gateway/operate.ts';
import { openGate } from '../../src/queue/gate.ts';
import { LEASE, leasedStore } from '../support/store.ts';

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
    digests: { mailbox: '', tenant: '' },
    windowMilliseconds: 1,
    random: () => 0,
    onHold: () => undefined,
    onRelease: () => undefined,
  });
}

/** What an operator does, who knows nothing of gates. */
async function holdByOperator(): Promise<void> {
  const tools = { senders: [], mailboxes: store.mailboxes, now: () => new Date() };
  await holdMailbox(tools, 'main', 'Do not send');
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
