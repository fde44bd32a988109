import { expect, it } from 'vitest';
import type { MessageLists } from '../../src/gateway/lists.ts';
import { startTidier } from '../../src/queue/tidier.ts';
import { eventually } from '../support/postroom.ts';

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Starts a tidier that finds nothing to do, and counts what it does. */
function tidier({ fails = 0, claims = Number.POSITIVE_INFINITY, jumped = false } = {}) {
  const done = { asked: 0, gone: 0, holds: 0, warned: 0 };
  const lists = {
    claimTidying: async () => done.asked++ < claims,
    callers: async () => {
      if (done.gone++ < fails) throw new Error('Redis is away');
      return [];
    },
  };
  const started = startTidier(
    {
      lists: lists as unknown as MessageLists,
      mailboxes: { forgetHolds: async () => void done.holds++ },
      clock: { jumped: () => jumped },
      now: async () => 0,
      recordMilliseconds: 1,
      log: { ...log, warn: () => void done.warned++ },
    },
    { look: 1 },
  );
  return { done, started };
}

it('goes through the lists when it is its turn, and asks for the turn again and again', async () => {
  const { done, started } = tidier({ claims: 1 });
  await eventually(() => done.asked > 3);
  started.stop();
  expect(done.gone).toBe(1);
});

it('goes on after Redis was away', async () => {
  const { done, started } = tidier({ fails: 2 });
  await eventually(() => done.gone > 3);
  started.stop();
  expect(done.warned).toBe(2);
});

it('forgets no hold because of a clock that jumped', async () => {
  const jumped = tidier({ claims: 2, jumped: true });
  const steady = tidier({ claims: 2 });
  await eventually(() => jumped.done.asked > 3 && steady.done.asked > 3);
  jumped.started.stop();
  steady.started.stop();
  expect([jumped.done.holds, steady.done.holds]).toEqual([0, 2]);
});
