import { describe, expect, it } from 'vitest';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { manyMailboxes, startFleet } from '../support/fleet.ts';
import { eventually, startPostroom } from '../support/postroom.ts';
import { startTestRedis } from '../support/redis.ts';
import { freezeRedis, killRedis } from '../support/redis-trouble.ts';

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString();
const AMPLE = { messagesPerWindow: 10_000 };

describe('scheduled messages', () => {
  it('all go, and none twice, although a worker is killed while they are queued', { timeout: 120_000 }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({ limits: AMPLE, mailboxes: manyMailboxes(3) });
    await using fleet = await startFleet({ redisUrl: redis.url, sandbox }, 2);
    const sendAt = inSeconds(8);
    const ids: string[] = [];
    for (let i = 0; i < 60; i++) {
      const from = sandbox.mailboxes[i % 3]?.address;
      const some = Array.from({ length: 10 }, () => fleet.api.sendTo('ada@fabrikam.com', { sendAt, from }));
      ids.push(...(await Promise.all(some)));
    }
    const [victim, survivor] = fleet.workers;
    const queuedBy = (output = '') => output.split('"Scheduled message queued"').length - 1;
    await eventually(() => queuedBy(victim?.output()) > 0 || queuedBy(survivor?.output()) > 100, undefined, 30_000);
    await victim?.end('SIGKILL');
    fleet.workers.shift();
    for (const id of ids) {
      const { internetMessageId, status } = await fleet.api.until(id, ['sent', 'unconfirmed'], 60_000);
      const copies = sandbox.inbox.messages().filter(({ messageId }) => messageId === internetMessageId).length;
      expect(copies).toBeLessThanOrEqual(1);
      if (status === 'sent') expect(copies).toBe(1);
    }
  });

  it.each(['killed', 'frozen'])(
    'go when Redis is back, which was %s at their time',
    { timeout: 60_000 },
    async (how) => {
      await using postroom = await startPostroom({
        limits: { messagesPerMinute: 10_000 },
        sandbox: { limits: AMPLE },
      });
      const sendAt = inSeconds(2);
      const ids = await Promise.all(Array.from({ length: 5 }, () => postroom.sendTo('ada@fabrikam.com', { sendAt })));
      await eventually(() => Date.now() > Date.parse(sendAt) - 300);
      if (how === 'killed') await killRedis(postroom.redis);
      else {
        const { resume } = freezeRedis(postroom.redis);
        await eventually(() => Date.now() > Date.parse(sendAt) + 2_000);
        resume();
      }
      await eventually(async () => (await fetch(`${postroom.url}/health/ready`)).ok, undefined, 30_000);
      for (const id of ids) {
        const { internetMessageId } = await postroom.until(id, 'sent', 30_000);
        const copies = postroom.sandbox.inbox.messages().filter(({ messageId }) => messageId === internetMessageId);
        expect(copies).toHaveLength(1);
      }
    },
  );
});
