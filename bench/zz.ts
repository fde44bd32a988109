import { startTestRedis } from '../test/support/redis.ts';
import { load } from './load.ts';
import { type Sink, startPart, type Taken } from './support.ts';
const n = Number(process.argv[2]); const messages = Number(process.argv[3]);
const sink = await startPart<Sink>(new URL('./deliver.ts', import.meta.url).pathname, ['sink']);
await using redis = await startTestRedis();
await load(redis.url, messages, Array.from({ length: n }, (_, i) => `m${i}`));
console.log('loaded');
process.execArgv.push('--cpu-prof', '--cpu-prof-dir=/tmp/prof/mb');
const part = await startPart(new URL('./mailboxes.ts', import.meta.url).pathname, ['ours', String(n), JSON.stringify(sink.ready), redis.url]);
const { Redis } = await import('ioredis'); const adm = new Redis(redis.url);
for (let i = 0; i < 20; i++) { console.log(JSON.stringify(await adm.hgetall('{postroom}:holds')).slice(0, 700)); const t = await sink.ask<Taken>('count'); console.log(i, t.count); if (t.count >= messages) break; await new Promise(r => setTimeout(r, 1000)); }
part.child.kill('SIGINT'); await new Promise(r => setTimeout(r, 3000));
await sink.end(); process.exit(0);
