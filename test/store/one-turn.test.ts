import { describe, expect, it } from 'vitest';
import { inOneTurn } from '../../src/store/one-turn.ts';
import { eventually } from '../support/postroom.ts';

/** Something that is sent to, which answers when it is told to. */
function addressee(patience: number, crowd?: number) {
  const sent: string[][] = [];
  const answers: (() => void)[] = [];
  const give = inOneTurn<string, string>(
    () => 1,
    (items) => {
      sent.push(items);
      return new Promise((resolve, reject) =>
        answers.push(() =>
          items.includes('bad') ? reject(new Error('No')) : resolve(items.map((each) => `${each}!`)),
        ),
      );
    },
    patience,
    crowd,
  );
  return { give, sent, answer: (index: number) => answers[index]?.() };
}

describe('what is given in one turn', () => {
  it('is sent together at its end, and each gets its own answer', async () => {
    const { give, sent, answer } = addressee(0);
    const both = Promise.all([give('a'), give('b')]);
    await eventually(() => sent.length === 1);
    answer(0);
    expect(await both).toEqual(['a!', 'b!']);
    expect(sent).toEqual([['a', 'b']]);
  });

  it('waits for the answer to what was sent before, and goes together then, also when that failed', async () => {
    const { give, sent, answer } = addressee(60_000);
    const first = give('bad');
    await eventually(() => sent.length === 1);
    const second = give('b');
    await new Promise(setImmediate);
    const third = give('c');
    await new Promise(setImmediate);
    expect(sent).toEqual([['bad']]);
    answer(0);
    await expect(first).rejects.toThrow('No');
    await eventually(() => sent.length === 2);
    answer(1);
    expect(await Promise.all([second, third])).toEqual(['b!', 'c!']);
    expect(sent).toEqual([['bad'], ['b', 'c']]);
  });

  it('waits no longer than patience for an answer that does not come', async () => {
    const { give, sent, answer } = addressee(5);
    const first = give('a');
    await eventually(() => sent.length === 1);
    const second = give('b');
    await eventually(() => sent.length === 2);
    answer(1);
    expect(await second).toBe('b!');
    answer(0);
    expect(await first).toBe('a!');
    expect(sent).toEqual([['a'], ['b']]);
  });

  it('waits for no answer when it is a crowd', async () => {
    const { give, sent, answer } = addressee(60_000, 3);
    const all = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(give);
    await new Promise(setImmediate);
    expect(sent).toEqual([
      ['a', 'b', 'c'],
      ['d', 'e', 'f'],
    ]);
    answer(1);
    await eventually(() => sent.length === 3);
    expect(sent[2]).toEqual(['g']);
    answer(0);
    answer(2);
    expect(await Promise.all(all)).toEqual(['a!', 'b!', 'c!', 'd!', 'e!', 'f!', 'g!']);
  });

  it('is sent at once when it is as much as one command may carry', async () => {
    const { give, sent } = addressee(60_000);
    const all = Array.from({ length: 130 }, (_, index) => give(String(index)));
    expect(sent.map(({ length }) => length)).toEqual([64, 64]);
    void Promise.allSettled(all);
  });
});
