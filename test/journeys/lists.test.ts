import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MessageCounts } from '../../src/gateway/counts.ts';
import type { MessagePage } from '../../src/gateway/list.ts';
import type { Retried } from '../../src/gateway/retry-many.ts';
import { KEY, startPostroom, type TestPostroom } from '../support/postroom.ts';

let postroom: TestPostroom;
beforeAll(async () => {
  postroom = await startPostroom({
    limits: { messagesPerMinute: 10_000 },
    sandbox: { limits: { messagesPerWindow: 10_000 } },
  });
});
afterAll(() => postroom[Symbol.asyncDispose]());

async function call<T>(method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(`${postroom.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${KEY}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  return (await response.json()) as T;
}
const list = async (query: string) => (await call<MessagePage>('GET', `/v1/messages?${query}`)).messages;

describe('a list', () => {
  it('finds a message by what it has and where it stands, as soon as it is there', async () => {
    const id = await postroom.sendTo('ada@fabrikam.com', { tags: ['listed'] });
    await postroom.until(id, 'sent');
    const { attempts: _, ...listed } = await postroom.read(id);
    expect(await list('tag=listed&status=sent&mailbox=main')).toEqual([listed]);
    expect(await list('tag=listed&status=queued&status=failed')).toEqual([]);
  });

  it('has what is held under that name', async () => {
    await call('POST', '/v1/mailboxes/main/hold', {});
    const id = await postroom.sendTo('ada@fabrikam.com');
    expect((await list('status=held')).map((message) => message.id)).toEqual([id]);
    expect((await call<MessageCounts>('GET', '/v1/messages/counts')).mailboxes?.[0]?.statuses).toMatchObject({
      held: 1,
    });
    await call('POST', '/v1/mailboxes/main/release');
    await postroom.until(id, 'sent');
    expect(await list('status=held')).toEqual([]);
  });
});

describe('after a fix', () => {
  it('all that failed is sent again by one request', async () => {
    postroom.sandbox.behave({ message: { reply: 'data-554-5.2.252', times: 5 } });
    const ids = await Promise.all(
      Array.from({ length: 5 }, (_, i) => postroom.sendTo(`nr-${i}@fabrikam.com`, { tags: ['fix'] })),
    );
    for (const id of ids) await postroom.until(id, 'failed');
    expect((await list('status=failed&tag=fix&limit=2')).length).toBe(2);
    const answer = await call<Retried>('POST', '/v1/messages/retry', { tag: 'fix' });
    expect(answer).toEqual({ retried: 5, notRetried: { contentGone: 0, notAllowed: 0, tooLate: 0 } });
    for (const id of ids) await postroom.until(id, 'sent');
    expect(await list('status=failed&tag=fix')).toEqual([]);
    expect((await call<Retried>('POST', '/v1/messages/retry', { tag: 'fix' })).retried).toBe(0);
  });
});
