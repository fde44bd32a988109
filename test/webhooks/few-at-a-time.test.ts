import { expect, it } from 'vitest';
import { fewAtATime } from '../../src/webhooks/few-at-a-time.ts';

/** Questions that are answered when the test says so. */
function slow() {
  const begun: string[] = [];
  const answers = new Map<string, (answer: string) => void>();
  const ask = (name: string) => {
    begun.push(name);
    return new Promise<string>((resolve) => answers.set(name, resolve));
  };
  return { begun, ask, answer: (name: string) => answers.get(name)?.(`the address of ${name}`) };
}
const settle = () => new Promise((resolve) => setImmediate(resolve));

it('names whose servers are silent take two threads at most, and the next one’s turn comes when one is done', async () => {
  const { begun, ask, answer } = slow();
  const resolve = fewAtATime(ask, 2, 60_000);
  const all = ['a', 'b', 'c', 'd'].map((name) => resolve(name));
  await settle();
  expect(begun).toEqual(['a', 'b']);
  answer('b');
  expect(await all[1]).toBe('the address of b');
  await settle();
  expect(begun).toEqual(['a', 'b', 'c']);
  for (const name of ['a', 'c']) answer(name);
  await Promise.all([all[0], all[2]]);
  answer('d');
  expect(await all[3]).toBe('the address of d');
});

it('a name that is being asked for is not asked for again, and afterwards it is', async () => {
  const { begun, ask, answer } = slow();
  const resolve = fewAtATime(ask, 2, 60_000);
  const both = Promise.all([resolve('a'), resolve('a')]);
  answer('a');
  expect(new Set(await both).size).toBe(1);
  void resolve('a');
  await settle();
  expect(begun).toEqual(['a', 'a']);
});

it('nobody waits longer than the time for it, and a failure frees the place too', async () => {
  const never = fewAtATime(() => new Promise<string>(() => undefined), 1, 20);
  await expect(never('a')).rejects.toThrow('in time');
  await expect(never('b')).rejects.toThrow('in time');
  let asked = 0;
  const failing = fewAtATime(
    async () => {
      asked += 1;
      throw new Error('ENOTFOUND');
    },
    1,
    60_000,
  );
  for (const name of ['a', 'b']) await expect(failing(name)).rejects.toThrow('ENOTFOUND');
  expect(asked).toBe(2);
});

it('a name that nobody waits for any more is not asked for: a thousand silent ones hold up nobody once they are given up', async () => {
  const { begun, ask, answer } = slow();
  const resolve = fewAtATime(ask, 1, 500);
  const given = await Promise.allSettled(['silent', 'a', 'b', 'c'].map((name) => resolve(name)));
  expect(given.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
  // One of them is asked for again, and so is wanted.
  const [again, next] = [resolve('b'), resolve('next')];
  again.catch(() => undefined);
  answer('silent');
  await settle();
  answer('b');
  await settle();
  answer('next');
  expect([await again, await next]).toEqual(['the address of b', 'the address of next']);
  expect(begun).toEqual(['silent', 'b', 'next']);
});

it('names that were silent leave a place for the others, however many they are and however often they are asked', async () => {
  const { begun, ask, answer } = slow();
  const resolve = fewAtATime(ask, 2, 300);
  const silent = ['silent 1', 'silent 2', 'silent 3'];
  // Nobody knows yet: these two take both places for as long as their servers like, and are known then.
  await Promise.allSettled(silent.slice(0, 2).map((name) => resolve(name)));
  for (const name of silent.slice(0, 2)) answer(name);
  await settle();
  const again = Promise.allSettled(silent.slice(0, 2).map((name) => resolve(name)));
  await settle();
  const other = resolve('other');
  await settle();
  expect(begun).toEqual(['silent 1', 'silent 2', 'silent 1', 'other']);
  answer('other');
  expect(await other).toBe('the address of other');
  // One that is answered in time is as good as any again.
  answer('silent 1');
  await settle();
  expect(begun.at(-1)).toBe('silent 2');
  const [first, both] = [resolve('silent 1'), resolve('silent 3')];
  both.catch(() => undefined);
  await settle();
  expect(begun.slice(5)).toEqual(['silent 1']);
  answer('silent 1');
  expect(await first).toBe('the address of silent 1');
  await again;
});
