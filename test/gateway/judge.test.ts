import { describe, expect, it } from 'vitest';
import type { Trouble } from '../../src/failure/failure.ts';
import { judge, type Outcome } from '../../src/gateway/judge.ts';
import { parseReply, type Stage } from '../../src/mail/reply.ts';
import { aRecord } from '../support/record.ts';

const ADA = 'ada@fabrikam.com';
const BOB = 'bob@fabrikam.com';
const two = () => aRecord({ recipients: [ADA, BOB].map((address) => ({ address, status: 'queued' })) });

function said(text: string, stage: Stage): Trouble {
  const reply = parseReply(text, stage, Number(text.slice(0, 3)));
  if (!reply) throw new Error(`No reply: ${text}`);
  return { via: 'smtp', reply };
}

const broken = (stage: Stage, code = 'ECONNECTION'): Trouble => ({
  via: 'client',
  code,
  message: 'Connection closed unexpectedly',
  stage,
});
const tooLarge: Trouble = {
  via: 'client',
  code: 'EMESSAGE',
  command: 'MAIL FROM',
  message: 'Message size larger than allowed 1000',
  stage: 'mail',
};
const OK = parseReply('250 2.0.0 OK', 'after-dot', 250) as NonNullable<Outcome['reply']>;
const verdictOf = (outcome: Partial<Outcome>, record = aRecord()) =>
  judge(record, 2_000, { stage: 'after-dot', accepted: [], refused: [], ...outcome }, new Date(3_000), () => 0.5);

describe('what an attempt comes to', () => {
  const rows: [string, Partial<Outcome>, string, number][] = [
    ['250 for all', { accepted: [ADA], reply: OK }, 'sent', 1],
    ['451 after the dot', { trouble: said('451 4.7.0 Temporary server error', 'after-dot') }, 'deferred', 1],
    [
      '550 for its only recipient',
      {
        stage: 'rcpt',
        refused: [{ address: ADA, trouble: said('550 5.1.1 Unknown', 'rcpt') }],
        trouble: said('550 5.1.1 Unknown', 'rcpt'),
      },
      'failed',
      1,
    ],
    ['a connection lost after the dot', { trouble: broken('after-dot') }, 'unconfirmed', 1],
    ['a connection lost in the body', { stage: 'data', trouble: broken('data') }, 'deferred', 1],
    ['a kept connection that was stale', { stage: 'mail', reused: true, trouble: broken('mail') }, 'queued', 0],
    [
      'a message larger than the server takes, on a kept connection',
      { stage: 'mail', reused: true, trouble: tooLarge },
      'failed',
      1,
    ],
    [
      'our own store that did not let the dot leave',
      { stage: 'data', trouble: broken('data', 'ABANDONED') },
      'queued',
      0,
    ],
    [
      'a throttled mailbox',
      { trouble: said('432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded', 'after-dot') },
      'queued',
      0,
    ],
  ];
  it.each(rows)('%s', (_what, outcome, to, attempts) => {
    const verdict = verdictOf(outcome);
    expect(verdict.to).toBe(to);
    expect(verdict.attempts).toBe(attempts);
    expect(verdict.hold !== undefined).toBe(_what === 'a throttled mailbox');
  });

  it('one of two refused for good: partly sent, each with its own words', () => {
    const refused = [{ address: BOB, trouble: said('550 5.1.1 Unknown', 'rcpt') }];
    const { to, recipients } = verdictOf({ accepted: [ADA], refused, reply: OK }, two());
    expect(to).toBe('partiallySent');
    expect(recipients.map(({ status }) => status)).toEqual(['sent', 'failed']);
    expect(recipients[1]?.failure?.smtp?.code).toBe(550);
  });

  it('one of two refused for now: only that one is tried again', () => {
    const refused = [{ address: BOB, trouble: said('451 4.7.1 Try again later', 'rcpt') }];
    const { to, recipients, delayMilliseconds } = verdictOf({ accepted: [ADA], refused, reply: OK }, two());
    expect(to).toBe('deferred');
    expect(recipients.map(({ status }) => status)).toEqual(['sent', 'deferred']);
    expect(delayMilliseconds).toBeGreaterThan(0);
  });

  it('unknown, and its caller wants it sent again: it is, after a while', () => {
    const verdict = verdictOf({ trouble: broken('after-dot') }, aRecord({ onUnconfirmed: 'resend' }));
    expect(verdict.to).toBe('deferred');
    expect(verdict.attempt.outcome).toBe('unconfirmed');
    expect(verdict.delayMilliseconds).toBeGreaterThan(0);
    expect(verdict.recipients).toMatchObject([{ status: 'deferred', mayHaveArrived: true }]);
  });
});

describe('what an attempt comes to after one of which nobody knows whether it arrived', () => {
  const again = (status: 'queued' | 'failed' = 'queued') =>
    aRecord({
      onUnconfirmed: 'resend',
      recipients: [
        { address: ADA, status, mayHaveArrived: true },
        { address: BOB, status: 'queued' },
      ],
    });

  it('sent, where it is accepted', () => {
    const { to, recipients } = verdictOf({ accepted: [ADA, BOB], reply: OK }, again());
    expect(to).toBe('sent');
    expect(recipients[0]).not.toHaveProperty('mayHaveArrived');
  });

  it('refused: not known to be failed, but for whom that attempt was not', () => {
    const { to, recipients, failure, attempt } = verdictOf(
      { trouble: said('554 5.6.0 Corrupt', 'after-dot') },
      again(),
    );
    expect(to).toBe('unconfirmed');
    expect(recipients).toMatchObject([{ status: 'unconfirmed' }, { status: 'failed' }]);
    expect(failure?.category).toBe('outcomeUnknown');
    expect(attempt).toMatchObject({ outcome: 'failed', failure: { smtp: { code: 554 } } });
  });

  it('refused for one while another is tried again: that is remembered to the end', () => {
    const trouble = said('451 4.7.1 Try again later', 'rcpt');
    const refused = [
      { address: ADA, trouble: said('550 5.1.1 Unknown', 'rcpt') },
      { address: BOB, trouble },
    ];
    const first = verdictOf({ refused, stage: 'rcpt', trouble }, again());
    expect(first.to).toBe('deferred');
    expect(first.recipients).toMatchObject([{ status: 'failed', mayHaveArrived: true }, { status: 'deferred' }]);
    const last = verdictOf({ accepted: [BOB], reply: OK }, again('failed'));
    expect(last.to).toBe('unconfirmed');
    expect(last.recipients.map(({ status }) => status)).toEqual(['unconfirmed', 'sent']);
  });

  it.each([
    ['refused for now', said('451 4.7.0 Temporary server error', 'after-dot'), 'deferred'],
    [
      'a throttled mailbox',
      said('432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded', 'after-dot'),
      'queued',
    ],
    ['broken before the dot', broken('data'), 'deferred'],
  ])('%s: that is remembered', (_what, trouble, to) => {
    const verdict = verdictOf({ trouble }, again());
    expect(verdict.to).toBe(to);
    expect(verdict.recipients[0]).toMatchObject({ status: to, mayHaveArrived: true });
  });
});
