import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MailboxView } from '../../src/gateway/api.ts';
import type { MessageView } from '../../src/gateway/view.ts';
import { eventually, KEY, mailboxOf, startPostroom, type TestPostroom } from '../support/postroom.ts';

let postroom: TestPostroom;
beforeAll(async () => {
  postroom = await startPostroom({
    limits: { messagesPerMinute: 10_000 },
    sandbox: { limits: { messagesPerWindow: 10_000 } },
  });
});
afterAll(() => postroom[Symbol.asyncDispose]());

async function call<T>(method: string, path: string, body?: object): Promise<{ status: number; body: T }> {
  const response = await fetch(`${postroom.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${KEY}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as T };
}
const logLines = (word: string) =>
  postroom
    .logged()
    .split('\n')
    .filter((line) => line.includes(word))
    .map((line) => JSON.parse(line) as object);
const copies = (messageId: string) =>
  postroom.sandbox.inbox.messages().filter((each) => each.messageId === messageId).length;

describe('a mailbox that an operator holds', () => {
  it('sends nothing, says why, and goes on when it is released', async () => {
    const held = await call<MailboxView>('POST', '/v1/mailboxes/main/hold', { reason: 'migration' });
    expect(held.body).toMatchObject({ state: 'held', hold: { byOperator: true } });
    const id = await postroom.sendTo('ada@fabrikam.com');
    const message = await postroom.until(id, 'held');
    expect(message.failure).toMatchObject({ category: 'heldByOperator', code: 'held_by_operator' });
    expect(message.failure?.summary).toContain('migration');
    expect(message.nextAttemptAt).toBeUndefined();
    expect((await call<MailboxView>('POST', '/v1/mailboxes/main/release')).body.state).toBe('open');
    await postroom.until(id, 'sent');
    const told = logLines('an operator');
    expect(told).toMatchObject([
      { mailbox: 'main', by: 'first', reason: 'migration', msg: 'Mailbox held by an operator' },
      { mailbox: 'main', by: 'first', holds: ['mailbox:main'] },
    ]);
  });

  it('is called held by the answer that a message is accepted, as by reading it, and when that is repeated later', async () => {
    const send = (wait = '') =>
      fetch(`${postroom.url}/v1/messages${wait}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', 'idempotency-key': 'held' },
        body: JSON.stringify({
          from: postroom.sandbox.mailboxes[0]?.address,
          to: 'ada@fabrikam.com',
          subject: 'Hi',
          text: 'Hi',
        }),
      });
    await call('POST', '/v1/mailboxes/main/hold', { reason: 'migration' });
    const accepted = await send();
    const answer = await accepted.text();
    const message = JSON.parse(answer) as MessageView;
    expect(message).toMatchObject({
      status: 'held',
      failure: { code: 'held_by_operator' },
      recipients: [{ status: 'held' }],
    });
    expect(message.estimatedSendAt).toBeUndefined();
    expect(await postroom.read(message.id)).toEqual(message);
    await call('POST', '/v1/mailboxes/main/release');
    await postroom.until(message.id, 'sent');
    const repeated = await send();
    expect(repeated.headers.get('idempotent-replayed')).toBe('true');
    expect(await repeated.text()).toBe(answer);
    expect(repeated.headers.get('location')).toBe(accepted.headers.get('location'));
    // Who asks for the outcome is told it.
    expect(await (await send('?wait=10')).json()).toMatchObject({ id: message.id, status: 'sent' });
  });

  it('is held since the first time that somebody held it, for the reason given last', async () => {
    const first = await call<MailboxView>('POST', '/v1/mailboxes/main/hold', { reason: 'migration' });
    const second = await call<MailboxView>('POST', '/v1/mailboxes/main/hold', { reason: 'still migrating' });
    expect(second.body.hold?.since).toBe(first.body.hold?.since);
    expect(second.body.hold?.failure.summary).toContain('still migrating');
    await call('POST', '/v1/mailboxes/main/release');
  });

  it('is listed with its depth, its window and its day', async () => {
    const { body } = await call<{ mailboxes: MailboxView[] }>('GET', '/v1/mailboxes');
    const [main] = body.mailboxes;
    expect(main).toMatchObject({ id: 'main', state: 'open', window: { limit: 10_000 }, day: { limit: 10_000 } });
    expect(main?.messages.sent).toBeGreaterThanOrEqual(1);
    expect(main?.day.left).toBe(10_000 - (main?.messages.sent ?? 0));
  });

  it('has no namesake', async () => {
    expect((await call('POST', '/v1/mailboxes/none/hold')).status).toBe(404);
    expect((await call('GET', '/v1/mailboxes/none')).status).toBe(404);
  });
});

describe('an automatic hold', () => {
  it('is tried out at once when an operator releases it after the fix', async () => {
    postroom.sandbox.behave({ auth: { reply: 'auth-535-5.7.139-smtpauth-mailbox' }, dropConnections: true });
    const id = await postroom.sendTo('ada@fabrikam.com');
    const { failure } = await postroom.until(id, 'held');
    await call('POST', '/v1/mailboxes/main/release');
    await eventually(async () => (await postroom.read(id)).failure?.at !== failure?.at);
    // Who releases it too early is told so in the log, too.
    expect(logLines('Mailbox held"')).toMatchObject([
      { mailbox: 'main', probes: 0 },
      { mailbox: 'main', probes: 1, since: expect.any(String) },
    ]);
    postroom.sandbox.behave({ auth: null });
    await call('POST', '/v1/mailboxes/main/release');
    await postroom.until(id, 'sent');
    expect((await call<MailboxView>('GET', '/v1/mailboxes/main')).body.state).toBe('open');
  });
});

describe('a message', () => {
  it('that waits can be canceled, and is never sent', async () => {
    await call('POST', '/v1/mailboxes/main/hold', {});
    const id = await postroom.sendTo('ada@fabrikam.com');
    const canceled = await call<MessageView>('POST', `/v1/messages/${id}/cancel`);
    expect(canceled.body).toMatchObject({ status: 'canceled', recipients: [{ status: 'canceled' }] });
    await call('POST', '/v1/mailboxes/main/release');
    await postroom.until(await postroom.sendTo('later@fabrikam.com'), 'sent');
    expect(copies(canceled.body.internetMessageId)).toBe(0);
  });

  it('that was sent cannot be canceled: 409 with its present status', async () => {
    const id = await postroom.sendTo('ada@fabrikam.com');
    await postroom.until(id, 'sent');
    const answer = await call('POST', `/v1/messages/${id}/cancel`);
    expect(answer).toMatchObject({ status: 409, body: { code: 'too_late', messageStatus: 'sent' } });
  });

  it('that is held is called so by the answer that it cannot be sent again', async () => {
    await call('POST', '/v1/mailboxes/main/hold', { reason: 'A drill.' });
    const id = await postroom.sendTo('ada@fabrikam.com');
    const body = { code: 'too_late', messageStatus: 'held' };
    expect(await call('POST', `/v1/messages/${id}/retry`)).toMatchObject({
      status: 409,
      body: { ...body, detail: 'The message is held: only a failed or unconfirmed one can be sent again.' },
    });
    expect(await call('POST', `/v1/messages/${id}/resolve`, { outcome: 'sent' })).toMatchObject({
      status: 409,
      body: { ...body, detail: 'The message is held: only an unconfirmed one can be resolved.' },
    });
    await call('POST', '/v1/mailboxes/main/release');
    await postroom.until(id, 'sent');
  });

  it('that failed can be sent again after a fix: the same bytes, a new attempt', async () => {
    postroom.sandbox.behave({ message: { reply: 'data-554-5.2.252', times: 1 } });
    const id = await postroom.sendTo('ada@fabrikam.com');
    await postroom.until(id, 'failed');
    expect((await call<MessageView>('POST', `/v1/messages/${id}/retry`)).status).toBe(200);
    const message = await postroom.until(id, 'sent');
    expect(message.attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'sent']);
    expect(message.failure).toBeUndefined();
  });

  it('that is unconfirmed can be declared sent, or be sent again', async () => {
    const first = await postroom.sendTo('kept-after-dot@fabrikam.com');
    await postroom.until(first, 'unconfirmed');
    const resolved = await call<MessageView>('POST', `/v1/messages/${first}/resolve`, { outcome: 'sent' });
    expect(resolved.body).toMatchObject({ status: 'sent', recipients: [{ status: 'sent', resolved: true }] });
    const timeline = await call<{ events: object[] }>('GET', `/v1/messages/${first}/events`);
    expect(timeline.body.events.at(-1)).toMatchObject({ status: 'sent', resolved: true });
    expect(copies(resolved.body.internetMessageId)).toBe(1);

    postroom.sandbox.behave({ message: { afterwards: 'drop', times: 1 } });
    const second = await postroom.sendTo('ada@fabrikam.com');
    await postroom.until(second, 'unconfirmed');
    await call('POST', `/v1/messages/${second}/retry`);
    await postroom.until(second, 'sent');
  });

  it.each(['sent', 'failed'] as const)(
    'that is unconfirmed for one and was refused for now for another goes on for the other, once the one is declared %s',
    async (outcome) => {
      const [known, waiting] = [`kept-after-dot+${outcome}@fabrikam.com`, `greylisted-1+${outcome}@fabrikam.com`];
      const id = await postroom.sendTo([known, waiting]);
      const unknown = await postroom.until(id, 'unconfirmed');
      expect(unknown.recipients).toMatchObject([{ status: 'unconfirmed' }, { status: 'queued' }]);
      const resolved = await call<MessageView>('POST', `/v1/messages/${id}/resolve`, { outcome });
      expect(resolved.body.recipients[0]).toMatchObject({ status: outcome, resolved: true });
      const over = await postroom.until(id, ['sent', 'partiallySent', 'failed']);
      expect(over.recipients).toMatchObject([{ status: outcome }, { status: 'sent' }]);
      expect(over.status).toBe(outcome === 'sent' ? 'sent' : 'partiallySent');
    },
  );

  it.each(['two\nlines', '\u202eturned', 'a\u001b[31m'])(
    'is not held for a reason that would mislead: %j',
    async (reason) => {
      const answer = await call<{ errors: object[] }>('POST', '/v1/mailboxes/main/hold', { reason });
      expect(answer).toMatchObject({ status: 422, body: { errors: [{ pointer: '/reason' }] } });
    },
  );

  it.each(['cancel', 'retry'])('that nobody has cannot be changed (%s)', async (change) => {
    expect((await call('POST', `/v1/messages/msg_00000000000000000000000000/${change}`)).status).toBe(404);
  });
});

describe('a batch', () => {
  it('is sent, and repeated with its key it makes nothing twice', async () => {
    const body = {
      messages: [
        { from: postroom.sandbox.mailboxes[0]?.address, to: 'ada@fabrikam.com', text: 'Hello.', subject: 'One' },
        {},
      ],
    };
    const post = async () => {
      const headers = {
        authorization: `Bearer ${KEY}`,
        'content-type': 'application/json',
        'idempotency-key': 'batch',
      };
      const response = await fetch(`${postroom.url}/v1/messages/batch`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      return ((await response.json()) as { results: { status: string; message: MessageView }[] }).results;
    };
    const [first, again] = [await post(), await post()];
    expect(first.map(({ status }) => status)).toEqual(['accepted', 'refused']);
    expect(again[0]?.message).toEqual(first[0]?.message);
    const sent = await postroom.until(first[0]?.message.id ?? '', 'sent');
    expect(copies(sent.internetMessageId)).toBe(1);
  });
});

describe('a timeline', () => {
  it('tells every move of a message, and why', async () => {
    postroom.sandbox.behave({ message: { reply: 'data-554-5.2.252', times: 1 } });
    const id = await postroom.sendTo('ada@fabrikam.com');
    const headers = { authorization: `Bearer ${KEY}`, accept: 'text/event-stream' };
    const stream = await fetch(`${postroom.url}/v1/messages/${id}/events`, { headers });
    const text = await stream.text();
    const { body } = await call<{ events: { status: string; code?: string }[] }>('GET', `/v1/messages/${id}/events`);
    expect(body.events.map(({ status }) => status)).toEqual(['queued', 'sending', 'failed']);
    expect(body.events[2]?.code).toBe((await postroom.read(id)).failure?.code);
    expect([...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? ''))).toEqual(body.events);
  });
});

describe('metrics', () => {
  it('are for operators only, and count by mailbox and status', async () => {
    expect((await fetch(`${postroom.url}/metrics`)).status).toBe(401);
    const response = await fetch(`${postroom.url}/metrics`, { headers: { authorization: `Bearer ${KEY}` } });
    expect(await response.text()).toMatch(/postroom_messages\{mailbox="main",status="sent"\} [1-9]/);
  });
});

describe('a priority', () => {
  it('decides which of the waiting messages goes first; among equals it is the oldest', async () => {
    await using slow = await startPostroom({ limits: { messagesPerMinute: 10_000, connections: 1 } });
    const headers = { authorization: `Bearer ${KEY}` };
    const on = (change: string) => fetch(`${slow.url}/v1/mailboxes/main/${change}`, { method: 'POST', headers });
    await on('hold');
    // One job is out of the queue already, waiting at the gate: this one, where the lane opens before the others come.
    await slow.sendTo('first@fabrikam.com');
    const ids: string[] = [];
    for (const [to, priority] of [
      ['low@fabrikam.com', 'low'],
      ['normal-a@fabrikam.com', 'normal'],
      ['normal-b@fabrikam.com', 'normal'],
      ['high@fabrikam.com', 'high'],
    ] as const)
      ids.push(await slow.sendTo(to, { priority }));
    await on('release');
    for (const id of ids) await slow.until(id, 'sent');
    const order = slow.sandbox.inbox.messages().map(({ envelope }) => envelope.recipients[0]?.split('@')[0]);
    expect(order.filter((to) => to !== 'first')).toEqual(['high', 'normal-a', 'normal-b', 'low']);
  });
});

describe('a mailbox with a key that somebody has overwritten', () => {
  it.each(['mailbox', 'sending', 'permits', 'day', 'places'])(
    '(%s) is told as that, keeps no other from being seen or sent, and goes on when it is deleted',
    async (which) => {
      const logins = ['broken', 'whole'].map((name) => ({
        address: `${name}@contoso.com`,
        password: `password of ${name}`,
      }));
      await using own = await startPostroom({ sandbox: { mailboxes: logins } });
      const mailboxes = logins.map(({ address, password }) => ({
        ...mailboxOf(own.sandbox),
        id: address.split('@')[0] as string,
        address,
        from: [address],
        auth: { type: 'password' as const, password },
      }));
      await own.restart({ mailboxes });
      const redis = new Redis(own.redis.url);
      await using _ = { [Symbol.asyncDispose]: async () => redis.disconnect() };
      const key = `{postroom}:${which}:broken`;
      await redis.set(key, 'not what it was');
      const waiting = await own.sendTo('ada@fabrikam.com', { from: 'broken@contoso.com' });
      await own.until(await own.sendTo('ada@fabrikam.com', { from: 'whole@contoso.com' }), 'sent');
      await eventually(() => own.logged().includes('Keys in Redis are damaged'));
      expect(own.logged()).toContain(`"damaged":[{"key":"${key}"`);
      expect((await own.read(waiting)).status).toBe('queued');
      const page = await fetch(`${own.url}/v1/mailboxes`, { headers: { authorization: `Bearer ${KEY}` } });
      const [broken, whole] = ((await page.json()) as { mailboxes: MailboxView[] }).mailboxes;
      expect(whole).toMatchObject({ id: 'whole', state: 'open', messages: { sent: 1 } });
      if (which !== 'places') {
        expect(broken).toMatchObject({ id: 'broken', state: 'held', hold: { failure: { code: 'mailbox_damaged' } } });
        expect(broken?.hold?.failure.summary).toContain(key);
      }
      await redis.del(key);
      await own.until(waiting, 'sent');
    },
  );
});

describe('the page of a mailbox', () => {
  const view = async ({ url }: TestPostroom) => {
    const response = await fetch(`${url}/v1/mailboxes/main`, { headers: { authorization: `Bearer ${KEY}` } });
    return (await response.json()) as MailboxView;
  };
  const metrics = async ({ url }: TestPostroom) =>
    (await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${KEY}` } })).text();

  it('says that no worker drives it, instead of when its messages should go', async () => {
    await using own = await startPostroom({ config: { role: 'api' } });
    const id = await own.sendTo('ada@fabrikam.com');
    expect((await view(own)).waiting).toEqual({ count: 1, driven: false });
    expect(await metrics(own)).toContain('postroom_mailbox_driven{mailbox="main"} 0');
    await own.restart({ role: 'all' });
    await own.until(id, 'sent');
    expect((await view(own)).waiting).toEqual({ count: 0 });
    expect(await metrics(own)).not.toContain('postroom_mailbox_driven{');
  });

  it('says when the last of its messages should go, by the day too', async () => {
    await using own = await startPostroom({ limits: { messagesPerMinute: 1, recipientsPerDay: 2 } });
    const ids: string[] = [];
    for (let index = 0; index < 4; index += 1) ids.push(await own.sendTo('ada@fabrikam.com'));
    await own.until(ids[0] as string, 'sent');
    const { waiting } = await view(own);
    expect(waiting).toMatchObject({ count: 3, driven: true });
    const hours = (Date.parse(waiting.estimatedLastSendAt ?? '') - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(23);
    const last = await own.read(ids[3] as string);
    expect(Date.parse(last.estimatedSendAt ?? '') - Date.now()).toBeGreaterThan(23 * 3_600_000);
    expect(await metrics(own)).toContain('postroom_mailbox_driven{mailbox="main"} 1');
  });
});

describe('a key of all mailboxes that somebody has overwritten', () => {
  it.each([
    ['busy', 503, 'fail'],
    ['due', 503, 'fail'],
    ['holds', 200, 'warn'],
  ])('(%s) is named by readiness', async (name, code, status) => {
    await using own = await startPostroom({ config: { role: 'api' } });
    const redis = new Redis(own.redis.url);
    await using _ = { [Symbol.asyncDispose]: async () => redis.disconnect() };
    const ready = () => fetch(`${own.url}/health/ready`);
    await redis.set(`{postroom}:${name}`, 'not what it was');
    const answer = await ready();
    expect(answer.status).toBe(code);
    expect(await answer.json()).toMatchObject({
      checks: {
        redis: { status: 'ok' },
        redisKeys: { status, detail: expect.stringContaining(`{postroom}:${name} (`) },
      },
    });
    // As it says: where it is ready it accepts.
    expect((await own.send({ to: 'ada@fabrikam.com' })).status).toBe(code === 200 ? 202 : 503);
    await redis.del(`{postroom}:${name}`);
    expect((await (await ready()).json()) as object).not.toHaveProperty('checks.redisKeys');
  });
});
