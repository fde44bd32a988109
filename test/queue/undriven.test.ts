import { expect, it } from 'vitest';
import { undrivenTeller } from '../../src/queue/undriven.ts';

it('a mailbox with messages that nobody drives, and that this process does not have, is told of in a while, and again each ten minutes', () => {
  const told: { at: number; mailbox: string }[] = [];
  let now = 0;
  const warn = (fields: object) => void told.push({ at: now, ...(fields as { mailbox: string }) });
  const teller = undrivenTeller({ warn }, () => now);
  for (; now < 1_300_000; now += 500)
    teller.seen([{ mailbox: 'left' }, ...(now % 9_000 < 8_000 ? [{ mailbox: 'handed over' }] : [])]);
  expect(told).toMatchObject([
    { at: 10_000, mailbox: 'left' },
    { at: 610_000, mailbox: 'left' },
    { at: 1_210_000, mailbox: 'left' },
  ]);
});
