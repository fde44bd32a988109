/**
 * What one caller's flood costs another: how long a quiet caller's message takes to be accepted (answered 202, on disk)
 * while nobody else calls, and while another caller keeps 200 connections busy. The two are measured in turn, in each
 * round, because the machine's speed wanders; the factor is that of the medians over all rounds. Three floods: messages
 * of 2 KB that are accepted, bodies of 1 MiB that are judged and composed but not kept (`/validate`), and pages of 100
 * messages that are listed.
 * Server, Redis, flood and quiet caller are processes of their own and share the machine's cores.
 *
 *     npx tsx bench/fairness.ts [rounds] [seconds] [connections] [POSTROOM_REQUESTS_PER_CALLER]
 */
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { startTestRedis } from '../test/support/redis.ts';
import {
  BODY,
  build,
  KEY,
  type Listening,
  median,
  type Part,
  quantile,
  SILENT,
  serveQuestions,
  settled,
  shippedService,
  sinkMailbox,
  startPart,
  tell,
} from './support.ts';

const FILE = fileURLToPath(import.meta.url);
/** Of the quiet caller, whether the one before is answered or not. */
const QUIET_MILLISECONDS = 50;
const SMALL = JSON.stringify({ from: 'main@contoso.com', ...BODY });
const LARGE = JSON.stringify({
  from: 'main@contoso.com',
  ...BODY,
  attachments: [{ filename: 'a.bin', content: Buffer.alloc(786_432, 7).toString('base64') }],
});
const FLOODS = {
  small: { path: '/v1/messages', body: SMALL },
  large: { path: '/v1/messages/validate', body: LARGE },
  lists: { path: '/v1/messages?limit=100', body: undefined },
} as const;
type Kind = keyof typeof FLOODS;

async function serve(redisUrl: string, callerRequests: number): Promise<void> {
  const mailbox = sinkMailbox('main', { port: 1, caPem: '' }, 3);
  const { url = '' } = await (await shippedService()).startService(
    { ...settled(redisUrl, [mailbox], 'api'), callerRequests },
    SILENT,
  );
  serveQuestions({ port: Number(new URL(url).port) }, () => process.cpuUsage());
}

/** @returns the status; rejects if there is none */
function post(agent: Agent, port: number, path: string, key: string, body?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${key}`,
      ...(body && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    };
    const method = body ? 'POST' : 'GET';
    const outgoing = request({ host: '127.0.0.1', port, path, method, agent, headers }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0));
    });
    outgoing.on('error', reject).end(body);
  });
}

/** Keeps so many connections busy with one kind until it is told `stop`; answers how many were answered. */
function flood(port: number, key: string, connections: number): void {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  let kind: Kind | 'stop' = 'stop';
  let clients: Promise<void>[] = [];
  let answered = 0;
  const client = async () => {
    while (kind !== 'stop') {
      const { path, body } = FLOODS[kind];
      await post(agent, port, path, key, body);
      answered++;
    }
  };
  serveQuestions({}, async (question) => {
    kind = question as Kind | 'stop';
    await Promise.all(clients);
    if (kind === 'stop') return { answered };
    answered = 0;
    clients = Array.from({ length: connections }, client);
    return {};
  });
}

/** Milliseconds of each of a quiet caller's messages, at an even pace. */
async function quietly(agent: Agent, port: number, key: string, seconds: number): Promise<number[]> {
  const taken: Promise<number>[] = [];
  const one = async () => {
    const began = performance.now();
    const status = await post(agent, port, '/v1/messages', key, SMALL);
    if (status !== 202) throw new Error(`The quiet caller was answered ${status}`);
    return performance.now() - began;
  };
  const end = performance.now() + seconds * 1_000;
  while (performance.now() < end) {
    taken.push(one());
    await new Promise((resolve) => setTimeout(resolve, QUIET_MILLISECONDS));
  }
  return Promise.all(taken);
}

async function newKey(port: number, name: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name, scopes: ['send', 'read'] }),
  });
  return ((await response.json()) as { secret: string }).secret;
}

async function compare(rounds: number, seconds: number, connections: number, callerRequests: number): Promise<void> {
  build();
  await using redis = await startTestRedis();
  const server = await startPart<Listening>(FILE, ['serve', redis.url, String(callerRequests)]);
  const { port } = server.ready;
  const [quiet, loud] = [await newKey(port, 'quiet'), await newKey(port, 'loud')];
  const flooding: Part<object> = await startPart(FILE, ['flood', String(port), loud, String(connections)]);
  const agent = new Agent({ keepAlive: true });
  const kinds = Object.keys(FLOODS) as Kind[];
  const alone: number[] = [];
  const floods = kinds.map((kind) => ({ kind, milliseconds: [] as number[], rates: [] as number[] }));
  await quietly(agent, port, quiet, seconds);
  for (let round = 0; round < rounds; round++) {
    alone.push(...(await quietly(agent, port, quiet, seconds)));
    for (const { kind, milliseconds, rates } of floods) {
      await flooding.ask(kind);
      await new Promise((resolve) => setTimeout(resolve, 500));
      milliseconds.push(...(await quietly(agent, port, quiet, seconds)));
      const { answered } = await flooding.ask<{ answered: number }>('stop');
      rates.push(answered / (seconds + 0.5));
    }
  }
  agent.destroy();
  await Promise.all([server.end(), flooding.end()]);

  const of = (figures: number[]) => ({ p50: median(figures), p99: quantile(figures, 0.99) });
  const usual = of(alone);
  const shown = ({ p50, p99 }: typeof usual) => ({ p50: `${p50.toFixed(1)} ms`, p99: `${p99.toFixed(1)} ms` });
  console.log(`${rounds} rounds of ${seconds} s a side; the flood has ${connections} connections`);
  tell('quiet caller alone', { ...shown(usual), messages: alone.length });
  for (const { kind, milliseconds, rates } of floods) {
    const beside = of(milliseconds);
    const times = (share: 'p50' | 'p99') => (beside[share] / usual[share]).toFixed(1);
    const flood = `${median(rates).toFixed(0)}/s`;
    tell(`beside a flood of ${kind}`, {
      ...shown(beside),
      'p50 times': times('p50'),
      'p99 times': times('p99'),
      flood,
    });
  }
}

const [, , part, ...given] = process.argv;
if (part === 'serve') await serve(given[0] ?? '', Number(given[1]));
else if (part === 'flood') flood(Number(given[0]), given[1] ?? '', Number(given[2]));
else await compare(Number(part ?? 5), Number(given[0] ?? 6), Number(given[1] ?? 200), Number(given[2] ?? 64));
