/**
 * Messages accepted a second (validated, composed, on disk with `appendfsync always`, idempotency entry and indexes
 * written), beside a bare Fastify route with a JSON schema that takes the same body and does nothing.
 *
 *     npx tsx bench/accept.ts [rounds]
 */
import { fileURLToPath } from 'node:url';
import fastify from 'fastify';
import { startService } from '../src/service.ts';
import { startTestRedis } from '../test/support/redis.ts';
import {
  BODY,
  median,
  type Part,
  postMany,
  SILENT,
  serveQuestions,
  settled,
  sinkMailbox,
  startPart,
  tell,
} from './support.ts';

const FILE = fileURLToPath(import.meta.url);
const REQUESTS = 5_000;
const CONNECTIONS = 50;

interface Listening {
  port: number;
}

async function ours(redisUrl: string): Promise<void> {
  const mailbox = sinkMailbox('main', { port: 1, caPem: '' }, 3);
  const { url = '' } = await startService(settled(redisUrl, [mailbox], 'api'), SILENT);
  serveQuestions({ port: Number(new URL(url).port) }, () => process.cpuUsage());
}

async function bare(): Promise<void> {
  const app = fastify();
  const text = { type: 'string' };
  const list = { type: 'array', items: text };
  const properties = { from: text, to: list, subject: text, text, html: text, tags: list };
  const response = { type: 'object', properties: { id: text, status: text } };
  const schema = { body: { type: 'object', required: ['from', 'to'], properties }, response: { 202: response } };
  app.post('/v1/messages', { schema }, async (_request, reply) =>
    reply.code(202).send({ id: 'msg_01', status: 'queued' }),
  );
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  serveQuestions({ port: Number(new URL(url).port) }, () => process.cpuUsage());
}

async function round(part: Part<Listening>, keyed: boolean, number: number): Promise<{ rate: number; cpu: number }> {
  const before = await part.ask<NodeJS.CpuUsage>('cpu');
  const body = { from: 'main@contoso.com', ...BODY };
  const { rate } = await postMany(
    part.ready.port,
    REQUESTS,
    CONNECTIONS,
    () => body,
    (index) => (keyed ? { 'idempotency-key': `bench-${number}-${index}` } : {}),
  );
  const after = await part.ask<NodeJS.CpuUsage>('cpu');
  return { rate, cpu: (after.user + after.system - before.user - before.system) / REQUESTS };
}

async function compare(rounds: number): Promise<void> {
  await using redis = await startTestRedis();
  const parts = [
    await startPart<Listening>(FILE, ['bare']),
    await startPart<Listening>(FILE, ['ours', redis.url]),
  ] as const;
  const cases = [
    { label: 'Fastify + JSON schema', part: parts[0], keyed: false },
    { label: 'Postroom', part: parts[1], keyed: false },
    { label: 'Postroom, Idempotency-Key', part: parts[1], keyed: true },
  ].map((each) => ({ ...each, rates: [] as number[], cpus: [] as number[] }));
  for (const { part, keyed } of cases) await round(part, keyed, -1);
  for (let number = 0; number < rounds; number += 1) {
    for (const each of cases) {
      const { rate, cpu } = await round(each.part, each.keyed, number);
      each.rates.push(rate);
      each.cpus.push(cpu);
    }
  }
  console.log(`${rounds} rounds of ${REQUESTS} requests over ${CONNECTIONS} connections, appendfsync always`);
  const base = cases[0]?.rates ?? [];
  for (const { label, rates, cpus } of cases) {
    const ratio = median(rates.map((rate, index) => rate / (base[index] ?? Number.NaN)));
    tell(label, { 'accepted/s': median(rates).toFixed(0), ratio: ratio.toFixed(2), 'CPU us': median(cpus).toFixed(0) });
  }
  console.log('must 0.35, goal 0.5');
  for (const part of parts) await part.end();
}

const [role, argument] = process.argv.slice(2);
if (role === 'ours') await ours(argument ?? '');
else if (role === 'bare') await bare();
else await compare(Number(role ?? 5));
