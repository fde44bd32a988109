import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyView } from '../../src/gateway/api-key.ts';
import type { WebhookView } from '../../src/gateway/webhook-api.ts';
import { forTryingOut, USUAL_WEBHOOKS } from '../../src/webhook-settings.ts';
import { operatorAt, type Shown } from '../support/keys.ts';
import { eventually, startPostroom, type TestPostroom } from '../support/postroom.ts';
import { webhookClient } from '../support/webhook-client.ts';
import { startReceiver } from '../support/webhook-receiver.ts';

let postroom: TestPostroom;
beforeAll(async () => {
  postroom = await startPostroom({
    sandbox: { limits: { messagesPerWindow: 100_000 } },
    limits: { messagesPerMinute: 10_000 },
    config: { webhooks: { ...forTryingOut(USUAL_WEBHOOKS), retrySeconds: [1, 1, 1, 1], timeoutSeconds: 2 } },
  });
});
afterAll(() => postroom[Symbol.asyncDispose]());

const operator = () => operatorAt(postroom.url);
const clientOf = (key: Shown) => webhookClient(() => postroom.url, key.secret);
const sendAs = async (secret: string, more: object = {}): Promise<string> => {
  const answer = await postroom.send({ to: 'ada@fabrikam.com', ...more }, { authorization: `Bearer ${secret}` });
  return ((await answer.json()) as { id: string }).id;
};
/** Of events that are made after those before: when this one is told, they would have been. */
const inAnHour = () => ({ sendAt: new Date(Date.now() + 3_600_000).toISOString() });

describe('a webhook whose owner’s key is', () => {
  it('revoked gets no mail’s content any more, and an operator sees that and why', async () => {
    await using receiver = await startReceiver();
    await using other = await startReceiver();
    const [key, lasting] = [await operator().create({ name: 'leaked' }), await operator().create({})];
    const { id: hook } = await clientOf(key).create(receiver.url);
    await clientOf(lasting).create(other.url);
    const waiting = await sendAs(key.secret, inAnHour());
    await eventually(() => receiver.received.length === 1);
    await operator().call('DELETE', `/v1/keys/${key.id}`);

    // What it had submitted goes on, and its webhook hears nothing of it.
    await operator().call('POST', `/v1/messages/${waiting}/expedite`);
    await postroom.until(waiting, 'sent');
    await sendAs(lasting.secret);
    await eventually(() => other.received.length === 2);
    expect(receiver.received).toHaveLength(1);
    const { body } = await operator().call<{ webhooks: WebhookView[] }>('GET', `/v1/webhooks?caller=${key.id}`);
    const { body: revoked } = await operator().call<KeyView>('GET', `/v1/keys/${key.id}`);
    expect(body.webhooks).toMatchObject([
      { id: hook, callerId: key.id, state: 'disabled', disabledBecause: 'keyRevoked', disabledAt: revoked.revokedAt },
    ]);
    // Nobody can bring it back.
    await operator().call('PATCH', `/v1/webhooks/${hook}`, { disabled: false });
    const { body: still } = await operator().call<WebhookView>('GET', `/v1/webhooks/${hook}`);
    expect(still).toMatchObject({ state: 'disabled', disabledBecause: 'keyRevoked' });
  });

  it('revoked is not called again either for what had failed before', async () => {
    await using receiver = await startReceiver(() => ({ status: 500 }));
    const key = await operator().create({});
    const { id: hook } = await clientOf(key).create(receiver.url, { events: ['message.scheduled'] });
    await sendAs(key.secret, inAnHour());
    await eventually(() => receiver.received.length === 1);
    await operator().call('DELETE', `/v1/keys/${key.id}`);
    const calls = receiver.received.length;
    // Another one's retries, which began later, are over: this one's would have come.
    await using witness = await startReceiver(() => ({ status: 500 }));
    const second = await operator().create({});
    await clientOf(second).create(witness.url, { events: ['message.scheduled'] });
    await sendAs(second.secret, inAnHour());
    await eventually(() => witness.received.length === 5);
    expect(receiver.received).toHaveLength(calls);
    expect((await operator().call<WebhookView>('GET', `/v1/webhooks/${hook}`)).body.state).toBe('disabled');
  });

  it('expired gets nothing until the key is given more time', async () => {
    await using receiver = await startReceiver();
    const key = await operator().create({});
    const { id: hook } = await clientOf(key).create(receiver.url, {
      events: ['message.scheduled', 'message.canceled'],
    });
    const waiting = await sendAs(key.secret, inAnHour());
    await eventually(() => receiver.received.length === 1);
    // Only now: whatever the machine has to do, its first event was told in time.
    const expiresAt = new Date(Date.now() + 1_000).toISOString();
    expect((await operator().call('PATCH', `/v1/keys/${key.id}`, { expiresAt })).status).toBe(200);
    const read = async () => (await operator().call<WebhookView>('GET', `/v1/webhooks/${hook}`)).body;
    await eventually(async () => (await read()).state === 'disabled');
    expect(await read()).toMatchObject({ disabledBecause: 'keyExpired', disabledAt: expiresAt });
    await operator().call('POST', `/v1/messages/${waiting}/cancel`);
    await operator().call('PATCH', `/v1/keys/${key.id}`, { expiresAt: null });
    expect(await read()).toMatchObject({ state: 'active' });
    await eventually(async () => (await clientOf(key).replay(hook, { messageId: waiting })).events === 2);
    await eventually(() => receiver.received.length === 3);
    const types = receiver.received.map(({ body }) => (JSON.parse(body) as { type: string }).type);
    expect(types.slice(1).toSorted()).toEqual(['message.canceled', 'message.scheduled']);
  });

  it('rotated goes on as before, with the same secret of its own', async () => {
    await using receiver = await startReceiver();
    const key = await operator().create({});
    const { id: hook, secret } = await clientOf(key).create(receiver.url);
    const { body: rotated } = await operator().call<Shown>('POST', `/v1/keys/${key.id}/rotate`);
    await sendAs(rotated.secret);
    await eventually(() => receiver.received.length === 2);
    expect(receiver.events(secret)).toHaveLength(2);
    expect(await clientOf(rotated).read(hook)).toMatchObject({ state: 'active' });
  });
});

describe('the webhooks of all callers', () => {
  it('are an operator’s to see and to stop; nobody else learns which callers there are', async () => {
    await using receiver = await startReceiver();
    const [key, other] = [await operator().create({}), await operator().create({})];
    const { id: hook } = await clientOf(key).create(receiver.url);
    for (const of of [key.id, 'all', 'nobody']) {
      const answer = await clientOf(other).ask('GET', `?caller=${of}`);
      expect([of, answer.status]).toEqual([of, 403]);
    }
    expect((await clientOf(other).ask('GET', `?caller=${other.id}`)).status).toBe(200);
    const { body } = await operator().call<{ webhooks: WebhookView[] }>('GET', '/v1/webhooks?caller=all');
    expect(body.webhooks.map(({ id }) => id)).toContain(hook);
    await operator().call('PATCH', `/v1/webhooks/${hook}`, { disabled: true });
    const barred = await clientOf(key).ask('PATCH', `/${hook}`, { disabled: false });
    expect([barred.status, await barred.json()]).toMatchObject([409, { code: 'webhook_disabled' }]);
    expect((await operator().call('PATCH', `/v1/webhooks/${hook}`, { url: receiver.url })).status).toBe(422);
    await operator().call('PATCH', `/v1/webhooks/${hook}`, { disabled: false });
    expect(await clientOf(key).test(hook)).toMatchObject({ outcome: 'delivered' });
  });
});
