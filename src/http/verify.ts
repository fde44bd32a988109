import type { FastifyInstance, FastifyReply } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import { z } from 'zod';
import type { Api } from '../gateway/api.ts';
import type { Examination } from '../gateway/examination.ts';
import { sendProblem } from './problem.ts';
import { ANY_BODY, problemResponses } from './problem-responses.ts';
import { examination, verifyRequest } from './schemas/examination.ts';
import { bodyValidator, unchecked } from './validation.ts';

/** An examination of a set-up in which everything is silent takes minutes; most take a second. */
const RETRY_AFTER_SECONDS = 10;

/** `POST /v1/mailboxes/{id}/verify`. An examination ends with its caller's connection, and when the server closes. */
export function verifyRoutes(scope: FastifyInstance, api: Pick<Api, 'verify'>): void {
  const running = new Set<AbortController>();
  scope.addHook('preClose', async () => {
    for (const stop of running) stop.abort();
  });
  const checkBody = bodyValidator(verifyRequest, { fieldNames: () => ['send'], wholeErrors: () => [] });

  scope.withTypeProvider<FastifyZodOpenApiTypeProvider>().post('/mailboxes/:id/verify', {
    config: { permissions: ['operate'] },
    schema: verifySchema(),
    validatorCompiler: ({ httpPart }) => (httpPart === 'body' ? (body: unknown = {}) => checkBody(body) : unchecked),
    handler: async (request, reply) => {
      const stop = new AbortController();
      running.add(stop);
      reply.raw.once('close', () => stop.abort());
      try {
        const send = request.body?.send ?? false;
        return answer(reply, await api.verify(request.params.id, { send, signal: stop.signal }));
      } finally {
        running.delete(stop);
      }
    },
  });
}

function answer(reply: FastifyReply, verification: Awaited<ReturnType<Api['verify']>>): FastifyReply {
  if (!verification) return sendProblem(reply, 'mailbox_not_found');
  if (verification.kind === 'examined') return reply.send(verification.examination);
  return sendProblem(reply, 'examination_running', { headers: { 'retry-after': String(RETRY_AFTER_SECONDS) } });
}

/** Made anew for every server, which each note in it what they have made of it. */
const verifySchema = () => ({
  tags: ['Mailboxes'],
  operationId: 'verifyMailbox',
  summary: 'Find out why a mailbox does not send',
  description:
    'Examines its whole set-up, from DNS to Send As, as `postroom doctor` does, and answers when it is done: usually within seconds, after minutes where nothing answers. One at a time for each mailbox.',
  params: z.object({ id: z.string().meta({ description: 'The `id` of the mailbox.' }) }),
  body: { required: false, content: { 'application/json': { schema: verifyRequest } } },
  response: {
    200: {
      description: 'What was found, whether it is healthy or not.',
      content: { 'application/json': { schema: examination, examples: examples() } },
    },
    ...problemResponses(...ANY_BODY, 'invalid_fields', 'mailbox_not_found', 'examination_running'),
  },
});

function examples() {
  const steps: Examination['steps'] = [
    { id: 'dns', title: 'DNS of smtp.office365.com', status: 'ok', finding: '52.97.201.242', milliseconds: 12 },
    {
      id: 'authMechanisms',
      title: 'Ways to log in offered',
      status: 'fail',
      finding: 'None: the server does not let anybody log in.',
      remedy: 'Check host and port (smtp.office365.com, 587).',
      milliseconds: 0,
    },
    {
      id: 'auth',
      title: 'Login',
      status: 'skipped',
      finding: 'Not looked at, because of “Ways to log in offered” above.',
      milliseconds: 0,
    },
  ];
  return { unhealthy: { summary: 'Something failed', value: { mailbox: 'billing', healthy: false, steps } } };
}
