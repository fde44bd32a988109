import { Agent, request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { parseInfo } from '../../src/store/health.ts';
import { keysOf } from '../../src/store/keys.ts';
import { messageStore } from '../../src/store/messages.ts';
import { connectRedis, withScripts } from '../../src/store/redis.ts';
import { eventually, KEY, startPostroom } from '../support/postroom.ts';

const READERS = 1_000;
const HOUR = 3_600_000;
const RETENTION = {
  recordMilliseconds: HOUR,
  failedContentMilliseconds: HOUR,
  idempotencyMilliseconds: HOUR,
  lifetimeMilliseconds: HOUR,
};
const authorization = `Bearer ${KEY}`;

interface Reader {
  /** Has its answer begun? */
  isOpen(): boolean;
  text: Promise<string>;
}

/** GETs on a connection of its own. */
function reader(url: string, agent: Agent, headers: Record<string, string> = {}): Reader {
  let open = false;
  const text = new Promise<string>((resolve, reject) => {
    const asked = request(url, { agent, headers: { authorization, ...headers } }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        open = true;
        body += chunk;
      });
      response.on('end', () => resolve(body));
      response.on('error', reject);
    });
    asked.on('error', reject).end();
  });
  text.catch(() => undefined);
  return { isOpen: () => open, text };
}

/** What Redis is asked and does, beside this test and the process's own connections, by command. */
async function commandsOf(redis: ReturnType<typeof connectRedis>): Promise<Record<string, number>> {
  const stats = parseInfo(await redis.info('commandstats'));
  const calls = [...stats].map(([name, line]) => [name, Number(/^calls=(\d+)/.exec(line)?.[1])] as const);
  return Object.fromEntries(calls.filter(([name]) => !/cmdstat_(info|auth|client|hello|ping)/.test(name)));
}

function difference(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  const changed = Object.entries(after).map(([name, calls]) => [name, calls - (before[name] ?? 0)] as const);
  return Object.fromEntries(changed.filter(([, calls]) => calls !== 0));
}

describe('a thousand readers who wait', () => {
  it('cost Redis nothing while other messages move, and one change answers them all', async () => {
    // Without an engine nobody else asks Redis anything.
    await using postroom = await startPostroom({ config: { role: 'api' } });
    const redis = withScripts(connectRedis(postroom.redis.url, 'patient', () => undefined));
    const agent = new Agent({ keepAlive: false });
    try {
      const messages = messageStore(redis, keysOf('{postroom}'), RETENTION);
      const move = (id: string) => messages.move({ id, mailbox: 'main', to: 'canceled' });
      const otherMoves = async () => {
        const before = await commandsOf(redis);
        for (const id of ids.splice(0, 20)) await move(id);
        return difference(await commandsOf(redis), before);
      };
      const ids = await Promise.all(Array.from({ length: 60 }, () => postroom.sendTo('ada@fabrikam.com')));
      const watched = await postroom.sendTo('watched@fabrikam.com');
      // The first ones put the scripts into Redis.
      await otherMoves();
      const without = await otherMoves();

      const settled = await commandsOf(redis);
      const path = `${postroom.url}/v1/messages/${watched}`;
      const polls = Array.from({ length: READERS / 2 }, () => reader(`${path}?wait=60`, agent));
      const streams = Array.from({ length: READERS / 2 }, () =>
        reader(`${path}/events`, agent, { accept: 'text/event-stream' }),
      );
      // Each poll reads once; each stream once before it opens and once when it listens. Each reading takes one HGETALL.
      let read = 0;
      await eventually(
        async () => {
          read = difference(await commandsOf(redis), settled).cmdstat_hgetall ?? 0;
          return read === polls.length + 2 * streams.length;
        },
        () => `They have read ${read} times`,
      );
      expect(streams.every((stream) => stream.isOpen())).toBe(true);
      expect(await otherMoves()).toEqual(without);
      expect(polls.some((poll) => poll.isOpen())).toBe(false);

      await move(watched);
      const answers = await Promise.all([...polls, ...streams].map(({ text }) => text));
      expect(answers.filter((text) => text.includes('"status":"canceled"'))).toHaveLength(READERS);
    } finally {
      agent.destroy();
      redis.disconnect();
    }
  });
});

describe('a stream of events', () => {
  it('that its reader takes up again after a restart of the process misses nothing and repeats nothing', async () => {
    await using postroom = await startPostroom();
    const post = (path: string) => fetch(`${postroom.url}${path}`, { method: 'POST', headers: { authorization } });
    await post('/v1/mailboxes/main/hold');
    const id = await postroom.sendTo('ada@fabrikam.com');
    const follow = (headers: Record<string, string> = {}) =>
      fetch(`${postroom.url}/v1/messages/${id}/events`, {
        headers: { authorization, accept: 'text/event-stream', ...headers },
      });
    const first = await follow();
    const [, text] = await Promise.all([postroom.restart(), first.text()]);
    const numbers = (body: string) => [...body.matchAll(/^id: (\d+)$/gm)].map(([, number]) => Number(number));
    expect(numbers(text)).toEqual([1]);
    // Some of it happens while nobody follows, and perhaps some while somebody does.
    await post('/v1/mailboxes/main/release');
    const second = await (await follow({ 'last-event-id': '1' })).text();
    expect(numbers(second)).toEqual([2, 3]);
    const statuses = [...second.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? '').status);
    expect(statuses).toEqual(['sending', 'sent']);
    expect((await follow({ 'last-event-id': '3' })).status).toBe(204);
  });
});
