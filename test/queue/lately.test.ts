import { expect, it } from 'vitest';
import { lately } from '../../src/queue/lately.ts';

function aMemory(most: number) {
  let now = 0;
  const memory = lately<number>(1_000, most, () => now);
  return {
    ...memory,
    later(milliseconds: number) {
      now += milliseconds;
    },
  };
}

it('what was remembered is forgotten when it is old and something else is remembered', () => {
  const { remember, recall, later } = aMemory(10);
  remember('a', 1);
  later(600);
  remember('b', 2);
  expect([recall('a'), recall('b')]).toEqual([1, 2]);
  later(600);
  remember('c', 3);
  expect([recall('a'), recall('b'), recall('c')]).toEqual([undefined, 2, 3]);
});

it('no more is remembered than there is room for', () => {
  const { remember, recall } = aMemory(2);
  for (const [index, key] of ['a', 'b', 'c'].entries()) remember(key, index);
  expect(['a', 'b', 'c'].map(recall)).toEqual([undefined, 1, 2]);
});
