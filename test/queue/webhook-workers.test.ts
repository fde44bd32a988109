import { Redis } from 'ioredis';
import { expect, it, vi } from 'vitest';
import type { DeliveryJob } from '../../src/gateway/webhook.ts';
import { sharedBackends } from '../../src/queue/backend.ts';
import { webhookQueues } from '../../src/queue/webhook-queues.ts';
import { driveWebhooks } from '../../src/queue/webhook-workers.ts';
import { startTestRedis } from '../support/redis.ts';

const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };

it('a try that waits for its time comes in time although the clock is set back an hour meanwhile', async () => {
  await using redis = await startTestRedis();
  const client = new Redis(redis.url, { maxRetriesPerRequest: null });
  const subscriber = new Redis(redis.url);
  const backends = sharedBackends(client);
  const queues = webhookQueues(client, '{test}:webhooks', backends);
  const made: number[] = [];
  const workers = driveWebhooks({
    redis: client,
    subscriber,
    channel: 'webhooks',
    prefix: '{test}:webhooks',
    backends,
    queues,
    ids: async () => ['wh_1'],
    async notify(_webhookId: string, { attempt }: DeliveryJob) {
      made.push(attempt);
      return attempt === 1 ? 500 : undefined;
    },
    log: LOG,
  });
  await queues.add('wh_1', { eventId: 'evt_1', attempt: 1, run: '' });
  workers.wake('wh_1');
  await expect.poll(() => client.zcard('{test}:webhooks:wh_1:delayed'), { timeout: 5_000 }).toBe(1);
  const anHourAgo = Date.now() - 3_600_000;
  vi.useFakeTimers({ toFake: ['Date'], now: anHourAgo });
  await vi.waitFor(() => expect(made).toEqual([1, 2]), { timeout: 10_000 });
  vi.useRealTimers();
  await workers.close(1_000);
  await queues.close();
  client.disconnect();
  subscriber.disconnect();
});
