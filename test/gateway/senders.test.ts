import { describe, expect, it } from 'vitest';
import type { Sender } from '../../src/gateway/accept.ts';
import { headroom, type Load } from '../../src/gateway/headroom.ts';
import { sendersFor } from '../../src/gateway/senders.ts';

function aSender(id: string, more: Partial<Sender> = {}): Sender {
  return {
    id,
    from: ['billing@contoso.com'],
    recipientsPerMessage: 500,
    recipientsPerDay: 10_000,
    messageBytes: 1_000_000,
    connections: 3,
    pace: { perWindow: 30, windowMilliseconds: 60_000 },
    ...more,
  };
}

describe('the mailboxes that may send a message', () => {
  const senders = [
    aSender('domain', { from: ['*@contoso.com'] }),
    aSender('a'),
    aSender('b'),
    aSender('c', { from: ['else@fabrikam.com'] }),
  ];
  const idsFor = (address: string, mailbox?: string) => {
    const allowed = sendersFor(senders, { from: { address, name: '' }, ...(mailbox !== undefined && { mailbox }) });
    return allowed.ok ? allowed.senders.map(({ id }) => id) : [allowed.code, allowed.pointer];
  };
  it.each([
    ['all that name the address', 'Billing@Contoso.com', undefined, ['a', 'b']],
    ['else those of its domain', 'sales@contoso.com', undefined, ['domain']],
    ['the one that is asked for', 'billing@contoso.com', 'b', ['b']],
    ['also one of its domain', 'billing@contoso.com', 'domain', ['domain']],
    ['not one that may not', 'billing@contoso.com', 'c', ['mailbox_not_allowed', '/mailbox']],
    ['nor one that is none', 'billing@contoso.com', 'd', ['mailbox_not_allowed', '/mailbox']],
    ['none for an unknown address', 'x@y.example', 'a', ['sender_not_allowed', '/from']],
  ])('%s', (_what, from, mailbox, expected) => {
    expect(idsFor(from, mailbox)).toEqual(expected);
  });
});

describe('of several mailboxes', () => {
  const idle: Load = { held: false, waiting: 0, inWindow: 0, recipientsToday: 0 };
  const senders = [aSender('a'), aSender('b'), aSender('c')];

  function choosing(loads: Record<string, Partial<Load>>) {
    const state = { reads: 0, time: 0, fails: false };
    const room = headroom(
      async (ids) => {
        state.reads++;
        if (state.fails) throw new Error('away');
        return new Map(ids.map((id) => [id, { ...idle, ...loads[id] }]));
      },
      () => state.time,
    );
    const choose = async (candidates = senders, recipients = 1) => (await room.choose(candidates, recipients)).id;
    return { state, choose };
  }

  it.each<[string, Record<string, Partial<Load>>, string]>([
    ['the first, if all are equal', {}, 'a'],
    ['the one with the shortest queue', { a: { waiting: 9 }, b: { waiting: 7 }, c: { waiting: 8 } }, 'b'],
    ['the one with most room in its window', { a: { inWindow: 5 }, b: { inWindow: 9 }, c: { inWindow: 3 } }, 'c'],
    ['one that is not held, however much waits', { a: { held: true }, b: { waiting: 9_999 }, c: { held: true } }, 'b'],
    ['one with recipients left today', { a: { recipientsToday: 10_000 }, b: { waiting: 20 }, c: { waiting: 30 } }, 'b'],
    [
      'one whose day is used up before one that is held',
      { a: { held: true }, b: { recipientsToday: 10_000 }, c: { held: true } },
      'b',
    ],
    [
      'the least of the held ones, if all are',
      { a: { held: true, waiting: 2 }, b: { held: true, waiting: 1 }, c: { held: true, waiting: 3 } },
      'b',
    ],
  ])('is chosen %s', async (_what, loads, expected) => {
    expect(await choosing(loads).choose()).toBe(expected);
  });

  it('is chosen the fastest for its queue', async () => {
    const fast = aSender('fast', { pace: { perWindow: 300, windowMilliseconds: 60_000 } });
    expect(await choosing({ a: { waiting: 30 }, fast: { waiting: 200 } }).choose([aSender('a'), fast])).toBe('fast');
  });

  it('none is overrun between two looks, and a thousand choices cost one', async () => {
    const { state, choose } = choosing({});
    const chosen: string[] = [];
    for (let i = 0; i < 999; i++) chosen.push(await choose());
    expect(['a', 'b', 'c'].map((id) => chosen.filter((each) => each === id).length)).toEqual([333, 333, 333]);
    expect(state.reads).toBe(1);
    state.time = 1_100;
    await choose();
    await choose();
    expect(state.reads).toBe(2);
  });

  it('a view that is old is read again before it is chosen by', async () => {
    const loads: Record<string, Partial<Load>> = {};
    const { state, choose } = choosing(loads);
    expect(await choose()).toBe('a');
    loads.a = { held: true };
    loads.b = { held: true };
    state.time = 60_000;
    expect(await choose()).toBe('c');
  });

  it('one is chosen although the store cannot be asked', async () => {
    const { state, choose } = choosing({});
    state.fails = true;
    expect(await choose()).toBe('a');
    expect(await choose()).toBe('b');
  });
});
