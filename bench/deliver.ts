/**
 * Messages delivered a second over STARTTLS and AUTH to a server without limits: a Postroom worker, beside a bare
 * nodemailer pool of as many connections that sends the same ready bytes. Each in one process, the server in another;
 * the rate is measured at the server, by its final dots, once each has warmed up. What it costs Redis is told beside it,
 * by command; those that scripts call are counted in `evalsha` as well.
 *
 * With milliseconds, whatever is sent takes so long to the other end, each way: Microsoft is never in the same computer.
 *
 *     npx tsx bench/deliver.ts [rounds] [messages] [connections] [milliseconds]
 */
import { fileURLToPath } from 'node:url';
import { createLogger } from '../src/logger.ts';
import { startTestRedis } from '../test/support/redis.ts';
import { load, ownBytes } from './load.ts';
import { poolTo } from './naive.ts';
import { dearest, redisMeter } from './redis-meter.ts';
import {
  BODY,
  build,
  median,
  type Part,
  type Sink,
  serveQuestions,
  serveSink,
  settled,
  shippedService,
  sinkMailbox,
  startPart,
  tell,
  untilTaken,
} from './support.ts';

const FILE = fileURLToPath(import.meta.url);
/** A line for every message, as in production. */
const LOG = createLogger('info', false, '/dev/null');

async function pool(count: number, connections: number, sink: Sink): Promise<void> {
  const transport = poolTo(sink, connections);
  const raw = await ownBytes('main@contoso.com');
  serveQuestions({}, () => process.cpuUsage());
  const envelope = { from: 'main@contoso.com', to: BODY.to };
  await Promise.all(Array.from({ length: count }, () => transport.sendMail({ envelope, raw })));
}

async function ours(connections: number, sink: Sink, redisUrl: string): Promise<void> {
  const { startService } = await shippedService();
  await startService(settled(redisUrl, [sinkMailbox('main', sink, connections)], 'worker'), LOG);
  serveQuestions({}, () => process.cpuUsage());
}

interface Round {
  rate: number;
  cpu: number;
}

/** The first half is for warming up: a gateway runs for weeks, and its code is compiled within seconds. */
async function measure(sink: Part<Sink>, count: number, args: string[]): Promise<Round> {
  await sink.ask('clear');
  const part = await startPart(FILE, args);
  const { length: first } = await untilTaken(sink, Math.floor(count / 2));
  const before = await part.ask<NodeJS.CpuUsage>('cpu');
  const times = await untilTaken(sink, count);
  const after = await part.ask<NodeJS.CpuUsage>('cpu');
  await part.end();
  const measured = count - first;
  const seconds = ((times[count - 1] as number) - (times[first - 1] as number)) / 1_000;
  return { rate: measured / seconds, cpu: (after.user + after.system - before.user - before.system) / measured };
}

async function compare(rounds: number, count: number, connections: number, distance: number): Promise<void> {
  build();
  const sink = await startPart<Sink>(FILE, ['sink', String(distance)]);
  await using redis = await startTestRedis();
  const settings = [String(count), String(connections), JSON.stringify(sink.ready)];
  const meter = await redisMeter(redis.url);
  const results: { pool: Round; ours: Round; redis: number }[] = [];
  let scripts: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const bare = await measure(sink, count, ['pool', ...settings]);
    await redis.flush();
    await load(redis.url, count, ['main']);
    const before = await meter.read();
    const ours = await measure(sink, count, ['ours', ...settings, redis.url]);
    const after = await meter.read();
    results.push({ pool: bare, ours, redis: (after.cpu - before.cpu) / count });
    scripts = dearest(before, after, count, 20);
  }
  meter.close();
  await sink.end();
  const far = distance > 0 ? `, ${distance} ms each way` : '';
  console.log(`${rounds} rounds of ${count} messages over ${connections} connections, STARTTLS and AUTH${far}`);
  for (const side of ['pool', 'ours'] as const) {
    const rate = median(results.map((each) => each[side].rate));
    const cpu = median(results.map((each) => each[side].cpu));
    tell(side === 'pool' ? 'nodemailer pool' : 'Postroom worker', {
      'delivered/s': rate.toFixed(0),
      'CPU us a message': cpu.toFixed(0),
    });
  }
  tell('Redis', { 'CPU us a message': median(results.map((each) => each.redis)).toFixed(0) });
  for (const script of scripts) console.log(`    ${script}`);
  const ratio = median(results.map((each) => each.ours.rate / each.pool.rate));
  const cpuRatio = median(results.map((each) => each.ours.cpu / each.pool.cpu));
  tell('ratio', { 'delivered/s': `${ratio.toFixed(2)} (goal 0.8)`, CPU: cpuRatio.toFixed(2) });
}

const [role, ...rest] = process.argv.slice(2);
if (role === 'sink') await serveSink(Number(rest[0] ?? 0));
else if (role === 'pool') await pool(Number(rest[0]), Number(rest[1]), JSON.parse(rest[2] ?? ''));
else if (role === 'ours') await ours(Number(rest[1]), JSON.parse(rest[2] ?? ''), rest[3] ?? '');
else await compare(Number(role ?? 5), Number(rest[0] ?? 16_000), Number(rest[1] ?? 10), Number(rest[2] ?? 0));
