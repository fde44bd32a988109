import { expect, it } from 'vitest';
import type { Failure } from '../../src/failure/failure.ts';
import { holdTeller } from '../../src/queue/hold-teller.ts';

it('a hold that fifty mailboxes run into is told once, again when its trial has prolonged it, and again after a release', () => {
  const told: string[] = [];
  let now = 0;
  const note = (_fields: object, sentence: string) => void told.push(sentence);
  const holds = holdTeller({ info: note, warn: note, error: note }, () => now);
  const failure = { code: 'dns_failed' } as Failure;
  for (let i = 0; i < 50; i++) holds.held(`m${i}`, 'host:smtp', failure, 1_000);
  expect(told).toEqual(['Mailbox held']);
  now = 1_001;
  holds.held('m7', 'host:smtp', failure, 2_000);
  holds.released('m7', 'host:smtp');
  holds.held('m7', 'host:smtp', failure, 1_000);
  expect(told).toEqual(['Mailbox held', 'Mailbox held', 'Mailbox released', 'Mailbox held']);
});
