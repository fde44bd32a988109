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
