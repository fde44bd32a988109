import { describe, expect, it } from 'vitest';
import { expiredFailure, recoverSending } from '../../src/gateway/recover.ts';
import { aRecord } from '../support/record.ts';

const now = new Date(5_000);
const random = () => 0.5;

describe('a message whose worker died', () => {
  it('before its mark is sent again, and no attempt is spent', () => {
    const recovery = recoverSending(aRecord(), now, random);
    expect(recovery).toMatchObject({ to: 'queued', attempts: 0, attempt: { outcome: 'interrupted' } });
    expect(recovery.failure).toBeUndefined();
  });

  it('after its mark is unconfirmed', () => {
    const recovery = recoverSending(aRecord({ dotMayHaveLeft: true }), now, random);
    expect(recovery).toMatchObject({ to: 'unconfirmed', attempts: 1, attempt: { outcome: 'unconfirmed' } });
    expect(recovery.failure?.code).toBe('outcome_unknown');
    expect(recovery.recipients[0]?.status).toBe('unconfirmed');
  });

  it('after its mark is sent again if its caller said so, and the timeline tells that it may have been sent', () => {
    const recovery = recoverSending(aRecord({ dotMayHaveLeft: true, onUnconfirmed: 'resend' }), now, random);
    expect(recovery).toMatchObject({ to: 'queued', attempt: { outcome: 'unconfirmed' } });
    expect(recovery.recipients).toMatchObject([{ status: 'queued', mayHaveArrived: true }]);
  });

  it('before its mark, after an attempt that may have arrived, is sent again, or parked as one of which nobody knows', () => {
    const recipients = [{ address: 'ada@fabrikam.com', status: 'queued' as const, mayHaveArrived: true as const }];
    const { recipients: waiting } = recoverSending(aRecord({ recipients }), now, random);
    expect(waiting).toMatchObject([{ status: 'queued', mayHaveArrived: true }]);
    const parked = recoverSending(aRecord({ recipients, interruptions: 9 }), now, random);
    expect(parked).toMatchObject({ to: 'unconfirmed', failure: { category: 'outcomeUnknown' } });
    expect(parked.recipients[0]?.status).toBe('unconfirmed');
  });

  it('again and again is put off longer each time, and says why', () => {
    const later = [1, 2, 8].map((interruptions) => recoverSending(aRecord({ interruptions }), now, random));
    expect(later.map(({ to }) => to)).toEqual(['deferred', 'deferred', 'deferred']);
    const [first = 0, second = 0, last = 0] = later.map(({ delayMilliseconds }) => delayMilliseconds);
    expect(first).toBeLessThan(second);
    expect(second).toBeLessThan(last);
    expect(later[0]?.failure).toMatchObject({ code: 'worker_died', plan: 'backoff', scope: 'message' });
  });

  it('ten times is parked with a reason, and may be retried for ten more', () => {
    const parked = recoverSending(aRecord({ interruptions: 9 }), now, random);
    expect(parked).toMatchObject({ to: 'failed', interruptions: 10, failure: { code: 'worker_died', plan: 'never' } });
    expect(parked.recipients[0]).toMatchObject({ status: 'failed', failure: { code: 'worker_died' } });
    expect(recoverSending(aRecord({ interruptions: 10 }), now, random).to).toBe('deferred');
    const recipients = [
      { address: 'ada@fabrikam.com', status: 'sent' as const },
      { address: 'bob@fabrikam.com', status: 'deferred' as const },
    ];
    const partly = recoverSending(aRecord({ interruptions: 9, recipients }), now, random);
    expect(partly.to).toBe('partiallySent');
    expect(partly.recipients.map(({ status }) => status)).toEqual(['sent', 'failed']);
  });

  it('ten times after its mark is not sent again, even if its caller said so: nobody knows', () => {
    const record = aRecord({ interruptions: 9, dotMayHaveLeft: true, onUnconfirmed: 'resend' });
    expect(recoverSending(record, now, random).to).toBe('unconfirmed');
  });

  it('keeps the recipients that were accepted before', () => {
    const recipients = [
      { address: 'ada@fabrikam.com', status: 'sent' as const },
      { address: 'bob@fabrikam.com', status: 'deferred' as const },
    ];
    const { recipients: after } = recoverSending(aRecord({ recipients, dotMayHaveLeft: true }), now, random);
    expect(after.map(({ status }) => status)).toEqual(['sent', 'unconfirmed']);
  });

  it.each(['hold', 'resend'] as const)('after its mark leaves those that were refused what they are: %s', (wish) => {
    const [ada, bob, cyd] = ['ada', 'bob', 'cyd'].map((name) => `${name}@fabrikam.com`) as [string, string, string];
    const refusedBeforeDot = [
      { address: bob, status: 'failed' as const },
      { address: cyd, status: 'deferred' as const },
    ];
    const recipients = [ada, bob, cyd].map((address) => ({ address, status: 'queued' as const }));
    const marked = { recipients, dotMayHaveLeft: true, refusedBeforeDot };
    const recovery = recoverSending(aRecord({ ...marked, onUnconfirmed: wish }), now, random);
    const first = wish === 'hold' ? 'unconfirmed' : 'queued';
    expect(recovery.to).toBe(first);
    expect(recovery.recipients.map(({ status }) => status)).toEqual([first, 'failed', 'deferred']);
  });
});

it('an expired message says what its last trouble was', () => {
  const failure = recoverSending(aRecord({ dotMayHaveLeft: true }), now, random).failure;
  expect(expiredFailure(aRecord(failure && { failure }), now).summary).toContain('outcome_unknown');
});
