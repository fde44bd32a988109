/**
 * The whole way of a message, from the request to its final dot, beside a gateway as one writes it in an afternoon with
 * the same libraries: what a message costs in CPU (gateway and Redis) while thousands are accepted and delivered at once,
 * the most memory that takes, and how long a single message is on its way while nothing else is. Both with
 * `appendfsync always`, over STARTTLS and AUTH to the same server without limits, each in one process and warmed up.
 *
 *     npx tsx bench/whole.ts [rounds] [messages]
 */
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startTestRedis } from '../test/support/redis.ts';
import { acceptNaively, deliverNaively } from './naive.ts';
import { redisMeter } from './redis-meter.ts';
import {
  application,
  BODY,
  build,
  type Listening,
  logger,
  median,
  type Part,
  postMany,
  quantile,
  type Sink,
  serveQuestions,
  settled,
  sharedNow,
  shippedService,
  sinkMailbox,
  startPart,
  tell,
  untilTaken,
} from './support.ts';

const FILE = fileURLToPath(import.meta.url);
const DELIVER = fileURLToPath(new URL('./deliver.ts', import.meta.url));
const CLIENTS = 50;
const CONNECTIONS = 10;
const WARMING_UP = 2;
const ALONE = 200;

interface Usage {
  cpu: NodeJS.CpuUsage;
  /** KiB, the most since its start. */
  maxRss: number;
}

const usage = (): Usage => ({ cpu: process.cpuUsage(), maxRss: process.resourceUsage().maxRSS });

async function ours(redisUrl: string, sink: Sink): Promise<void> {
  const mailbox = sinkMailbox('main', sink, CONNECTIONS);
  const { url = '' } = await (await shippedService()).startService(settled(redisUrl, [mailbox], 'all'), logger());
  serveQuestions({ port: Number(new URL(url).port) } satisfies Listening, usage);
}

async function naive(redisUrl: string, sink: Sink): Promise<void> {
  const app = application();
  acceptNaively(app, redisUrl);
  deliverNaively(redisUrl, sink, CONNECTIONS, app.log);
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  serveQuestions({ port: Number(new URL(url).port) } satisfies Listening, usage);
}

interface Side {
  label: string;
  part: Part<Listening>;
  meter: Awaited<ReturnType<typeof redisMeter>>;
}

interface Cost {
  /** Microseconds a message. */
  gateway: number;
  redis: number;
  /** Messages a second, from the first request to the last final dot. */
  rate: number;
}

async function flood({ part, meter }: Side, sink: Part<Sink>, count: number): Promise<Cost> {
  await sink.ask('clear');
  const redisBefore = await meter.read();
  const before = await part.ask<Usage>('usage');
  const startedAt = sharedNow();
  await postMany(part.ready.port, count, CLIENTS, () => ({ from: 'main@contoso.com', ...BODY }));
  const times = await untilTaken(sink, count);
  const after = await part.ask<Usage>('usage');
  const redisAfter = await meter.read();
  return {
    gateway: (after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system) / count,
    redis: (redisAfter.cpu - redisBefore.cpu) / count,
    rate: count / (((times.at(-1) as number) - startedAt) / 1_000),
  };
}

/** One message after another, each some time after the one before was sent. @returns each one's milliseconds to its dot */
async function alone({ part }: Side, sink: Part<Sink>, count: number): Promise<number[]> {
  const latencies: number[] = [];
  for (let each = 0; each < count; each += 1) {
    await sink.ask('clear');
    const startedAt = sharedNow();
    await postMany(part.ready.port, 1, 1, () => ({ from: 'main@contoso.com', ...BODY }));
    const [takenAt] = await untilTaken(sink, 1);
    latencies.push((takenAt as number) - startedAt);
    await pause(10);
  }
  return latencies;
}

async function compare(rounds: number, count: number): Promise<void> {
  build();
  const sink = await startPart<Sink>(DELIVER, ['sink']);
  await using itsRedis = await startTestRedis();
  await using ourRedis = await startTestRedis();
  const side = async (label: string, role: string, url: string): Promise<Side> => ({
    label,
    part: await startPart<Listening>(FILE, [role, url, JSON.stringify(sink.ready)]),
    meter: await redisMeter(url),
  });
  const sides = [
    await side('Written in an afternoon', 'naive', itsRedis.url),
    await side('Postroom', 'ours', ourRedis.url),
  ] as const;
  const results = sides.map((each) => ({ ...each, costs: [] as Cost[], latencies: [] as number[][] }));
  for (let round = -WARMING_UP; round < rounds; round += 1) {
    for (const each of results) {
      const cost = await flood(each, sink, count);
      const latencies = await alone(each, sink, ALONE);
      if (round < 0) continue;
      each.costs.push(cost);
      each.latencies.push(latencies);
    }
  }
  console.log(`${rounds} rounds of ${count} messages, and of ${ALONE} one by one, appendfsync always`);
  const figures = await Promise.all(
    results.map(async ({ part, costs, latencies }) => ({
      cpu: costs.map(({ gateway, redis }) => gateway + redis),
      rate: costs.map(({ rate }) => rate),
      p50: latencies.map((each) => quantile(each, 0.5)),
      p99: latencies.map((each) => quantile(each, 0.99)),
      rss: [(await part.ask<Usage>('usage')).maxRss / 1_024],
    })),
  );
  const [base] = figures;
  for (const [index, each] of figures.entries()) {
    const { costs, label } = results[index] as (typeof results)[number];
    tell(label, {
      'gateway us': median(costs.map(({ gateway }) => gateway)).toFixed(0),
      'Redis us': median(costs.map(({ redis }) => redis)).toFixed(0),
      'delivered/s': median(each.rate).toFixed(0),
      'alone p50 ms': median(each.p50).toFixed(1),
      'p99 ms': median(each.p99).toFixed(1),
      'peak MiB': median(each.rss).toFixed(0),
    });
    if (!base || each === base) continue;
    const beside = (name: keyof typeof each) =>
      median(each[name].map((figure, round) => figure / (base[name][round] as number))).toFixed(2);
    console.log(
      `CPU ${beside('cpu')} (must 1, goal 0.5)   delivered/s ${beside('rate')}   p50 ${beside('p50')} (must 1.5, goal 1.1)` +
        `   p99 ${beside('p99')} (must 2, goal 1.5)   peak memory ${beside('rss')} (must 1.5, goal 1.1)`,
    );
  }
  for (const { part, meter } of sides) {
    meter.close();
    await part.end();
  }
  await sink.end();
}

const [role, ...rest] = process.argv.slice(2);
if (role === 'ours') await ours(rest[0] ?? '', JSON.parse(rest[1] ?? ''));
else if (role === 'naive') await naive(rest[0] ?? '', JSON.parse(rest[1] ?? ''));
else await compare(Number(role ?? 5), Number(rest[0] ?? 5_000));
