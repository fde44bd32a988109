import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { pacedLog } from '../src/paced-log.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function listening(isRedis: (error: unknown) => boolean = () => false) {
  const told: { sentence: string; [field: string]: unknown }[] = [];
  const note = (fields: object, sentence: string) => void told.push({ sentence, ...fields });
  return { told, log: pacedLog({ info: note, warn: note, error: note }, { isTold: isRedis }) };
}
const error = new Error('WRONGTYPE');

it('what comes twice a second is told at once, once a minute with how often and since when, and when it is over', () => {
  const { told, log } = listening();
  const since = new Date();
  for (let half = 0; half < 250; half++) {
    log.warn({ mailbox: 'main', messageId: `msg_${half}`, error }, 'Could not begin yet');
    vi.advanceTimersByTime(500);
  }
  expect(told).toMatchObject([
    { sentence: 'Could not begin yet', mailbox: 'main', error },
    { sentence: 'Could not begin yet', mailbox: 'main', since, times: 121 },
    { sentence: 'Could not begin yet', mailbox: 'main', since, times: 241 },
  ]);
  vi.advanceTimersByTime(20_000);
  const over = { sentence: 'This is over', mailbox: 'main', what: 'Could not begin yet', since, times: 250 };
  expect(told.slice(3)).toEqual([over]);
});

it('another mailbox, another sentence and another message that was sent are other lines', () => {
  const { told, log } = listening();
  for (let time = 0; time < 5; time++) {
    for (const mailbox of ['a', 'b']) log.warn({ mailbox, error }, 'Queue had trouble');
    log.warn({ mailbox: 'a', error }, 'Lane not opened');
    for (const messageId of ['1', '2']) log.error({ mailbox: 'a', messageId, error }, 'Result could not be written');
  }
  expect(told).toHaveLength(5);
});

it('what happens to messages is told each time', () => {
  const { told, log } = listening();
  for (let time = 0; time < 5; time++) {
    log.info({ mailbox: 'a' }, 'Message sent');
    log.warn({ mailbox: 'a', failure: {} }, 'Mailbox held');
  }
  expect(told).toHaveLength(10);
});

it('a trouble with all of Redis is told as that, but for results that cannot be written', () => {
  const { told, log } = listening(() => true);
  log.warn({ mailbox: 'a', error }, 'Queue had trouble');
  log.error({ mailbox: 'a', messageId: '1', error }, 'Result could not be written');
  expect(told).toMatchObject([{ sentence: 'Result could not be written' }]);
});

it('what came once or twice needs no end', () => {
  const { told, log } = listening();
  for (let time = 0; time < 2; time++) log.warn({ error }, 'Could not sweep');
  vi.advanceTimersByTime(60_000);
  expect(told).toHaveLength(1);
});

it('nothing is over since this process stood still', () => {
  const told: string[] = [];
  const note = (_: object, sentence: string) => void told.push(sentence);
  let stood = 0;
  const lines = { info: note, warn: note, error: note };
  const log = pacedLog(lines, { isTold: () => false }, () => performance.now() + stood);
  for (let time = 0; time < 3; time++) log.warn({ error }, 'Could not begin yet');
  stood = 20_000;
  vi.advanceTimersByTime(1_000);
  log.warn({ error }, 'Could not begin yet');
  expect(told).toEqual(['Could not begin yet']);
});
