import { describe, expect, it } from 'vitest';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { manyMailboxes, startFleet } from '../support/fleet.ts';
import { eventually } from '../support/postroom.ts';
import { startTestRedis } from '../support/redis.ts';
import { webhookClient } from '../support/webhook-client.ts';
import { type Received, startReceiver, verified } from '../support/webhook-receiver.ts';

const ENVIRONMENT = {
  POSTROOM_WEBHOOK_ALLOW: '127.0.0.1, ::1',
  POSTROOM_WEBHOOK_ALLOW_HTTP: 'true',
  POSTROOM_WEBHOOK_RETRY_SECONDS: '0.2,0.5,1,1,1,1,1,1',
};

/** Ids of the messages of which both events came. */
function toldWhole(received: Received[]): Set<string> {
  const told = new Map<string, Set<string>>();
  for (const { body } of received) {
    const { type, data } = JSON.parse(body) as { type: string; data: { id: string } };
    told.set(data.id, (told.get(data.id) ?? new Set()).add(type));
  }
  return new Set([...told].filter(([, types]) => types.size >= 2).map(([id]) => id));
}

describe('events', () => {
  it('all come, though workers and Redis are killed in between', { timeout: 180_000 }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({
      limits: { messagesPerWindow: 100_000 },
      mailboxes: manyMailboxes(2),
    });
    await using fleet = await startFleet({ redisUrl: redis.url, sandbox, environment: ENVIRONMENT }, 2);
    // One in five is refused, so that there are repetitions on their way whenever a worker dies.
    await using receiver = await startReceiver((call) => ({ status: call % 5 === 4 ? 500 : 204 }));
    const { secret } = await webhookClient(() => fleet.api.url).create(receiver.url);
    const ids: string[] = [];
    const submit = async (count: number) => {
      for (let i = 0; i < count; i += 1) {
        const from = sandbox.mailboxes[i % 2]?.address;
        const id = await fleet.api.sendTo('ada@fabrikam.com', { from }).catch(() => undefined);
        if (id) ids.push(id);
      }
    };
    for (let round = 0; round < 2; round += 1) {
      const submitting = submit(40);
      const before = receiver.received.length;
      await eventually(() => receiver.received.length > before + 10, undefined, 30_000);
      if (redis.pid) process.kill(redis.pid, 'SIGKILL');
      await fleet.workers.shift()?.end('SIGKILL');
      await fleet.addWorker();
      await submitting;
    }
    expect(ids.length).toBeGreaterThan(20);
    const missing = () => ids.filter((id) => !toldWhole(receiver.received).has(id));
    await eventually(
      () => missing().length === 0,
      () => `Never told: ${missing().join(' ')}`,
      90_000,
    );
    for (const received of receiver.received) expect(verified(received, secret).data.id).toBeDefined();
    // Whatever came twice came under the same id with the same body.
    const bodies = new Map<unknown, string>();
    for (const { headers, body } of receiver.received) {
      expect(bodies.get(headers['webhook-id']) ?? body).toBe(body);
      bodies.set(headers['webhook-id'], body);
    }
  });
});
