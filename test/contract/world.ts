import { forTryingOut, USUAL_WEBHOOKS } from '../../src/webhook-settings.ts';
import { operatorAt } from '../support/keys.ts';
import { KEY, startPostroom } from '../support/postroom.ts';
import { webhookClient } from '../support/webhook-client.ts';
import { startReceiver } from '../support/webhook-receiver.ts';
import { sampleOf } from './broken.ts';
import type { Operation } from './document.ts';

export interface Request {
  path: string;
  body?: unknown;
}

const hence = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();

export type World = Awaited<ReturnType<typeof startWorld>>;

/** A Postroom with one of everything that an operation can be asked about. */
export async function startWorld() {
  const receiver = await startReceiver();
  const postroom = await startPostroom({
    sandbox: { limits: { messagesPerWindow: 100_000 } },
    limits: { messagesPerMinute: 10_000 },
    mailbox: ({ mailboxes: [first] }) => ({ from: [first?.address ?? '', '*@contoso.com'] }),
    config: { webhooks: { ...forTryingOut(USUAL_WEBHOOKS), timeoutSeconds: 1 } },
  });
  const operator = operatorAt(postroom.url);
  const hooks = webhookClient(() => postroom.url);
  const scheduled = () => postroom.sendTo('ada@fabrikam.com', { sendAt: hence(1) });
  const sent = await postroom.sendTo('ada@fabrikam.com');
  const failed = await postroom.sendTo('unknown@fabrikam.com');
  const lost = await postroom.sendTo('lost-after-dot@fabrikam.com');
  await postroom.until(sent, 'sent');
  await postroom.until(failed, 'failed');
  await postroom.until(lost, 'unconfirmed');
  const key = await operator.create({ name: 'one' });
  const revoked = await operator.create({ name: 'gone' });
  await operator.call('DELETE', `/v1/keys/${revoked.id}`);
  const hook = await hooks.create(receiver.url);
  const disabled = await hooks.create(receiver.url);
  await hooks.change(disabled.id, { disabled: true });

  /** What the id in the path is, for what is to succeed; each time another where it is used up. */
  async function idFor({ operationId, path }: Operation): Promise<string> {
    if (path.startsWith('/problems/')) return 'invalid_fields';
    if (path.startsWith('/v1/mailboxes/')) return 'main';
    if (operationId === 'revokeKey') return (await operator.create({ name: 'short' })).id;
    if (path.startsWith('/v1/keys/')) return key.id;
    if (operationId === 'deleteWebhook') return (await hooks.create(receiver.url)).id;
    if (path.startsWith('/v1/webhooks/')) return hook.id;
    if (operationId === 'retryMessage') return failed;
    if (operationId === 'resolveMessage') return lost;
    return /reschedule|expedite|cancel/.test(operationId) ? scheduled() : sent;
  }

  /** What the document does not tell by examples. */
  function bodiesFor({ operationId, requestBody }: Operation): unknown[] {
    const media = requestBody?.content['application/json'];
    if (!media) return [undefined];
    const shown = Object.values(media.examples ?? {}).map(({ value }) => value);
    if (operationId === 'retryMessages')
      return [{ limit: 1 }, { tag: 'x', recipient: 'ada@fabrikam.com', test: false }];
    if (operationId === 'rescheduleMessage') return [{ sendAt: hence(2) }];
    if (operationId === 'replayWebhook') return [{ messageId: sent }, { since: hence(-1), until: hence(1) }];
    if (operationId === 'createWebhook') return [{ url: receiver.url, description: 'x', events: ['message.sent'] }];
    if (operationId === 'updateWebhook') return [{ url: receiver.url, description: 'x', disabled: false }];
    if (operationId === 'changeKey') return [{ name: 'two', from: ['a@contoso.com'], rate: { perMinute: 600_000 } }];
    return shown.length > 0 ? shown : [sampleOf(media.schema)];
  }

  return {
    ...{ postroom, operator, hooks, receiver, scheduled, bodiesFor },
    ids: { sent, failed, lost, key: key.id, revoked: revoked.id, hook: hook.id, disabled: disabled.id },
    /** Requests that are right, one for each example. */
    async good(operation: Operation): Promise<Request[]> {
      const requests = bodiesFor(operation).map(async (body) => ({
        path: operation.path.replace(/\{\w+\}/, await idFor(operation)),
        ...(body !== undefined && { body }),
      }));
      return Promise.all(requests);
    },
    async ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
      const response = await fetch(`${postroom.url}${path}`, {
        method,
        redirect: 'manual',
        headers: {
          authorization: `Bearer ${KEY}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      return { status: response.status, headers: response.headers, text: await response.text() };
    },
    async [Symbol.asyncDispose]() {
      await postroom[Symbol.asyncDispose]();
      await receiver[Symbol.asyncDispose]();
    },
  };
}
