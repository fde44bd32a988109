import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MessageView } from '../../src/gateway/view.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { startService } from '../../src/service.ts';
import { client, eventually, KEY, mailboxOf, settled, startPostroom, type TestPostroom } from '../support/postroom.ts';
import { startTestRedis } from '../support/redis.ts';

let postroom: TestPostroom;
beforeAll(async () => {
  postroom = await startPostroom({
    limits: { messagesPerMinute: 10_000 },
    sandbox: { limits: { messagesPerWindow: 10_000 } },
  });
});
afterAll(() => postroom[Symbol.asyncDispose]());

const HOUR = 3_600_000;
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString();

async function call<T = MessageView>(
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; body: T }> {
  const response = await fetch(`${postroom.url}/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${KEY}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as T };
}
const received = (messageId: string) =>
  postroom.sandbox.inbox.messages().filter((each) => each.messageId === messageId);
const patch = (id: string, sendAt: string | null) => call('PATCH', `/messages/${id}`, { sendAt });
const eventsOf = async (id: string) =>
  (await call<{ events: Record<string, unknown>[] }>('GET', `/messages/${id}/events`)).body.events;

describe('a message with a sendAt', () => {
  it('waits for it as scheduled, then goes by itself, and tells so', async () => {
    const sendAt = inSeconds(2);
    const response = await postroom.send({ to: 'ada@fabrikam.com', sendAt });
    const accepted = (await response.json()) as MessageView;
    expect(accepted).toMatchObject({ status: 'scheduled', sendAt, recipients: [{ status: 'scheduled' }] });
    expect(Date.parse(accepted.expiresAt)).toBe(Date.parse(sendAt) + 48 * HOUR);
    expect(await postroom.read(accepted.id)).toEqual(accepted);
    const headers = { authorization: `Bearer ${KEY}`, accept: 'text/event-stream' };
    const stream = await fetch(`${postroom.url}/v1/messages/${accepted.id}/events`, { headers });
    const told = [...(await stream.text()).matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? '').status);
    expect(told).toEqual(['scheduled', 'queued', 'sending', 'sent']);
    const sent = await postroom.read(accepted.id);
    expect(sent).toMatchObject({ status: 'sent', sendAt });
    const [first, second] = await eventsOf(accepted.id);
    expect(first).toMatchObject({ status: 'scheduled', sendAt });
    expect(Date.parse(String(second?.at))).toBeGreaterThanOrEqual(Date.parse(sendAt));
    expect(received(sent.internetMessageId)).toHaveLength(1);
  });

  it('is dated by it, also when it goes at another time after all', async () => {
    const sendAt = inSeconds(1);
    const kept = await postroom.sendTo('ada@fabrikam.com', { sendAt });
    const moved = await postroom.sendTo('ada@fabrikam.com', { sendAt: inSeconds(3_000) });
    const hurried = await postroom.sendTo('ada@fabrikam.com', { sendAt: inSeconds(4_000) });
    await patch(moved, sendAt);
    await call('POST', `/messages/${hurried}/expedite`);
    for (const id of [kept, moved, hurried]) {
      const sent = await postroom.until(id, 'sent');
      const [copy] = received(sent.internetMessageId);
      const dated = Date.parse(/^Date: (.*)$/m.exec(String(copy?.raw))?.[1] ?? '');
      expect(Math.floor(Date.parse(sent.sendAt ?? '') / 1_000) * 1_000).toBe(dated);
      expect(dated).toBeLessThanOrEqual(Date.now());
      expect(sent.sizeBytes).toBe(copy?.raw.length);
    }
  });

  it('that has passed goes at once', async () => {
    const id = await postroom.sendTo('ada@fabrikam.com', { sendAt: inSeconds(-60) });
    expect(await postroom.until(id, 'sent')).not.toHaveProperty('sendAt');
  });

  it('is answered to a repeated request as it was at first', async () => {
    const key = { 'idempotency-key': 'scheduled-1' };
    const body = { to: 'ada@fabrikam.com', sendAt: inSeconds(600), expiresInSeconds: 60 };
    const first = (await (await postroom.send(body, key)).json()) as MessageView;
    await patch(first.id, inSeconds(1_200));
    await patch(first.id, null);
    await postroom.until(first.id, 'sent');
    const again = await postroom.send(body, key);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await again.json()).toEqual(first);
  });

  it('is taken in a batch too, as are the other new fields', async () => {
    const [from] = postroom.sandbox.mailboxes.map(({ address }) => address);
    const item = { from, to: 'ada@fabrikam.com', subject: 'x', text: 'x' };
    const sendAt = inSeconds(3_000);
    const messages = [
      { ...item, sendAt, expiresInSeconds: 60 },
      { ...item, mailbox: 'main' },
      { ...item, mailbox: 'x' },
    ];
    const { body } = await call<{ results: { message?: MessageView; problem?: object }[] }>('POST', '/messages/batch', {
      messages,
    });
    const expiresAt = new Date(Date.parse(sendAt) + 60_000).toISOString();
    expect(body.results[0]?.message).toMatchObject({ status: 'scheduled', sendAt, expiresAt });
    expect(body.results[1]?.message).toMatchObject({ status: 'queued', mailbox: 'main' });
    expect(body.results[2]?.problem).toMatchObject({
      code: 'mailbox_not_allowed',
      errors: [{ pointer: '/messages/2/mailbox' }],
    });
  });

  it('that comes while no worker runs goes as soon as one does', async () => {
    const id = await postroom.sendTo('ada@fabrikam.com', { sendAt: inSeconds(1.5) });
    await postroom.restart({ role: 'api' });
    const other = await postroom.sendTo('ada@fabrikam.com', { sendAt: inSeconds(1) });
    const { sendAt = '' } = await postroom.read(other);
    await eventually(() => Date.now() > Date.parse(sendAt));
    expect((await postroom.read(id)).status).toBe('scheduled');
    await postroom.restart({ role: 'all' });
    await postroom.until(id, 'sent');
    await postroom.until(other, 'sent');
  });
});

it('an end in so many seconds counts from now where there is no sendAt', async () => {
  const { createdAt, expiresAt } = await postroom.read(
    await postroom.sendTo('ada@fabrikam.com', { expiresInSeconds: 90 }),
  );
  expect(Date.parse(expiresAt) - Date.parse(createdAt)).toBe(90_000);
});

describe('a scheduled message', () => {
  it('can be given a later or an earlier time, and its end moves along', async () => {
    const id = await postroom.sendTo('ada@fabrikam.com', { sendAt: inSeconds(1_000), expiresInSeconds: 100 });
    for (const seconds of [2_000, 500]) {
      const sendAt = inSeconds(seconds);
      const expiresAt = new Date(Date.parse(sendAt) + 100_000).toISOString();
      expect(await patch(id, sendAt)).toMatchObject({ status: 200, body: { status: 'scheduled', sendAt, expiresAt } });
    }
    expect((await patch(id, null)).body.status).not.toBe('scheduled');
    await postroom.until(id, 'sent');
    expect((await eventsOf(id)).map(({ status }) => status)).toEqual([
      ...['scheduled', 'scheduled', 'scheduled'],
      ...['queued', 'sending', 'sent'],
    ]);
    expect(await patch(id, inSeconds(9))).toMatchObject({ status: 409, body: { messageStatus: 'sent' } });
  });

  it('is not moved behind the end that its caller fixed', async () => {
    const id = await postroom.sendTo('ada@fabrikam.com', { sendAt: inSeconds(1_000), expiresAt: inSeconds(2_000) });
    const answer = await patch(id, inSeconds(2_001));
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_fields', errors: [{ pointer: '/sendAt' }] } });
    expect((await patch(id, inSeconds(1_900))).status).toBe(200);
  });

  it('can be canceled, and is never sent', async () => {
    const id = await postroom.sendTo('ada@fabrikam.com', { sendAt: inSeconds(1) });
    const canceled = (await call('POST', `/messages/${id}/cancel`)).body;
    expect(canceled).toMatchObject({ status: 'canceled', recipients: [{ status: 'canceled' }] });
    await postroom.until(await postroom.sendTo('ada@fabrikam.com', { sendAt: inSeconds(1.5) }), 'sent');
    expect(received(canceled.internetMessageId)).toHaveLength(0);
  });

  it('takes no place of those that wait, and reads as scheduled while its mailbox is held', async () => {
    await call('POST', '/mailboxes/main/hold', {});
    const id = await postroom.sendTo('ada@fabrikam.com', { sendAt: inSeconds(1_000) });
    const waiting = await postroom.sendTo('ada@fabrikam.com');
    expect((await postroom.read(id)).status).toBe('scheduled');
    const { body } = await call<Record<string, Record<string, number>>>('GET', '/mailboxes/main');
    expect(body.messages).toMatchObject({ held: 1 });
    expect(body.messages?.scheduled).toBeGreaterThanOrEqual(1);
    expect(body.waiting).toMatchObject({ count: 1 });
    expect(body.waiting).not.toHaveProperty('estimatedLastSendAt');
    await call('POST', '/mailboxes/main/release');
    await postroom.until(waiting, 'sent');
    expect((await call('POST', `/messages/${id}/cancel`)).body.status).toBe('canceled');
  });
});

describe('expediting', () => {
  it('sends a scheduled and a deferred message now', async () => {
    const scheduled = await postroom.sendTo('ada@fabrikam.com', { sendAt: inSeconds(1_000) });
    expect((await call('POST', `/messages/${scheduled}/expedite`)).status).toBe(200);
    await postroom.until(scheduled, 'sent');
    const deferred = await postroom.sendTo('busy-1@fabrikam.com');
    await postroom.until(deferred, 'deferred');
    expect((await call('POST', `/messages/${deferred}/expedite`)).status).toBe(200);
    await postroom.until(deferred, 'sent');
    const events = await eventsOf(deferred);
    expect(events.map(({ status }) => status)).toEqual(['queued', 'sending', 'deferred', 'queued', 'sending', 'sent']);
    expect(events[3]).toMatchObject({ expedited: true });
    const late = await call('POST', `/messages/${deferred}/expedite`);
    expect(late).toMatchObject({ status: 409, body: { code: 'too_late', messageStatus: 'sent' } });
    expect((await call('POST', '/messages/msg_00000000000000000000000000/expedite')).status).toBe(404);
  });

  it('lets a waiting message go before the others, whatever their priority', async () => {
    await using slow = await startPostroom({ limits: { messagesPerMinute: 10_000, connections: 1 } });
    const post = (path: string) =>
      fetch(`${slow.url}/v1${path}`, { method: 'POST', headers: { authorization: `Bearer ${KEY}` } });
    await post('/mailboxes/main/hold');
    // One job is out of the queue already, waiting at the gate: this one, where the lane opens before the others come.
    await slow.sendTo('first@fabrikam.com', { priority: 'high' });
    const ids: string[] = [];
    for (const [to, more] of [
      ['high@fabrikam.com', { priority: 'high' }],
      ['low@fabrikam.com', { priority: 'low' }],
      ['later@fabrikam.com', { sendAt: inSeconds(1_000) }],
      ['normal@fabrikam.com', {}],
    ] as const)
      ids.push(await slow.sendTo(to, more));
    expect((await post(`/messages/${ids[1]}/expedite`)).status).toBe(200);
    expect((await post(`/messages/${ids[2]}/expedite`)).status).toBe(200);
    await post('/mailboxes/main/release');
    for (const id of ids) await slow.until(id, 'sent');
    const order = slow.sandbox.inbox.messages().map(({ envelope }) => envelope.recipients[0]?.split('@')[0]);
    expect(order.filter((to) => to !== 'first')).toEqual(['low', 'later', 'high', 'normal']);
  });
});

describe('a change that races with the time', () => {
  it('is either made, or told to be too late', { timeout: 60_000 }, async () => {
    const sendAt = inSeconds(2);
    const wishes = ['cancel', 'later', 'expedite'] as const;
    const ids = await Promise.all(Array.from({ length: 90 }, () => postroom.sendTo('ada@fabrikam.com', { sendAt })));
    const outcomes = ids.map(async (id, index) => {
      const wish = wishes[index % 3] as (typeof wishes)[number];
      const start = Date.parse(sendAt) - 60 + index * 3;
      await eventually(() => Date.now() >= start);
      const { status } = await (wish === 'later'
        ? patch(id, inSeconds(1_000))
        : call('POST', `/messages/${id}/${wish}`));
      return { id, wish, status };
    });
    for (const { id, wish, status } of await Promise.all(outcomes)) {
      expect([200, 409]).toContain(status);
      const granted = status === 200;
      const expected = {
        cancel: granted ? 'canceled' : 'sent',
        later: granted ? 'scheduled' : 'sent',
        expedite: 'sent',
      };
      const { internetMessageId } = await postroom.until(id, expected[wish] as MessageView['status']);
      expect(received(internetMessageId)).toHaveLength(expected[wish] === 'sent' ? 1 : 0);
    }
  });
});

describe('of two mailboxes that may use the same From', () => {
  it('the one sends that is not held, or the one that is asked for', async () => {
    const redis = await startTestRedis();
    const sandbox = await startSandbox({ limits: { messagesPerWindow: 10_000, connections: 6 } });
    const main = mailboxOf(sandbox, { messagesPerMinute: 10_000 });
    const service = await startService(
      settled(redis.url, [main, { ...main, id: 'second' }]),
      pino({ level: 'silent' }),
    );
    const { sendTo, read, until } = client(() => service.url ?? '', main.address);
    const post = (path: string) =>
      fetch(`${service.url}/v1${path}`, { method: 'POST', headers: { authorization: `Bearer ${KEY}` } });
    const mailboxesOf = async (count: number, more: object = {}) => {
      const chosen = new Set<string>();
      for (let i = 0; i < count; i++) chosen.add((await read(await sendTo('ada@fabrikam.com', more))).mailbox);
      return [...chosen].toSorted();
    };
    try {
      expect(await mailboxesOf(8)).toEqual(['main', 'second']);
      await post('/mailboxes/main/hold');
      await eventually(async () => (await mailboxesOf(5)).join() === 'second');
      const asked = await sendTo('ada@fabrikam.com', { mailbox: 'main' });
      expect((await until(asked, 'held')).mailbox).toBe('main');
      await post('/mailboxes/main/release');
      await until(asked, 'sent');
    } finally {
      await service.close();
      await sandbox[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    }
  });
});

it('a retention and a lifetime that come to no whole number of milliseconds neither damage a message nor keep it from being sent', async () => {
  await using own = await startPostroom({ config: { retentionDays: 2.2, expiresHours: 0.33333333 } });
  await own.until(await own.sendTo('ada@fabrikam.com'), 'sent');
  await own.until(await own.sendTo('ada@fabrikam.com', { sendAt: inSeconds(1) }), 'sent');
  const id = await own.sendTo('ada@fabrikam.com', { sendAt: inSeconds(3_600) });
  const later = inSeconds(7_200);
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ sendAt: later });
  const moved = await fetch(`${own.url}/v1/messages/${id}`, { method: 'PATCH', headers, body });
  expect(await moved.json()).toMatchObject({ status: 'scheduled', sendAt: later });
});
