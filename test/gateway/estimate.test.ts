import { expect, it } from 'vitest';
import { estimateSendAt } from '../../src/gateway/estimate.ts';

it.each([
  [0, 0],
  [29, 0],
  [30, 60_000],
  [89, 120_000],
  [90, 180_000],
])('with %i before it a message goes about %i ms later', (ahead, milliseconds) => {
  expect(estimateSendAt(ahead, { perWindow: 30, windowMilliseconds: 60_000 }, 1_000)).toBe(1_000 + milliseconds);
});

it.each([
  ['goes at once where the window has room for it', 9, { taken: 20, nextFreeAt: 31_000 }, 1_000],
  ['goes when the first place is free again where the window is full', 0, { taken: 30, nextFreeAt: 31_000 }, 31_000],
  ['goes with the first places that are free again, as the last', 39, { taken: 20, nextFreeAt: 31_000 }, 31_000],
  ['goes a window after those', 40, { taken: 20, nextFreeAt: 31_000 }, 91_000],
  ['goes at once where the place should be free by now', 0, { taken: 30, nextFreeAt: 500 }, 1_000],
])('a message %s', (_, ahead, use, at) => {
  expect(estimateSendAt(ahead, { perWindow: 30, windowMilliseconds: 60_000 }, 1_000, use)).toBe(at);
});
