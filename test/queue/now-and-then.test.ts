import { expect, it } from 'vitest';
import { nowAndThen } from '../../src/queue/now-and-then.ts';

it('trouble is told when it begins, and once in half a minute while it goes on; another one at once', () => {
  let now = 0;
  const told: string[] = [];
  const tell = nowAndThen(
    (error) => told.push(`${now} ${(error as Error).message}`),
    () => now,
  );
  for (now = 0; now <= 60_000; now += 500) tell(new Error('READONLY'));
  now = 60_500;
  tell(new Error('OOM'));
  expect(told).toEqual(['0 READONLY', '30000 READONLY', '60000 READONLY', '60500 OOM']);
});
