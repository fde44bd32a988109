import { expect, it } from 'vitest';
import type { Failure } from '../../src/failure/failure.ts';
import { holdTeller } from '../../src/queue/hold-teller.ts';

const failure = { code: 'dns_failed' } as Failure;

function listening() {
  const told: string[] = [];
  const clock = { now: 0 };
  const note = (fields: object, sentence: string) => void told.push(`${sentence} ${JSON.stringify(fields)}`);
  const holds = holdTeller({ info: note, warn: note, error: note }, () => clock.now);
  const meet = (mailbox: string, probes: number, nextProbeInMilliseconds: number) =>
    holds.held(mailbox, 'host:smtp', { failure, since: 86_400_000, probes, nextProbeInMilliseconds });
  return { told, clock, holds, meet };
}

it('a hold that fifty mailboxes run into is told once, again when its trial has prolonged it, and again after a release', () => {
  const { told, clock, holds, meet } = listening();
  for (let i = 0; i < 50; i++) meet(`m${i}`, 0, 1_000);
  expect(told).toHaveLength(1);
  clock.now = 1_001;
  meet('m7', 1, 2_000);
  holds.released('m7', 'host:smtp', 86_400_000);
  meet('m7', 0, 1_000);
  const sentences = told.map((line) => line.split(' {')[0]);
  expect(sentences).toEqual(['Mailbox held', 'Mailbox held', 'Mailbox released', 'Mailbox held']);
});

it('what a trial came to that an operator asked for is told, though it was early', () => {
  const { told, clock, meet } = listening();
  meet('m0', 0, 3_600_000);
  clock.now = 5_000;
  meet('m0', 1, 7_200_000);
  expect(told).toHaveLength(2);
});

it('a line says since when, and how often it was tried', () => {
  const { told, holds, meet } = listening();
  meet('m0', 3, 1_000);
  holds.released('m0', 'host:smtp', 86_400_000);
  expect(told[0]).toContain('"since":"1970-01-02T00:00:00.000Z","probes":3,"nextProbeInMilliseconds":1000');
  expect(told[1]).toContain('"since":"1970-01-02T00:00:00.000Z"');
});
