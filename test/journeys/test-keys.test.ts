import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MailboxView, TimelineEvent } from '../../src/gateway/api.ts';
import type { MessageCounts } from '../../src/gateway/counts.ts';
import type { MessageView } from '../../src/gateway/view.ts';
import {
  type Client,
  client,
  eventually,
  KEY,
  startPostroom,
  TEST_KEY,
  type TestPostroom,
} from '../support/postroom.ts';

let postroom: TestPostroom;
let tester: Client;
beforeAll(async () => {
  postroom = await startPostroom({
    sandbox: { limits: { messagesPerWindow: 1_000 } },
    limits: { messagesPerMinute: 1_000 },
    config: { testApiKey: TEST_KEY },
  });
  tester = client(() => postroom.url, postroom.sandbox.mailboxes[0]?.address ?? '', TEST_KEY);
});
afterAll(() => postroom[Symbol.asyncDispose]());

const call = (path: string, key: string, init: RequestInit = {}) =>
  fetch(`${postroom.url}${path}`, {
    ...init,
    headers: {
      authorization: `Bearer ${key}`,
      ...(init.body !== undefined && { 'content-type': 'application/json' }),
      ...init.headers,
    },
  });
const answerOf = async <Body>(path: string, key: string, init: RequestInit = {}) =>
  (await (await call(path, key, init)).json()) as Body;

/** What the mailbox's own server, the stand-in for Microsoft, has seen of the one with this Message-ID. */
const copies = (message: MessageView) =>
  postroom.sandbox.inbox.messages().filter(({ messageId }) => messageId === message.internetMessageId).length;

// First: later ones use it.
describe('while nobody uses a test key', () => {
  it('no sandbox is started', async () => {
    const id = await postroom.sendTo('ada@fabrikam.com');
    expect(await postroom.until(id, 'sent')).not.toHaveProperty('test');
    expect(postroom.logged()).not.toContain('Sandbox for test mail');
    expect(await answerOf<MailboxView>('/v1/mailboxes/main', KEY)).not.toHaveProperty('test');
  });
});

describe('a message sent with a test key', () => {
  it('goes the whole way, by STARTTLS and a login, but never to its mailbox', async () => {
    const { authAttempts, connections } = postroom.sandbox.stats();
    const response = await tester.send({ to: 'ada@fabrikam.com' });
    expect(response.status).toBe(202);
    expect(response.headers.get('postroom-test')).toBe('true');
    const accepted = (await response.json()) as MessageView;
    expect(accepted).toMatchObject({ test: true, mailbox: 'main', status: 'queued' });
    const sent = await tester.until(accepted.id, 'sent');
    expect(sent).toMatchObject({ test: true, mailbox: 'main', attempts: [{ outcome: 'sent', stage: 'after-dot' }] });
    expect(sent.recipients[0]?.reply?.response).toMatch(/^250 2\.0\.0 OK .*POSTROOM-SANDBOX/i);
    expect(copies(sent)).toBe(0);
    const now = postroom.sandbox.stats();
    expect([now.authAttempts, now.connections.total]).toEqual([authAttempts, connections.total]);
  });

  it('is marked in its timeline, in the stream of its events, in a batch, and in every line of the log', async () => {
    const from = postroom.sandbox.mailboxes[0]?.address;
    const messages = [{ from, to: 'ada@fabrikam.com', subject: 'One', text: 'Hello.' }, {}];
    const body = JSON.stringify({ messages });
    const batch = await call('/v1/messages/batch', TEST_KEY, { method: 'POST', body });
    const answer = (await batch.json()) as { test?: true; results: { message?: MessageView }[] };
    expect([batch.headers.get('postroom-test'), answer.test, answer.results[0]?.message?.test]).toEqual([
      'true',
      true,
      true,
    ]);
    const id = answer.results[0]?.message?.id ?? '';
    await tester.until(id, 'sent');
    const { events } = await answerOf<{ events: TimelineEvent[] }>(`/v1/messages/${id}/events`, TEST_KEY);
    expect(events.map(({ status, test }) => [status, test])).toEqual([
      ['queued', true],
      ['sending', true],
      ['sent', true],
    ]);
    const stream = await call(`/v1/messages/${id}/events`, TEST_KEY, { headers: { accept: 'text/event-stream' } });
    expect(stream.headers.get('postroom-test')).toBe('true');
    expect((await stream.text()).match(/"test":true/g)).toHaveLength(3);
    const lines = postroom
      .logged()
      .split('\n')
      .filter((line) => line.includes(id));
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ mailbox: 'main', test: true });
  });

  it('is refused like a real one, and the refusal is marked too', async () => {
    const refused = await tester.send({ from: 'stranger@elsewhere.example', to: 'ada@fabrikam.com' });
    expect([refused.status, refused.headers.get('postroom-test')]).toEqual([422, 'true']);
    expect(await refused.json()).toMatchObject({ code: 'sender_not_allowed' });
    const missing = await call('/v1/messages/msg_00000000000000000000000000', TEST_KEY);
    expect([missing.status, missing.headers.get('postroom-test')]).toEqual([404, 'true']);
  });

  it('is given up after an hour, unless its sender wants otherwise', async () => {
    const { createdAt, expiresAt } = (await (await tester.send({ to: 'ada@fabrikam.com' })).json()) as MessageView;
    expect(Math.abs(Date.parse(expiresAt) - Date.parse(createdAt) - 3_600_000)).toBeLessThan(5_000);
    const wanted = new Date(Date.now() + 86_400_000).toISOString();
    const named = await tester.send({ to: 'ada@fabrikam.com', expiresAt: wanted });
    expect(((await named.json()) as MessageView).expiresAt).toBe(wanted);
  });

  it('shares no Idempotency-Key with a real one', async () => {
    const headers = { 'idempotency-key': 'the-same-for-both' };
    const [real, test] = [
      (await (await postroom.send({ to: 'ada@fabrikam.com' }, headers)).json()) as MessageView,
      (await (await tester.send({ to: 'ada@fabrikam.com' }, headers)).json()) as MessageView,
    ];
    expect(test.id).not.toBe(real.id);
    const again = await tester.send({ to: 'ada@fabrikam.com' }, headers);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await again.json()).toEqual(test);
    expect(copies(await postroom.until(real.id, 'sent'))).toBe(1);
    expect(copies(await tester.until(test.id, 'sent'))).toBe(0);
  });
});

describe('a failure that a recipient asks for', () => {
  it.each([
    ['unknown', 'failed', 'recipientRefused'],
    ['rejected', 'failed', 'messageRefused'],
    ['always-busy', ['deferred', 'held'], 'serviceUnavailable'],
    ['kept-after-dot', 'unconfirmed', 'outcomeUnknown'],
  ] as const)('%s@… ends as it would for real: %s', async (local, status, category) => {
    const id = await tester.sendTo(`${local}@fabrikam.com`);
    const read = await tester.until(id, [status].flat());
    expect(read).toMatchObject({ test: true, failure: { category } });
    expect(copies(read)).toBe(0);
    await call(`/v1/messages/${id}/cancel`, TEST_KEY, { method: 'POST' });
  });

  it('and that faults the mailbox holds the test mail alone, until it is canceled', { timeout: 60_000 }, async () => {
    const id = await tester.sendTo('mailbox-full@fabrikam.com');
    expect((await tester.until(id, 'held')).failure?.category).toBe('mailboxUnusable');
    await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'sent');
    const main = await answerOf<MailboxView>('/v1/mailboxes/main', KEY);
    expect(main).toMatchObject({ state: 'open', test: { state: 'held', messages: { held: expect.any(Number) } } });
    expect(main.messages).not.toHaveProperty('queued');
    const metrics = await (await call('/metrics', KEY)).text();
    expect(metrics).toMatch(/^postroom_test_messages\{mailbox="main",status="queued"\} [1-9]/m);
    expect(metrics).toMatch(/^postroom_test_holds\{key="test:mailbox:main",/m);
    expect(metrics).not.toMatch(/^postroom_holds\{/m);
    expect(metrics).not.toContain('~test');
    expect(postroom.logged()).not.toMatch(/"level":40[^\n]*"Mailbox held"/);
    expect((await call(`/v1/messages/${id}/cancel`, TEST_KEY, { method: 'POST' })).status).toBe(200);
    await tester.until(await tester.sendTo('ada@fabrikam.com'), 'sent', 30_000);
  });
});

describe('among the messages of all callers', () => {
  it('those of test keys are listed with their mark, under the mailbox that would send them, and counted apart', async () => {
    const tag = `listed-${Date.now()}`;
    const [real, test] = [
      await postroom.sendTo('a@b.example', { tags: [tag] }),
      await tester.sendTo('a@b.example', { tags: [tag] }),
    ];
    await Promise.all([postroom.until(real, 'sent'), tester.until(test, 'sent')]);
    const path = `/v1/messages?mailbox=main&tag=${tag}`;
    const all = await answerOf<{ messages: MessageView[] }>(path, KEY);
    expect(all.messages.map((each) => [each.id, each.test]).toSorted()).toEqual(
      [
        [real, undefined],
        [test, true],
      ].toSorted(),
    );
    const only = await answerOf<{ messages: MessageView[] }>(`${path}&test=true`, KEY);
    expect(only.messages.map(({ id }) => id)).toEqual([test]);
    const own = await answerOf<{ messages: MessageView[] }>(path, TEST_KEY);
    expect(own.messages.map(({ id }) => id)).toEqual([test]);
    const counts = await answerOf<MessageCounts>('/v1/messages/counts', KEY);
    expect(counts.mailboxes?.map(({ mailbox }) => mailbox)).toEqual(['main']);
    expect(counts.statuses.sent).toBe(postroom.sandbox.inbox.messages().length);
    expect(counts.test?.mailboxes).toMatchObject([{ mailbox: 'main', statuses: { sent: expect.any(Number) } }]);
  });
});

describe('a real hold', () => {
  it('of the mailbox does not stop test mail', async () => {
    await call('/v1/mailboxes/main/hold', KEY, { method: 'POST', body: '{}' });
    const real = await postroom.sendTo('ada@fabrikam.com');
    await tester.until(await tester.sendTo('ada@fabrikam.com'), 'sent');
    expect((await postroom.read(real)).status).toBe('held');
    await call('/v1/mailboxes/main/release', KEY, { method: 'POST' });
    await postroom.until(real, 'sent');
  });
});

describe('a test key that an operator makes', () => {
  it('sends into the sandbox like the first one, and sees nothing of that one', async () => {
    const body = JSON.stringify({ name: 'ci', mode: 'test', scopes: ['send', 'read'] });
    const made = await call('/v1/keys', KEY, { method: 'POST', body });
    const { secret } = (await made.json()) as { secret: string };
    expect(secret).toMatch(/^pr_test_/);
    const ci = client(() => postroom.url, postroom.sandbox.mailboxes[0]?.address ?? '', secret);
    const sent = await ci.until(await ci.sendTo('ada@fabrikam.com'), 'sent');
    expect([sent.test, copies(sent)]).toEqual([true, 0]);
    expect((await call(`/v1/messages/${await tester.sendTo('ada@fabrikam.com')}`, secret)).status).toBe(404);
  });
});

describe('who holds a test key', () => {
  it('sees its own messages only, and operates nothing', async () => {
    const real = await postroom.sendTo('ada@fabrikam.com');
    expect((await call(`/v1/messages/${real}`, TEST_KEY)).status).toBe(404);
    expect((await call(`/v1/messages/${real}/cancel`, TEST_KEY, { method: 'POST' })).status).toBe(404);
    for (const path of ['/v1/mailboxes', '/metrics']) expect((await call(path, TEST_KEY)).status).toBe(403);
    const test = await tester.sendTo('ada@fabrikam.com');
    expect(await answerOf<MessageView>(`/v1/messages/${test}`, KEY)).toMatchObject({ test: true });
    await tester.until(test, 'sent');
  });
});

describe('the sandbox that runs already', () => {
  it('gets the test mail, in a mailbox of its own', async () => {
    await postroom.restart({ sandbox: postroom.sandbox });
    const address = postroom.sandbox.mailboxes[0]?.address ?? '';
    const before = postroom.sandbox.stats().mailboxes[address];
    const sent = await tester.until(await tester.sendTo('ada@fabrikam.com'), 'sent');
    await eventually(() => copies(sent) === 1);
    const { mailboxes } = postroom.sandbox.stats();
    expect(mailboxes[address]).toEqual(before);
    expect(mailboxes['main~test@postroom.example']).toMatchObject({ messages: 1 });
  });
});
