/**
 * What many mailboxes cost: the same number of messages, waiting in one mailbox, in 100 and in 1,000, delivered by one
 * worker to a server without limits; CPU of the worker and of Redis for each message. Each mailbox logs in for itself,
 * so that a message bears its share of a TLS handshake: it is shown beside.
 *
 *     npx tsx bench/mailboxes.ts [rounds] [messages]
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startTestRedis } from '../test/support/redis.ts';
import { load } from './load.ts';
import {
  build,
  median,
  type Part,
  SILENT,
  type Sink,
  serveQuestions,
  settled,
  shippedService,
  sinkMailbox,
  startPart,
  tell,
  untilTaken,
} from './support.ts';

const FILE = fileURLToPath(import.meta.url);
const DELIVER = fileURLToPath(new URL('./deliver.ts', import.meta.url));
const SIZES = [1, 100, 1_000];

interface Usage {
  cpu: NodeJS.CpuUsage;
  rss: number;
}

const idsOf = (count: number) => Array.from({ length: count }, (_, index) => `m${index}`);

async function ours(count: number, sink: Sink, redisUrl: string): Promise<void> {
  const mailboxes = idsOf(count).map((id) => sinkMailbox(id, sink, 3));
  await (await shippedService()).startService(settled(redisUrl, mailboxes, 'worker'), SILENT);
  serveQuestions({}, (): Usage => ({ cpu: process.cpuUsage(), rss: process.memoryUsage().rss }));
}

/** Microseconds: fields 14 and 15 of /proc/pid/stat, in hundredths of a second. */
function cpuOfProcess(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

interface Cost {
  worker: number;
  redis: number;
  rss: number;
  rate: number;
}

async function measure(sink: Part<Sink>, mailboxes: number, messages: number): Promise<Cost> {
  await using redis = await startTestRedis();
  await load(redis.url, messages, idsOf(mailboxes));
  await sink.ask('clear');
  const redisBefore = cpuOfProcess(redis.pid);
  const part = await startPart(FILE, ['ours', String(mailboxes), JSON.stringify(sink.ready), redis.url]);
  const before = await part.ask<Usage>('usage');
  const times = await untilTaken(sink, messages);
  const after = await part.ask<Usage>('usage');
  const redisCpu = cpuOfProcess(redis.pid) - redisBefore;
  await part.end();
  return {
    worker: (after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system) / messages,
    redis: redisCpu / messages,
    rss: after.rss,
    rate: (messages - 1) / (((times.at(-1) as number) - (times[0] as number)) / 1_000),
  };
}

async function compare(rounds: number, messages: number): Promise<void> {
  build();
  const sink = await startPart<Sink>(DELIVER, ['sink']);
  const costs = new Map<number, Cost[]>(SIZES.map((size) => [size, []]));
  for (let round = 0; round < rounds; round += 1)
    for (const size of SIZES) costs.get(size)?.push(await measure(sink, size, messages));
  await sink.end();
  console.log(`${rounds} rounds of ${messages} messages`);
  const total = ({ worker, redis }: Cost) => worker + redis;
  const base = costs.get(1) ?? [];
  for (const [size, each] of costs) {
    const ratio = median(each.map((cost, index) => total(cost) / total(base[index] as Cost)));
    tell(`${size} mailboxes`, {
      'worker us a message': median(each.map(({ worker }) => worker)).toFixed(0),
      'Redis us': median(each.map(({ redis }) => redis)).toFixed(0),
      ratio: ratio.toFixed(2),
      logins: Math.min(messages, 3 * size),
      'delivered/s': median(each.map(({ rate }) => rate)).toFixed(0),
      'worker MiB': (median(each.map(({ rss }) => rss)) / 2 ** 20).toFixed(0),
    });
  }
  console.log('must 1.5, goal 1.2');
}

const [role, ...rest] = process.argv.slice(2);
if (role === 'ours') await ours(Number(rest[0]), JSON.parse(rest[1] ?? ''), rest[2] ?? '');
else await compare(Number(role ?? 5), Number(rest[0] ?? 6_000));
