import { expect, it } from 'vitest';
import { aMessage, beginning, leasedStore } from '../support/store.ts';

const store = leasedStore();
const MEBIBYTE = 1024 * 1024;

function aMessageOf(octets: number, first: string) {
  const message = aMessage();
  const mime = Buffer.alloc(octets, first);
  return { ...message, mime, fixed: { ...message.fixed, bytes: octets } };
}

it('many large messages that begin in one turn come in answers of bounded size, each with its own content', async () => {
  const messages = Array.from({ length: 6 }, (_, index) => aMessageOf(3 * MEBIBYTE + index, String(index)));
  for (const message of messages) await store.messages.accept(message);
  const answered = await Promise.all(messages.map(({ id }) => store.messages.begin(beginning(id))));
  const together = answered.reduce((sum, each) => sum + (each.kind === 'go' ? (each.mime?.length ?? 0) : 0), 0);
  expect(answered.map(({ kind }) => kind)).toEqual(messages.map(() => 'go'));
  expect(together).toBeLessThanOrEqual(MEBIBYTE);
  const contents = await Promise.all(messages.map(({ id }) => store.messages.content(id)));
  for (const [index, { mime }] of messages.entries()) expect(contents[index]?.equals(mime)).toBe(true);
});

it('small messages bring their content along, as many as there are', async () => {
  const messages = Array.from({ length: 40 }, () => aMessage());
  for (const message of messages) await store.messages.accept(message);
  const answered = await Promise.all(messages.map(({ id }) => store.messages.begin(beginning(id))));
  for (const each of answered) expect(each.kind === 'go' && each.mime?.length).toBe(messages[0]?.mime.length);
});

it('a content is read in pieces of bounded size', async () => {
  const message = aMessageOf(5 * MEBIBYTE, 'a');
  await store.messages.accept(message);
  const largest: number[] = [];
  const read = store.redis.getrangeBuffer;
  store.redis.getrangeBuffer = async (...args: Parameters<typeof read>) => {
    const piece = await read.apply(store.redis, args);
    largest.push(piece.length);
    return piece;
  };
  const content = await store.messages.content(message.id);
  store.redis.getrangeBuffer = read;
  expect(content.length).toBe(message.mime.length);
  expect(Math.max(...largest)).toBe(MEBIBYTE);
});

it('a content that is gone is an error, and not an empty message', async () => {
  await expect(store.messages.content(aMessage().id)).rejects.toThrow('not kept any more');
});
