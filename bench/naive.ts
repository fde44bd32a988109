/** A gateway as one writes it in an afternoon, with the same libraries and their defaults: no record, no MIME of its own, no limits. */
import { type ConnectionOptions, Queue, Worker } from 'bullmq';
import type { FastifyInstance } from 'fastify';
import { Redis } from 'ioredis';
import { createTransport, type SendMailOptions } from 'nodemailer';
import { z } from 'zod';
import { KEY, type Sink } from './support.ts';

const BODY = z.object({
  from: z.email(),
  to: z.array(z.email()),
  subject: z.string().max(255),
  text: z.string().optional(),
  html: z.string().optional(),
  tags: z.array(z.string()).optional(),
  metadata: z.record(z.string(), z.string()).optional(),
});

const connectionTo = (redisUrl: string) =>
  new Redis(redisUrl, { maxRetriesPerRequest: null }) as unknown as ConnectionOptions;

/** Checks the body and the key, and leaves everything else to whoever takes the job. */
export function acceptNaively(app: FastifyInstance, redisUrl: string): void {
  const queue = new Queue('mail', { connection: connectionTo(redisUrl) });
  app.post('/v1/messages', async (request, reply) => {
    if (request.headers.authorization !== `Bearer ${KEY}`) return reply.code(401).send({ error: 'Unauthorized' });
    const body = BODY.safeParse(request.body);
    if (!body.success) return reply.code(422).send({ errors: body.error.issues });
    const key = request.headers['idempotency-key'];
    const job = await queue.add('send', body.data, {
      ...(typeof key === 'string' && { jobId: key }),
      attempts: 5,
      backoff: { type: 'exponential', delay: 1_000 },
      removeOnComplete: true,
    });
    request.log.info({ id: job.id }, 'Message accepted');
    return reply.code(202).send({ id: job.id, status: 'queued' });
  });
}

/** nodemailer's pool, logged in at the sink. */
export function poolTo(sink: Sink, connections: number) {
  return createTransport({
    pool: true,
    maxConnections: connections,
    maxMessages: Number.POSITIVE_INFINITY,
    host: '127.0.0.1',
    port: sink.port,
    requireTLS: true,
    tls: { ca: sink.caPem },
    auth: { user: 'main@contoso.com', pass: 'password-of-the-sink' },
  });
}

/** Hands each job to nodemailer's pool, which composes it and forgets it when it is killed. */
export function deliverNaively(redisUrl: string, sink: Sink, connections: number, log: FastifyInstance['log']): void {
  const transport = poolTo(sink, connections);
  const send = async ({ id, data }: { id?: string | undefined; data: SendMailOptions }) => {
    const { from, to, subject, text, html } = data;
    const { response } = await transport.sendMail({ from, to, subject, text, html });
    log.info({ id, response }, 'Message sent');
  };
  new Worker('mail', send, { connection: connectionTo(redisUrl), concurrency: connections });
}
