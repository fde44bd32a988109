import { expect, it } from 'vitest';
import type { Outcome } from '../../src/gateway/judge.ts';
import { holdTeller } from '../../src/queue/hold-teller.ts';
import { type LaneSettings, type OpenLane, openLane } from '../../src/queue/lane.ts';
import { laneTools, SILENT_LOG } from '../support/lane.ts';
import { eventually } from '../support/postroom.ts';
import { aMessage, LEASE, leasedStore } from '../support/store.ts';

const store = leasedStore();

type Answer = 'taken' | 'lost' | 'refused at RCPT' | 'throttled' | 'lost, one refused at RCPT';

const gone = (stage: Outcome['stage']) => ({
  via: 'client' as const,
  code: 'ECONNECTION',
  message: 'Connection closed unexpectedly',
  stage,
});
const reply = (stage: Outcome['stage'], code: number, text: string) => ({ code, response: `${code} ${text}`, stage });
const refusal = (address: string) => ({
  address,
  trouble: { via: 'smtp' as const, reply: reply('rcpt', 550, '5.1.10 RESOLVER.ADR.RecipientNotFound') },
});

function outcomeOf(answer: Answer, recipients: string[]): Outcome {
  const accepted: string[] = [];
  const stage = 'after-dot' as const;
  if (answer === 'taken') return { stage, accepted: recipients, refused: [], reply: reply(stage, 250, '2.0.0 OK') };
  if (answer === 'lost') return { stage, accepted, refused: [], trouble: gone(stage) };
  if (answer === 'lost, one refused at RCPT')
    return { stage, accepted, refused: recipients.slice(1).map(refusal), trouble: gone(stage) };
  if (answer === 'throttled') {
    const throttled = reply(stage, 432, '4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded');
    return { stage, accepted, refused: [], trouble: { via: 'smtp', reply: throttled } };
  }
  const refused = recipients.map(refusal);
  return { stage: 'rcpt', accepted, refused, trouble: refused[0]?.trouble as Outcome['trouble'] & object };
}

/** A mailbox of two connections, whose server does this to each message in turn. */
function mailboxThatMeets(...answers: Answer[]) {
  const met = answers.values();
  const settings: LaneSettings<object> = {
    mailbox: 'main',
    pace: { perWindow: 100, windowMilliseconds: 100, recipientsPerDay: 1_000 },
    connections: 2,
    dialer: {
      open: async () => ({ ok: true, connection: {}, reused: false }),
      quit: async () => undefined,
      isOpen: () => true,
    },
    async transact(_, { envelope, beforeDot }) {
      const outcome = outcomeOf(met.next().value ?? 'taken', envelope.recipients);
      if (outcome.stage === 'after-dot') await beforeDot(outcome.refused);
      return { ...outcome, reusable: false };
    },
    settingsDigest: '',
    holdKeys: { mailbox: 'mailbox:main', network: 'host:example:587' },
  };
  const tools = laneTools(store);
  const { jobs } = tools;
  let lane: OpenLane;
  const sendOne = async (more: Parameters<typeof aMessage>[0] = {}) => {
    const message = aMessage(more);
    await store.messages.accept(message);
    await jobs.add('main', { messageId: message.id, number: 1, priority: 'normal' });
    lane.wake();
    return message.id;
  };
  return {
    async open() {
      lane = await openLane(settings, LEASE, tools, holdTeller(SILENT_LOG));
    },
    close: () => lane.close(5_000),
    sendOne,
    /** One after the other has been tried. */
    async send(count: number) {
      for (let sent = 0; sent < count; sent += 1) {
        const id = await sendOne();
        await eventually(async () => ((await store.messages.find(id))?.attempts ?? 0) > 0);
      }
    },
  };
}

const holdOfMain = async () => (await store.mailboxes.holds(['mailbox:main'])).get('mailbox:main');

/** As it is left by the last owner of the lane, due to be tried out. */
async function holdForLostAnswers(): Promise<void> {
  const now = await store.mailboxes.now();
  const failure = { category: 'outcomeUnknown', code: 'outcome_unknown', scope: 'mailbox', plan: 'backoff' };
  const told = { summary: '', remedy: '', at: new Date(now).toISOString() };
  const hold = { failure: { ...failure, ...told } as never, since: now, nextProbeAt: now, probes: 2, settings: '' };
  await store.mailboxes.setHold('mailbox:main', hold);
}

it('a message that is sent again, since nobody knows whether it arrived, has used its recipients of the day all the same', async () => {
  const mailbox = mailboxThatMeets('lost');
  await mailbox.open();
  const fixed = { ...aMessage().fixed, onUnconfirmed: 'resend' as const };
  const id = await mailbox.sendOne({ fixed });
  await eventually(async () => (await store.messages.find(id))?.status === 'deferred');
  expect((await store.mailboxes.usage('main')).recipientsToday).toBe(1);
  await mailbox.close();
});

it('answers that are lost hold a mailbox that has so little to send that its lane is closed in between', async () => {
  const mailbox = mailboxThatMeets('lost', 'lost', 'lost', 'lost');
  for (let count = 1; count <= 4; count += 1) {
    expect(await holdOfMain()).toBeUndefined();
    await mailbox.open();
    await mailbox.send(1);
    await mailbox.close();
  }
  expect(await holdOfMain()).toMatchObject({ failure: { code: 'outcome_unknown', scope: 'mailbox' } });
});

it('a dot that is answered with what holds the mailbox is answered', async () => {
  const mailbox = mailboxThatMeets('lost', 'lost', 'lost', 'throttled', 'lost');
  await mailbox.open();
  await mailbox.send(3);
  // Throttled, and lost when it tries out whether that is over.
  await mailbox.send(1);
  await mailbox.close();
  expect(await holdOfMain()).toMatchObject({ failure: { category: 'throttled' } });
});

it.each<Answer>(['refused at RCPT', 'lost, one refused at RCPT'])(
  'a hold for lost answers does not end where the dot is not answered: %s',
  async (met) => {
    await holdForLostAnswers();
    const mailbox = mailboxThatMeets(met);
    await mailbox.open();
    const id = await mailbox.sendOne({ to: ['ada@fabrikam.com', 'nobody@fabrikam.com'] });
    await eventually(async () => ['failed', 'unconfirmed'].includes((await store.messages.find(id))?.status ?? ''));
    await mailbox.close();
    expect(await holdOfMain()).toMatchObject({ failure: { code: 'outcome_unknown' } });
  },
);

it('a hold for lost answers is put off by one more, though the lane has another owner since', async () => {
  await holdForLostAnswers();
  const mailbox = mailboxThatMeets('lost', 'taken');
  await mailbox.open();
  await mailbox.send(1);
  await eventually(async () => (await holdOfMain())?.probes === 3);
  await mailbox.close();
});

it('a hold for lost answers ends once a dot is answered', async () => {
  await holdForLostAnswers();
  const mailbox = mailboxThatMeets('taken');
  await mailbox.open();
  await mailbox.send(1);
  await eventually(async () => (await holdOfMain()) === undefined);
  await mailbox.close();
});
