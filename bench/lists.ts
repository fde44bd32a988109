/**
 * What the lists of messages cost: Redis memory for each message, what a page asks of Redis and how long it takes, at
 * two sizes. The times are of the gateway's part alone, without HTTP.
 *
 *     npx tsx bench/lists.ts [messages]      100000 unless told
 */
import { newMessageId } from '../src/gateway/identifiers.ts';
import { type ListQuery, listMessages } from '../src/gateway/list.ts';
import { parseInfo } from '../src/store/health.ts';
import { messageLists } from '../src/store/lists.ts';
import { startTestRedis } from '../test/support/redis.ts';
import { aMessage, openStore } from '../test/support/store.ts';
import { median, tell } from './support.ts';

const CALLER = { id: 'billing', permissions: ['read'] } as const;
const QUERIES: Record<string, ListQuery> = {
  'first 100': { limit: 100 },
  'those that failed: none': { limit: 20, status: ['failed'] },
  'a recipient that nobody has': { limit: 20, recipient: 'none@fabrikam.com' },
};

const size = Number(process.argv[2] ?? 100_000);
await using redis = await startTestRedis();
const store = openStore(redis.url);
await store.redis.config('SET', 'appendfsync', 'no');
const tools = { ...store, lists: messageLists(store.redis, store.keys) };

async function fill(count: number): Promise<void> {
  let left = count;
  const one = async () => {
    while (left-- > 0) await store.messages.accept(aMessage({ id: newMessageId(new Date()), callerId: CALLER.id }));
  };
  await Promise.all(Array.from({ length: 100 }, one));
}

async function info(section: string): Promise<Map<string, string>> {
  return parseInfo(await store.redis.info(section));
}

async function commands(): Promise<number> {
  return Number((await info('stats')).get('total_commands_processed'));
}

async function measure(query: ListQuery): Promise<string> {
  const before = await commands();
  await listMessages(tools, CALLER, query);
  const asked = (await commands()) - before - 1;
  const times: number[] = [];
  for (let round = 0; round < 9; round += 1) {
    const start = performance.now();
    await listMessages(tools, CALLER, query);
    times.push(performance.now() - start);
  }
  return `${asked} commands, ${median(times).toFixed(1)} ms`;
}

for (const count of [size / 10, size - size / 10]) {
  await fill(count);
  const list = store.keys.list({ kind: 'all', callerId: CALLER.id });
  const length = await store.redis.zcard(list);
  const before = Number((await info('memory')).get('used_memory'));
  const bytes = Number(await store.redis.call('MEMORY', 'USAGE', list, 'SAMPLES', '0'));
  tell(`${length} messages`, {
    'list, bytes a message': (bytes / length).toFixed(0),
    'all of Redis, bytes a message': (before / length).toFixed(0),
  });
  for (const [name, query] of Object.entries(QUERIES)) tell(name, { page: await measure(query) });
}
store.close();
