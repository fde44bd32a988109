import { expect, it } from 'vitest';
import { estimateSendAt } from '../../src/gateway/estimate.ts';

const PACE = { perWindow: 30, windowMilliseconds: 60_000 };
const DAY = { perDay: 10_000, used: 0 };
const HOUR = 3_600_000;

it.each([
  [0, 0],
  [29, 0],
  [30, 60_000],
  [89, 120_000],
  [90, 180_000],
])('with %i before it a message goes about %i ms later', (ahead, milliseconds) => {
  expect(estimateSendAt(ahead, PACE, 1_000, undefined, DAY)).toBe(1_000 + milliseconds);
});

it.each([
  ['goes at once where the window has room for it', 9, { taken: 20, nextFreeAt: 31_000 }, 1_000],
  ['goes when the first place is free again where the window is full', 0, { taken: 30, nextFreeAt: 31_000 }, 31_000],
  ['goes with the first places that are free again, as the last', 39, { taken: 20, nextFreeAt: 31_000 }, 31_000],
  ['goes a window after those', 40, { taken: 20, nextFreeAt: 31_000 }, 91_000],
  ['goes at once where the place should be free by now', 0, { taken: 30, nextFreeAt: 500 }, 1_000],
])('a message %s', (_, ahead, use, at) => {
  expect(estimateSendAt(ahead, PACE, 1_000, use, DAY)).toBe(at);
});

it.each([
  ['the last of a day goes by the window', 9_999, 0, (333 * 60_000) / HOUR],
  ['the next one goes when the first of them is a day old', 10_000, 0, 24],
  ['one behind two days’ worth goes two days later', 20_030, 0, 48 + 1 / 60],
  ['where half of the day is used, these are the first to be free, over a day', 7_499, 5_000, 12],
  ['and then what is sent now is free', 10_000, 5_000, 24],
  ['where the day is used up, its recipients end over a day', 9_999, 10_000, 24],
  ['where more than the day is used, since its limit was lowered, too', 9_999, 12_000, 24],
])('of fifty thousand, %s', (_, ahead, used, hours) => {
  const at = estimateSendAt(ahead, PACE, 0, undefined, { perDay: 10_000, used });
  expect(at / HOUR).toBeCloseTo(hours, 3);
});

it.each([0, 30, 5_000, 10_000])('a message never goes before the one before it, with %i of the day used', (used) => {
  const at = (ahead: number) => estimateSendAt(ahead, PACE, 0, undefined, { perDay: 10_000, used });
  const early = Array.from({ length: 45_000 }, (_, ahead) => ahead).filter((ahead) => at(ahead + 1) < at(ahead));
  expect(early).toEqual([]);
});
