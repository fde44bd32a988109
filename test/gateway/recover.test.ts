import { describe, expect, it } from 'vitest';
import { expiredFailure, recoverSending } from '../../src/gateway/recover.ts';
import { aRecord } from '../support/record.ts';

const now = new Date(5_000);

describe('a message whose worker died', () => {
  it('before its mark is sent again, and no attempt is spent', () => {
    const recovery = recoverSending(aRecord(), now);
    expect(recovery).toMatchObject({ to: 'queued', attempts: 0, attempt: { outcome: 'interrupted' } });
    expect(recovery.failure).toBeUndefined();
  });

  it('after its mark is unconfirmed', () => {
    const recovery = recoverSending(aRecord({ dotMayHaveLeft: true }), now);
    expect(recovery).toMatchObject({ to: 'unconfirmed', attempts: 1, attempt: { outcome: 'unconfirmed' } });
    expect(recovery.failure?.code).toBe('outcome_unknown');
    expect(recovery.recipients[0]?.status).toBe('unconfirmed');
  });

  it('after its mark is sent again if its caller said so, and the timeline tells that it may have been sent', () => {
    const recovery = recoverSending(aRecord({ dotMayHaveLeft: true, onUnconfirmed: 'resend' }), now);
    expect(recovery).toMatchObject({ to: 'queued', attempt: { outcome: 'unconfirmed' } });
  });

  it('keeps the recipients that were accepted before', () => {
    const recipients = [
      { address: 'ada@fabrikam.com', status: 'sent' as const },
      { address: 'bob@fabrikam.com', status: 'deferred' as const },
    ];
    const { recipients: after } = recoverSending(aRecord({ recipients, dotMayHaveLeft: true }), now);
    expect(after.map(({ status }) => status)).toEqual(['sent', 'unconfirmed']);
  });
});

it('an expired message says what its last trouble was', () => {
  const failure = recoverSending(aRecord({ dotMayHaveLeft: true }), now).failure;
  expect(expiredFailure(aRecord(failure && { failure }), now).summary).toContain('outcome_unknown');
});
