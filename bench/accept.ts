/**
 * Messages accepted a second (validated, composed, on disk with `appendfsync always`, idempotency entry and indexes
 * written), beside a bare Fastify route with a JSON schema that takes the same body, answers such a record and does
 * nothing else; and beside a gateway as one writes it in an afternoon, with the same libraries and their defaults, which
 * keeps no more than BullMQ's job. All have the same request ids and log a line for each message.
 *
 *     npx tsx bench/accept.ts [rounds]
 */
import { fileURLToPath } from 'node:url';
import { startTestRedis } from '../test/support/redis.ts';
import { acceptNaively } from './naive.ts';
import {
  application,
  BODY,
  build,
  type Listening,
  logger,
  median,
  type Part,
  postMany,
  serveQuestions,
  settled,
  shippedService,
  sinkMailbox,
  startPart,
  tell,
} from './support.ts';

const FILE = fileURLToPath(import.meta.url);
const REQUESTS = 5_000;
const CONNECTIONS = 50;
const WARMING_UP = 3;

async function ours(redisUrl: string): Promise<void> {
  const mailbox = sinkMailbox('main', { port: 1, caPem: '' }, 3);
  const { url = '' } = await (await shippedService()).startService(settled(redisUrl, [mailbox], 'api'), logger());
  serveQuestions({ port: Number(new URL(url).port) }, () => process.cpuUsage());
}

const TEXT = { type: 'string' };
const TEXTS = { type: 'array', items: TEXT };
const MAP = { type: 'object', additionalProperties: TEXT };
const FILE_PROPERTIES = { filename: TEXT, content: TEXT, contentType: TEXT, contentId: TEXT, disposition: TEXT };
const ADDRESS = {
  anyOf: [
    TEXT,
    { type: 'object', required: ['address'], properties: { address: TEXT, name: TEXT }, additionalProperties: false },
  ],
};
/** The list first: Fastify would make one address of a list of one to make it fit the other. */
const ADDRESSES = { anyOf: [{ type: 'array', maxItems: 1_000, items: ADDRESS }, ADDRESS] };

/** The whole send body, as far as a JSON schema says it in an afternoon. */
const SEND_BODY = {
  type: 'object',
  required: ['from', 'subject'],
  additionalProperties: false,
  properties: {
    from: ADDRESS,
    to: ADDRESSES,
    cc: ADDRESSES,
    bcc: ADDRESSES,
    replyTo: ADDRESSES,
    subject: { type: 'string', maxLength: 255 },
    text: TEXT,
    html: TEXT,
    attachments: { type: 'array', maxItems: 100, items: { type: 'object', properties: FILE_PROPERTIES } },
    headers: MAP,
    tags: { type: 'array', maxItems: 10, items: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' } },
    metadata: MAP,
    expiresAt: { type: 'string', format: 'date-time' },
    priority: { enum: ['high', 'normal', 'low'] },
    onUnconfirmed: { enum: ['hold', 'resend'] },
  },
};

interface Sent {
  from: string;
  to: string[];
  subject: string;
  tags?: string[];
  metadata?: Record<string, string>;
}

/** The record that Postroom answers, made of the body and of nothing else. */
function recordOf({ from, to, subject, tags = [], metadata = {} }: Sent) {
  const now = new Date().toISOString();
  const known = { mailbox: 'main', from, to, cc: [], bcc: [], subject, tags, metadata, sizeBytes: 2_300 };
  const times = { createdAt: now, updatedAt: now, expiresAt: now, estimatedSendAt: now };
  const recipients = to.map((address) => ({ address, status: 'queued' }));
  return { id: 'msg_01', status: 'queued', ...known, ...times, recipients, attempts: [] };
}

const RECIPIENT = { type: 'object', properties: { address: TEXT, status: TEXT } };
const RECORD_TEXTS = 'id status mailbox from subject createdAt updatedAt expiresAt estimatedSendAt'.split(' ');
const RECORD_SCHEMA = {
  type: 'object',
  properties: {
    ...Object.fromEntries(RECORD_TEXTS.map((name) => [name, TEXT])),
    ...{ to: TEXTS, cc: TEXTS, bcc: TEXTS, tags: TEXTS, metadata: MAP, sizeBytes: { type: 'integer' } },
    recipients: { type: 'array', items: RECIPIENT },
    attempts: { type: 'array', items: { type: 'object' } },
  },
};

/** Reads the same body by a schema of the same fields, and answers such a record: all that HTTP asks, and no more. */
async function bare(): Promise<void> {
  const app = application();
  const schema = { body: SEND_BODY, response: { 202: RECORD_SCHEMA } };
  app.post<{ Body: Sent }>('/v1/messages', { schema }, async (request, reply) => {
    const record = recordOf(request.body);
    request.log.info({ messageId: record.id, mailbox: 'main', bytes: 2_300, recipients: 1 }, 'Message accepted');
    return reply
      .code(202)
      .headers({ location: `/v1/messages/${record.id}`, 'x-request-id': request.id })
      .send(record);
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  serveQuestions({ port: Number(new URL(url).port) }, () => process.cpuUsage());
}

async function naive(redisUrl: string): Promise<void> {
  const app = application();
  acceptNaively(app, redisUrl);
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
  build();
  await using redis = await startTestRedis();
  // One of its own: rewriting its log must not slow down ours.
  await using itsRedis = await startTestRedis();
  const parts = [
    await startPart<Listening>(FILE, ['bare']),
    await startPart<Listening>(FILE, ['ours', redis.url]),
    await startPart<Listening>(FILE, ['naive', itsRedis.url]),
  ] as const;
  const cases = [
    { label: 'Fastify + JSON schema', part: parts[0], keyed: false },
    { label: 'Postroom', part: parts[1], keyed: false },
    { label: 'Postroom, Idempotency-Key', part: parts[1], keyed: true },
    { label: 'Written in an afternoon', part: parts[2], keyed: false },
  ].map((each) => ({ ...each, rates: [] as number[], cpus: [] as number[] }));
  // A gateway runs for weeks, and its code is compiled within seconds.
  for (let number = 1; number <= WARMING_UP; number += 1)
    for (const { part, keyed } of cases) await round(part, keyed, -number);
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
else if (role === 'naive') await naive(argument ?? '');
else await compare(Number(role ?? 5));
