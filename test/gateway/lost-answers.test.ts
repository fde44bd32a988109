import { expect, it } from 'vitest';
import type { Outcome, Verdict } from '../../src/gateway/judge.ts';
import { judge } from '../../src/gateway/judge.ts';
import { watchAnswers } from '../../src/gateway/lost-answers.ts';
import type { Attempted } from '../../src/gateway/ports.ts';

const REPLY = (code: number, text: string) => ({ code, response: `${code} ${text}`, stage: 'after-dot' as const });
const LOST = { via: 'client' as const, code: 'ECONNRESET', message: 'read ECONNRESET' };
const NOBODY = { accepted: [], refused: [] };

/** What a message met. */
type Met = 'taken' | 'refused' | 'refused at RCPT' | 'lost behind the dot' | 'lost in DATA';
const MET: Record<Met, Outcome> = {
  taken: { ...NOBODY, stage: 'after-dot', accepted: ['ada@fabrikam.com'], reply: REPLY(250, '2.0.0 OK') },
  refused: { ...NOBODY, stage: 'after-dot', trouble: { via: 'smtp', reply: REPLY(554, '5.6.0 Corrupt message') } },
  'refused at RCPT': {
    ...NOBODY,
    stage: 'rcpt',
    refused: [
      { address: 'ada@fabrikam.com', trouble: { via: 'smtp', reply: REPLY(550, '5.1.10 Recipient not found') } },
    ],
  },
  'lost behind the dot': { ...NOBODY, stage: 'after-dot', trouble: { ...LOST, stage: 'after-dot' } },
  'lost in DATA': { ...NOBODY, stage: 'data', trouble: { ...LOST, stage: 'data' } },
};

function verdictOf(met: Met): Verdict {
  const record = {
    id: 'msg_1',
    attempts: 0,
    onUnconfirmed: 'hold',
    recipients: [{ address: 'ada@fabrikam.com', status: 'queued' }],
  } as unknown as Attempted;
  return judge(record, 0, MET[met], new Date(), () => 0.5);
}

/** The mailbox is held after the last of these, and why. */
function after(these: Met[]) {
  const watch = watchAnswers(3);
  return these.map((met) => watch(verdictOf(met), MET[met], false)).at(-1);
}

it.each<[string, Met[]]>([
  ['fewer than so many', ['lost behind the dot', 'lost behind the dot']],
  [
    'with one that was taken among them',
    ['lost behind the dot', 'taken', 'lost behind the dot', 'lost behind the dot'],
  ],
  [
    'with a refusal of the content among them',
    ['lost behind the dot', 'lost behind the dot', 'refused', 'lost behind the dot'],
  ],
  ['before the dot', ['lost in DATA', 'lost in DATA', 'lost in DATA', 'lost in DATA']],
])('answers that are lost hold no mailbox: %s', (_which, these) => {
  expect(after(these)).toBeUndefined();
});

it.each<[string, Met[]]>([
  ['so many in a row', ['lost behind the dot', 'lost behind the dot', 'lost behind the dot']],
  [
    'with messages among them that came to no dot',
    ['lost behind the dot', 'lost behind the dot', 'refused at RCPT', 'lost in DATA', 'lost behind the dot'],
  ],
])('answers that are lost hold the mailbox: %s', (_which, these) => {
  expect(after(these)).toMatchObject({ category: 'outcomeUnknown', scope: 'mailbox', plan: 'backoff' });
});

it('the mailbox is held anew for each one more, until a dot is answered', () => {
  const lost: Met[] = ['lost behind the dot', 'lost behind the dot', 'lost behind the dot', 'lost behind the dot'];
  expect(after(lost)).toBeDefined();
  expect(after([...lost, 'lost in DATA'])).toBeUndefined();
  expect(after([...lost, 'taken', 'lost behind the dot'])).toBeUndefined();
});
