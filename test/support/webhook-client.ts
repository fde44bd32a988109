import type { DeliveryView, WebhookView } from '../../src/gateway/webhook-api.ts';
import { KEY } from './postroom.ts';

/** The webhooks' part of the API, as a caller uses it. */
export function webhookClient(url: () => string, key = KEY) {
  async function ask(method: string, path: string, body?: object): Promise<Response> {
    return fetch(`${url()}/v1/webhooks${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  }
  async function expectJson<T>(response: Promise<Response>): Promise<T> {
    const answered = await response;
    if (!answered.ok) throw new Error(`${answered.status} ${await answered.text()}`);
    return (await answered.json()) as T;
  }
  return {
    ask,
    create: (endpoint: string, more: object = {}) =>
      expectJson<WebhookView & { secret: string }>(ask('POST', '', { url: endpoint, ...more })),
    read: (id: string) => expectJson<WebhookView>(ask('GET', `/${id}`)),
    change: (id: string, change: object) => expectJson<WebhookView>(ask('PATCH', `/${id}`, change)),
    rotate: (id: string, body?: object) =>
      expectJson<{ secret: string; previousSecretValidUntil: string }>(ask('POST', `/${id}/rotate`, body)),
    test: (id: string) => expectJson<Record<string, unknown>>(ask('POST', `/${id}/test`)),
    replay: (id: string, wish: object) =>
      expectJson<{ events: number; more: boolean }>(ask('POST', `/${id}/replay`, wish)),
    deliveries: async (id: string) =>
      (await expectJson<{ deliveries: DeliveryView[] }>(ask('GET', `/${id}/deliveries`))).deliveries,
  };
}
