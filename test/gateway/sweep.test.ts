import { describe, expect, it } from 'vitest';
import { type SweepTools, sweep, watchDelays } from '../../src/gateway/sweep.ts';
import type { MessageRecord } from '../../src/mail/message.ts';
import { steadyClock } from '../../src/queue/clock.ts';
import { aRecord } from '../support/record.ts';

const HOUR = 3_600_000;
const NOW = 100 * HOUR;

/** Sweeps one message and says what was done about it. */
async function swept(
  record: MessageRecord | undefined,
  jumped = false,
  hasWaited: SweepTools['hasWaited'] = () => false,
): Promise<string[]> {
  const done: string[] = [];
  const note = (what: string) => async () => void done.push(what);
  const messages = {
    claimDue: async () => ['msg_1'],
    find: async () => record,
    leave: note('left'),
    postpone: async (_id: string, _ticket: number, at: number) =>
      done.push(`looked at again in ${(at - NOW) / 1_000} s`),
  };
  const { troubles } = await sweep({
    messages: messages as unknown as SweepTools['messages'],
    enqueue: async (_mailbox, { number }) => void done.push(`job of ticket ${number}`),
    giveUp: note('given up'),
    promote: note('its job goes now'),
    recover: note('recovered'),
    now: async () => NOW,
    jumped: () => jumped,
    hasWaited,
  });
  expect(troubles).toEqual([]);
  return done;
}

const later = NOW + 10 * HOUR;

describe('the sweeper', () => {
  it.each([
    ['a record that is gone', undefined, ['left']],
    ['one that waits for a person', aRecord({ status: 'unconfirmed' }), ['left']],
    ['one that is over, also past its time', aRecord({ status: 'sent', expiresAt: NOW }), ['left']],
    [
      'one without a job, perhaps',
      aRecord({ status: 'queued', expiresAt: later, ticket: 3 }),
      ['job of ticket 3', 'looked at again in 36000 s'],
    ],
    [
      'one that waits for its next attempt',
      aRecord({ status: 'deferred', expiresAt: later, nextAttemptAt: NOW + 5_000 }),
      ['job of ticket 1', 'looked at again in 65 s'],
    ],
    ['one past its time', aRecord({ status: 'queued', expiresAt: NOW }), ['given up']],
    ['one that is damaged', aRecord({ status: 'queued', expiresAt: later, isDamaged: true }), ['given up']],
    [
      'one whose next attempt is overdue: its job waits by a clock that was ahead',
      aRecord({ status: 'deferred', expiresAt: later, nextAttemptAt: NOW - 30_000 }),
      ['job of ticket 1', 'its job goes now', 'looked at again in 36000 s'],
    ],
    ['one that is being sent', aRecord({ updatedAt: NOW - 1_000 }), ['looked at again in 60 s']],
    ['one that has been sent for longer than anything takes', aRecord({ updatedAt: NOW - 2 * HOUR }), ['recovered']],
  ])('%s', async (_what, record, expected) => {
    expect(await swept(record)).toEqual(expected);
  });

  it('gives nothing up because of a clock that jumped', async () => {
    expect(await swept(aRecord({ status: 'queued', expiresAt: NOW }), true)).not.toContain('given up');
  });

  it('lets nothing go early that is only overdue by a clock that jumped, and looks again soon', async () => {
    const record = aRecord({ status: 'deferred', expiresAt: later, nextAttemptAt: NOW - 30_000 });
    expect(await swept(record, true)).toEqual(['job of ticket 1', 'looked at again in 60 s']);
  });

  it('lets it go once its whole delay has passed by a clock that nobody sets', async () => {
    let passed = 0;
    const hasWaited = watchDelays(() => passed);
    const delayed = { status: 'deferred' as const, updatedAt: NOW - 100_000, nextAttemptAt: NOW - 30_000 };
    const record = aRecord({ ...delayed, expiresAt: later });
    const doubtful = ['job of ticket 1', 'looked at again in 60 s'];
    expect(await swept(record, true, hasWaited)).toEqual(doubtful);
    passed += 69_000;
    expect(await swept(record, true, hasWaited)).toEqual(doubtful);
    passed += 1_000;
    expect(await swept(record, true, hasWaited)).toContain('its job goes now');
    // Its next attempt has a delay of its own.
    expect(await swept({ ...record, ticket: 2 }, true, hasWaited)).not.toContain('its job goes now');
  });

  it('watches no more of them than a process can keep in mind', async () => {
    let passed = 0;
    const hasWaited = watchDelays(() => passed);
    const overdue = (id: string) => aRecord({ id, status: 'deferred', updatedAt: NOW, nextAttemptAt: NOW + 1_000 });
    for (let i = 0; i <= 10_000; i += 1) hasWaited(overdue(`msg_${i}`));
    passed += 1_000;
    expect(hasWaited(overdue('msg_1'))).toBe(true);
    expect(hasWaited(overdue('msg_0'))).toBe(false);
  });

  it('takes nothing out of the hands of an attempt that is only long by a clock that jumped', async () => {
    expect(await swept(aRecord({ updatedAt: NOW - 48 * HOUR }), true)).toEqual(['looked at again in 60 s']);
  });

  it('watches the clock while there is nothing to do, so that it knows of a jump when there is', async () => {
    let wall = NOW;
    const clock = steadyClock(
      async () => wall,
      () => 0,
      () => NOW,
    );
    const due: string[] = [];
    const given: string[] = [];
    const messages = {
      claimDue: async () => due,
      find: async () => aRecord({ status: 'queued', expiresAt: NOW + HOUR }),
      postpone: async () => undefined,
    };
    const tools: SweepTools = {
      messages: messages as unknown as SweepTools['messages'],
      enqueue: async () => undefined,
      giveUp: async (id) => void given.push(id),
      promote: async () => undefined,
      recover: async () => undefined,
      now: clock.now,
      jumped: () => clock.jumped(),
      hasWaited: () => false,
    };
    await sweep(tools);
    wall += 48 * HOUR;
    due.push('msg_1');
    await sweep(tools);
    expect(given).toEqual([]);
  });

  it('that cannot put one message right puts the others right, and says what was wrong', async () => {
    const postponed: string[] = [];
    const messages = {
      claimDue: async () => ['msg_1', 'msg_2'],
      find: async (id: string) => ({ ...aRecord({ status: 'queued', expiresAt: later }), mailbox: id }),
      postpone: async (id: string) => void postponed.push(id),
    };
    const broken = new Error('WRONGTYPE');
    const { looked, troubles } = await sweep({
      messages: messages as unknown as SweepTools['messages'],
      enqueue: async (mailbox) => (mailbox === 'msg_1' ? Promise.reject(broken) : undefined),
      giveUp: async () => undefined,
      promote: async () => undefined,
      recover: async () => undefined,
      now: async () => NOW,
      jumped: () => false,
      hasWaited: () => false,
    });
    expect({ looked, troubles, postponed }).toEqual({ looked: 2, troubles: [broken], postponed: ['msg_2'] });
  });
});
