import { describe, expect, it } from 'vitest';
import { judgementOf } from '../../src/failure/catalogue.ts';
import { CODES, type Code } from '../../src/failure/codes.ts';
import type { Failure } from '../../src/failure/failure.ts';
import { backoffDelay, holdDelay } from '../../src/failure/plan.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const earliest = () => 0;
const latest = () => 1 - 2 ** -40;

function failing(code: Code, changes: Partial<Failure> = {}): Failure {
  return { code, ...judgementOf(code), at: '2026-11-23T10:00:00.000Z', ...changes };
}

describe('a message that failed for the moment', () => {
  it('is tried again after seconds, then ever later, at most after an hour', () => {
    const delays = Array.from({ length: 20 }, (_, index) => backoffDelay(index + 1, latest));
    expect(delays[0]).toBe(5_000);
    expect(delays.slice(0, 5)).toEqual([5_000, 10_000, 20_000, 40_000, 80_000]);
    expect(delays.at(-1)).toBe(HOUR);
    expect(delays).toEqual([...delays].sort((a, b) => a - b));
  });

  it('does not come back together with the others', () => {
    expect(backoffDelay(3, earliest)).toBe(10_000);
    expect(backoffDelay(3, () => 0.5)).toBe(15_000);
  });

  it.each([0, -1, 1_000, Number.MAX_SAFE_INTEGER])('waits a sane time for attempt %d too', (attempt) => {
    const delay = backoffDelay(attempt, latest);
    expect(delay).toBeGreaterThanOrEqual(2_500);
    expect(delay).toBeLessThanOrEqual(HOUR);
  });
});

describe('a held mailbox', () => {
  it.each(['auth_invalid_credentials', 'auth_smtp_disabled', 'mailbox_full', 'token_credentials_invalid'] as const)(
    'with %s is probed at five minutes at the earliest, and then ever later up to an hour',
    (code) => {
      const delays = Array.from({ length: 8 }, (_, probes) => holdDelay(probes, failing(code), MINUTE, earliest));
      expect(delays.slice(0, 4)).toEqual([5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE]);
      expect(delays.slice(4)).toEqual([HOUR, HOUR, HOUR, HOUR]);
    },
  );

  it.each([
    'connection_failed',
    'dns_failed',
    'server_busy',
    'timeout',
    'token_unavailable',
    'connection_limited',
    'tls_failed',
  ] as const)('with %s is probed after seconds, and at least every five minutes', (code) => {
    expect(holdDelay(0, failing(code), MINUTE, latest)).toBe(5_000);
    expect(holdDelay(50, failing(code), MINUTE, latest)).toBe(5 * MINUTE);
  });

  it('with a full minute waits exactly one window, however long that is', () => {
    expect(holdDelay(0, failing('rate_limited'), 1_500, latest)).toBe(1_500);
    expect(holdDelay(9, failing('rate_limited'), MINUTE, latest)).toBe(MINUTE);
  });

  it.each(['daily_quota_exceeded', 'tenant_quota_exceeded'] as const)('with %s is probed every hour', (code) => {
    expect(holdDelay(0, failing(code), MINUTE, earliest)).toBe(HOUR);
    expect(holdDelay(20, failing(code), MINUTE, earliest)).toBe(HOUR);
  });

  it.each(['sender_throttled', 'sender_blocked', 'tenant_blocked'] as const)(
    'with %s is left alone for an hour or more',
    (code) => {
      expect(holdDelay(0, failing(code), MINUTE, earliest)).toBe(HOUR);
      expect(holdDelay(20, failing(code), MINUTE, latest)).toBeGreaterThan(3 * HOUR);
    },
  );

  it('never shows a refused credential twice within five minutes, whatever the code', () => {
    for (const code of CODES) {
      const { category, plan } = judgementOf(code);
      if (category !== 'authentication' || plan !== 'afterFix') continue;
      for (let probes = 0; probes < 10; probes++)
        expect(holdDelay(probes, failing(code), MINUTE, earliest), code).toBeGreaterThanOrEqual(5 * MINUTE);
    }
  });
});
