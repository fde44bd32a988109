import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { redisTrouble, redisTroubleIn } from '../src/redis-trouble.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function listening() {
  const told: { sentence: string; [field: string]: unknown }[] = [];
  const note = (fields: object, sentence: string) => void told.push({ sentence, ...fields });
  return { told, trouble: redisTrouble({ info: note, error: note }) };
}
const refused = () =>
  Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED', syscall: 'connect' });

describe('a Redis that is away', () => {
  it('is told at once with what to do, once a minute with since when, and when it is back', () => {
    const { told, trouble } = listening();
    const began = new Date();
    for (let second = 0; second < 150; second++) {
      for (let connection = 0; connection < 4; connection++) trouble.met(refused());
      vi.advanceTimersByTime(1_000);
    }
    expect(told.map(({ sentence }) => sentence)).toEqual(Array(3).fill('Redis cannot be used'));
    expect(told[0]).toMatchObject({ since: began, times: 1, reason: expect.stringContaining('ECONNREFUSED') });
    expect(told[0]?.remedy).toContain('whether Redis runs');
    expect(told[2]).toMatchObject({ since: began });
    expect(told[2]?.times).toBeGreaterThan(400);
    vi.advanceTimersByTime(16_000);
    expect(told.slice(3)).toMatchObject([{ sentence: 'Redis can be used again', since: began, times: 600 }]);
    vi.advanceTimersByTime(600_000);
    expect(told).toHaveLength(4);
  });

  it('is not back since this process stood still and heard nothing', () => {
    const told: string[] = [];
    const note = (_: object, sentence: string) => void told.push(sentence);
    let stood = 0;
    const trouble = redisTrouble({ info: note, error: note }, () => performance.now() + stood);
    trouble.met(refused());
    stood = 20_000;
    // After a stop the timers run before the sockets do.
    vi.advanceTimersByTime(1_000);
    trouble.met(refused());
    expect(told).toEqual(['Redis cannot be used']);
  });

  it('says so no more often where two errors take turns', () => {
    const { told, trouble } = listening();
    for (let time = 0; time < 20; time++) {
      trouble.isTold(new Error("Stream isn't writeable and enableOfflineQueue options is false"));
      trouble.met(new Error('NOAUTH HELLO must be called with the client already authenticated'));
    }
    expect(told).toMatchObject([
      { reason: 'There is no connection to it' },
      { remedy: expect.stringMatching('password') },
    ]);
  });

  it('that comes back full says so at once', () => {
    const { told, trouble } = listening();
    trouble.met(refused());
    expect(trouble.isTold(new Error("OOM command not allowed when used memory > 'maxmemory'."))).toBe(true);
    expect(told[1]).toMatchObject({ sentence: 'Redis cannot be used', remedy: expect.stringContaining('maxmemory') });
  });
});

it.each([
  ["OOM command not allowed when used memory > 'maxmemory'. script: 9c2c, on @user_script:8.", 'OOM'],
  ["Redis did not take the step begin: OOM command not allowed when used memory > 'maxmemory'.", 'OOM'],
  [
    "Redis did not take msg_01m8gvcw486qbsb1cc3twy05hc: READONLY You can't write against a read only replica.",
    'READONLY',
  ],
  ['MISCONF Errors writing to the AOF file: No space left on device', 'MISCONF'],
  ['NOAUTH HELLO must be called with the client already authenticated', 'NOAUTH'],
  ["Stream isn't writeable and enableOfflineQueue options is false", 'CONNECTION'],
  ['Command timed out', 'CONNECTION'],
  ["Socket timeout. Expecting data, but didn't receive any in 10000ms.", 'CONNECTION'],
  ['WRONGTYPE Operation against a key holding the wrong kind of value', undefined],
  ['CONNECTION of words', undefined],
  ['constructor', undefined],
  ['Cannot read properties of undefined', undefined],
])('“%s” is a trouble of all of Redis: %s', (message, code) => {
  expect(redisTroubleIn(new Error(message))).toBe(code);
});

it('what a Redis that becomes a replica answers to whoever waits at it is its trouble, too', () => {
  const said = 'UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)';
  expect(redisTroubleIn(new Error(said))).toBe('READONLY');
});

it('what a full Redis makes of a transaction is its trouble, too', () => {
  const full = new Error("OOM command not allowed when used memory > 'maxmemory'.");
  const said = new Error('EXECABORT Transaction discarded because of previous errors.');
  expect(redisTroubleIn(Object.assign(said, { previousErrors: [full] }))).toBe('OOM');
});
