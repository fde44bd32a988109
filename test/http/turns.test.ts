import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { callerTurns } from '../../src/http/turns.ts';

const LARGE = 1024 * 1024;

function twoCallers() {
  let time = 0;
  const turns = callerTurns(() => time);
  const done: string[] = [];
  /** Work that is over as soon as it is done, or when the test says so. */
  const take = (caller: string, bytes: number, name = caller, isLong = false) => {
    turns.seen(caller);
    const leave = turns.take(caller, bytes, () => {
      done.push(name);
      if (!isLong) queueMicrotask(() => leave?.());
    });
    return () => leave?.();
  };
  return { ...{ turns, done, take }, pass: (milliseconds: number) => (time += milliseconds) };
}

test('the work of a caller who is alone is done at once, however much it is', () => {
  const { done, take } = twoCallers();
  for (let i = 0; i < 100; i++) take('loud', LARGE);
  expect(done).toHaveLength(100);
});

test('while another caller is there, one large body at a time is worked on before the loop looks at what has come', async () => {
  const { turns, done, take } = twoCallers();
  turns.seen('quiet');
  for (let i = 0; i < 3; i++) take('loud', LARGE);
  expect(done).toEqual([]);
  for (const count of [1, 2, 3]) {
    await nextTurn();
    expect(done).toHaveLength(count);
  }
});

test('small ones are worked on several at a time, since what is accepted together is written together', async () => {
  const { turns, done, take } = twoCallers();
  turns.seen('quiet');
  for (let i = 0; i < 64; i++) take('loud', 2_048);
  await nextTurn();
  expect(done.length).toBeGreaterThan(4);
  expect(done.length).toBeLessThan(20);
});

test('of one caller only so much is under way at a time, and another one’s is begun meanwhile', async () => {
  const { turns, done, take } = twoCallers();
  turns.seen('quiet');
  const ends = Array.from({ length: 40 }, () => take('loud', 2_048, 'loud', true));
  for (let i = 0; i < 5; i++) await nextTurn();
  expect(done).toHaveLength(16);
  take('quiet', 2_048);
  await nextTurn();
  expect(done.at(-1)).toBe('quiet');
  for (const end of ends.slice(0, 4)) for (const _ of [1, 2]) end();
  for (let i = 0; i < 5; i++) await nextTurn();
  expect(done).toHaveLength(16 + 1 + 4);
});

test('one that is larger than what may be under way waits for all others of its caller, and then goes alone', async () => {
  const { turns, done, take } = twoCallers();
  turns.seen('quiet');
  const end = take('loud', 2_048, 'small', true);
  const endLarge = take('loud', LARGE, 'large', true);
  take('loud', 2_048, 'after');
  for (let i = 0; i < 5; i++) await nextTurn();
  expect(done).toEqual(['small']);
  end();
  for (let i = 0; i < 5; i++) await nextTurn();
  expect(done).toEqual(['small', 'large']);
  endLarge();
  await nextTurn();
  expect(done).toEqual(['small', 'large', 'after']);
});

test('who asks for little goes before who has much waiting', async () => {
  const { turns, done, take } = twoCallers();
  turns.seen('quiet');
  for (let i = 0; i < 5; i++) take('loud', LARGE);
  await nextTurn();
  take('quiet', 2_048);
  await nextTurn();
  expect(done).toEqual(['loud', 'quiet', 'loud']);
});

test('callers who all have much waiting are worked on in turn', async () => {
  const { done, take } = twoCallers();
  for (const caller of ['a', 'b', 'c']) take(caller, 0, 'first');
  for (let i = 0; i < 3; i++) for (const caller of ['a', 'b', 'c']) take(caller, LARGE);
  for (let i = 0; i < 12; i++) await nextTurn();
  expect(done.filter((name) => name !== 'first').join('')).toBe('abcabcabc');
});

test('a caller counts as there for ten seconds, and all work that waits is done after that too', async () => {
  const { turns, done, take, pass } = twoCallers();
  turns.seen('quiet');
  take('loud', LARGE);
  pass(9_000);
  take('loud', LARGE);
  expect(done).toEqual([]);
  for (let i = 0; i < 4; i++) await nextTurn();
  pass(2_000);
  take('loud', LARGE);
  expect(done).toEqual(['loud', 'loud', 'loud']);
});
