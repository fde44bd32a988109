/**
 * What a deep queue costs: the time to accept a message while 0 and then so many others of the same mailbox wait, and
 * the Redis memory of each that waits. Rounds at both depths are not taken in turn, so compare the shape, not the digit.
 *
 *     npx tsx bench/depth.ts [depth] [rounds]      depth 100000 unless told, or 1000000
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { startTestRedis } from '../test/support/redis.ts';
import { load } from './load.ts';
import { BODY, build, type Listening, median, postMany, quantile, startPart, tell } from './support.ts';

const ACCEPT = fileURLToPath(new URL('./accept.ts', import.meta.url));
const REQUESTS = 3_000;

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
}

const depth = Number(process.argv[2] ?? 100_000);
const rounds = Number(process.argv[3] ?? 5);
await using redis = await startTestRedis();
const admin = new Redis(redis.url);
build();
const part = await startPart<Listening>(ACCEPT, ['ours', redis.url]);
const body = { from: 'main@contoso.com', ...BODY };
const post = () => postMany(part.ready.port, REQUESTS, 10, () => body);

async function measure(): Promise<{ p50: number; p99: number }> {
  const each: { p50: number; p99: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const { latencies } = await post();
    each.push({ p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) });
  }
  return { p50: median(each.map(({ p50 }) => p50)), p99: median(each.map(({ p99 }) => p99)) };
}

await post();
const empty = await measure();
const before = await usedMemory(admin);
await admin.config('SET', 'appendfsync', 'no');
const mimeBytes = await load(redis.url, depth, ['main']);
await admin.config('SET', 'appendfsync', 'always');
// The fill is over when it is on disk too: Redis writes its file anew after so much, and the first sync is of all of it.
while (/aof_rewrite_(in_progress|scheduled):1/.test(await admin.info('persistence'))) await sleep(1_000);
await post();
const perMessage = ((await usedMemory(admin)) - before) / depth;
const full = await measure();
const show = ({ p50, p99 }: { p50: number; p99: number }) => ({
  p50: `${p50.toFixed(1)} ms`,
  p99: `${p99.toFixed(1)} ms`,
});
console.log(`${rounds} rounds of ${REQUESTS} requests over 10 connections at each depth`);
tell('depth 0', show(empty));
tell(`depth ${depth}`, show(full));
tell('ratio', { p99: `${(full.p99 / empty.p99).toFixed(2)} (must 1.5, goal 1.2)` });
tell('Redis memory of a waiting message', {
  bytes: perMessage.toFixed(0),
  MIME: mimeBytes,
  ratio: `${(perMessage / mimeBytes).toFixed(2)} (must 2.5, goal 1.5)`,
});
await part.end();
admin.disconnect();
