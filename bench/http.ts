/**
 * What the HTTP layer costs: `POST /v1/messages` into a gateway that does nothing, beside a bare Fastify route with a
 * JSON schema. Both run in processes of their own; the figure is CPU time a request of that process, the median of
 * the rounds, taken in turn because the machine's speed wanders.
 *
 *     npx tsx bench/http.ts [rounds]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import fastify from 'fastify';
import type { Api } from '../src/gateway/api.ts';
import type { MessageView } from '../src/gateway/view.ts';
import { createServer } from '../src/http/server.ts';

const KEY = 'pr_bench_0123456789abcdef0123456789abcdef';
const REQUESTS = 8_000;
const CONNECTIONS = 50;

const BODY = JSON.stringify({
  from: 'billing@contoso.com',
  to: ['ada@fabrikam.com'],
  subject: 'Your invoice 2026-0042',
  text: 'Hello Ada, your invoice is attached. '.repeat(20),
  html: `<p>${'Hello <b>Ada</b>, your invoice is attached. '.repeat(21)}</p>`,
  tags: ['invoice'],
  metadata: { invoice: '2026-0042' },
});

async function ours() {
  const message = { id: 'msg_01', status: 'queued', to: ['ada@fabrikam.com'], recipients: [], attempts: [] };
  const api = {
    authenticate: async (key: string) => (key === KEY ? { id: 'bench', permissions: ['send'] } : undefined),
    charge: () => undefined,
    replay: async () => undefined,
    accept: async () => ({ kind: 'accepted', message: message as unknown as MessageView }),
  } as unknown as Api;
  return createServer({ api, version: '0.0.0', swaggerUi: false });
}

async function bare() {
  const app = fastify();
  const text = { type: 'string' };
  const list = { type: 'array', items: {} };
  const properties = {
    from: text,
    to: list,
    cc: list,
    subject: text,
    text,
    html: text,
    tags: list,
    metadata: { type: 'object' },
  };
  const response = { type: 'object', properties: { id: text, status: text } };
  const schema = { body: { type: 'object', required: ['from', 'to'], properties }, response: { 202: response } };
  app.post('/v1/messages', { schema }, async (_request, reply) =>
    reply.code(202).send({ id: 'msg_01', status: 'queued' }),
  );
  return app;
}

async function serve(name: string): Promise<void> {
  const app = await (name === 'ours' ? ours() : bare());
  await app.listen({ port: 0, host: '127.0.0.1' });
  process.on('message', () => process.send?.(process.cpuUsage()));
  process.send?.(app.server.address());
}

interface Server {
  name: string;
  child: ChildProcess;
  port: number;
}

async function start(name: string): Promise<Server> {
  const child = fork(fileURLToPath(import.meta.url), ['serve', name], { execArgv: process.execArgv });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { name, child, port };
}

async function cpuOf({ child }: Server): Promise<number> {
  child.send('cpu');
  const [{ user, system }] = (await once(child, 'message')) as [NodeJS.CpuUsage];
  return user + system;
}

/** @returns microseconds of CPU a request, and requests a second */
async function round(server: Server, headers: Record<string, string>): Promise<{ cpu: number; rate: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const before = await cpuOf(server);
  const began = performance.now();
  let sent = 0;
  const client = async () => {
    while (sent++ < REQUESTS) await post(server.port, agent, headers);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
  const rate = REQUESTS / ((performance.now() - began) / 1_000);
  const cpu = ((await cpuOf(server)) - before) / REQUESTS;
  agent.destroy();
  return { cpu, rate };
}

function post(port: number, agent: Agent, extra: Record<string, string>): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${KEY}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(BODY),
      ...extra,
    };
    const outgoing = request(
      { port, host: '127.0.0.1', path: '/v1/messages', method: 'POST', agent, headers },
      (answer) => {
        if (answer.statusCode !== 202) reject(new Error(`answered ${answer.statusCode}`));
        answer.resume().on('end', resolve);
      },
    );
    outgoing.on('error', reject).end(BODY);
  });
}

function median(figures: number[]): number {
  return figures.sort((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN;
}

async function compare(rounds: number): Promise<void> {
  const servers = [await start('bare'), await start('ours')] as const;
  const cases = [
    { label: 'Fastify + JSON schema', server: servers[0], headers: {} },
    { label: 'Postroom', server: servers[1], headers: {} },
    { label: 'Postroom, Idempotency-Key', server: servers[1], headers: { 'idempotency-key': 'bench-1' } },
  ].map((each) => ({ ...each, cpu: [] as number[], rate: [] as number[] }));
  for (const { server, headers } of cases) await round(server, headers);
  for (let i = 0; i < rounds; i++) {
    for (const each of cases) {
      const { cpu, rate } = await round(each.server, each.headers);
      each.cpu.push(cpu);
      each.rate.push(rate);
    }
  }
  console.log(`body ${Buffer.byteLength(BODY)} bytes, ${rounds} rounds of ${REQUESTS}, ${CONNECTIONS} connections`);
  const base = median(cases[0]?.cpu ?? []);
  for (const { label, cpu, rate } of cases) {
    const each = median(cpu);
    console.log(
      `${label.padEnd(28)} ${each.toFixed(0)} us CPU (ratio ${(base / each).toFixed(2)}), ${median(rate).toFixed(0)}/s`,
    );
  }
  for (const { child } of servers) child.kill();
}

await (process.argv[2] === 'serve' ? serve(process.argv[3] ?? '') : compare(Number(process.argv[2] ?? 5)));
