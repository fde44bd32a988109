import { expect, it } from 'vitest';
import { startTestRedis } from '../support/redis.ts';
import { startRedisProxy } from '../support/redis-proxy.ts';
import { aMessage, beginning, LEASE, openStore } from '../support/store.ts';

it('every step that is repeated because its answer was lost on the way comes to the same', async () => {
  await using redis = await startTestRedis();
  await using proxy = await startRedisProxy(redis.url);
  const store = openStore(proxy.url);
  const { messages, mailboxes } = store;
  /** The client sends what was not answered again when it has reconnected. */
  async function answerLost<T>(ask: () => Promise<T>): Promise<T> {
    proxy.loseAnswers();
    const asked = ask();
    await new Promise((resolve) => setTimeout(resolve, 100));
    proxy.cut();
    proxy.restore();
    return asked;
  }
  const message = aMessage();
  await mailboxes.now();
  expect(await answerLost(() => mailboxes.takeLease('main', LEASE, 60_000))).toBe('renewed');
  expect(await answerLost(() => messages.accept(message))).toMatchObject({ kind: 'accepted' });
  const request = beginning(message.id);
  expect(await answerLost(() => messages.begin(request))).toMatchObject({ kind: 'go' });
  expect(await answerLost(() => messages.markDot(message.id, request.token))).toBe(true);
  const flight = { counted: true, windowMilliseconds: 60_000, unusedRecipients: 0 };
  const move = { id: message.id, mailbox: 'main', to: 'deferred', token: request.token, flight } as const;
  expect(await answerLost(() => messages.move(move))).toEqual({ moved: true, ticket: 2 });
  expect(await mailboxes.counts('main')).toEqual({ deferred: 1 });
  expect(await mailboxes.usage('main')).toMatchObject({ inWindow: 1, recipientsToday: 1 });
  store.close();
});
