import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import type { Acceptance, Api, Reading } from '../gateway/api.ts';
import type { MessageView } from '../gateway/view.ts';
import type { Submission } from '../mail/message.ts';
import { acceptUploads } from './accept-upload.ts';
import { callerOf } from './auth.ts';
import type { BodyMemory } from './body-memory.ts';
import { namesEtag, weakEtag } from './etag.ts';
import { foreignAdvice } from './foreign-names.ts';
import { answerAsEarlier, noteIdempotency, sendConflict } from './idempotency.ts';
import { readWhenChanged } from './long-poll.ts';
import { isMessageId } from './message-id.ts';
import { readMessageSchema, sendMessageSchema } from './message-operations.ts';
import { type OutcomeTools, outcomeOf, readWait } from './outcome.ts';
import { applied, preferredWait } from './prefer.ts';
import { type ProblemError, sendProblem } from './problem.ts';
import { refusalOf } from './refusal.ts';
import { retryAfter } from './retry-after.ts';
import { sendBodyValidator } from './send-body.ts';
import { queryValidator, unchecked } from './validation.ts';

export interface MessageRoutes {
  api: Api;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Addresses for the example in the document. */
  example: { from: string; to: string };
  /** Room for large bodies. */
  memory: BodyMemory;
  /** The most that any mailbox may send, after encoding. */
  messageBytes: number;
}

export function messageRoutes(scope: FastifyInstance, options: MessageRoutes): void {
  const { api } = options;
  scope.decorateRequest('idempotency', null);
  const routes = scope.withTypeProvider<FastifyZodOpenApiTypeProvider>();
  const waiting = new Set<AbortController>();
  // A scope of its own, since no other route takes forms.
  scope.register((sending, _options, done) => {
    readForms(sending);
    sendRoute(sending, options, waiting);
    done();
  });

  const checkQuery = queryValidator(readMessageSchema.querystring);
  scope.addHook('preClose', async () => {
    for (const stop of waiting) stop.abort();
  });

  routes.get('/messages/:id', {
    config: { permissions: ['read', 'operate'], mayWait: asksToWait },
    schema: readMessageSchema,
    validatorCompiler: ({ httpPart }) => (httpPart === 'querystring' ? checkQuery : unchecked),
    handler: async (request, reply) => {
      const { id } = request.params;
      if (!isMessageId(id)) return sendProblem(reply, 'message_not_found');
      const { wait } = request.query;
      const preferred = wait === undefined ? preferredWait(request) : undefined;
      if (preferred !== undefined) reply.headers(applied(preferred));
      const stop = new AbortController();
      waiting.add(stop);
      reply.raw.once('close', () => stop.abort());
      try {
        return sendReading(
          request,
          reply,
          await readWhenChanged(api, callerOf(request), id, {
            milliseconds: (wait ?? preferred ?? 0) * 1_000,
            ifNoneMatch: request.headers['if-none-match'],
            onWait: () => request.place?.leave(),
            stop,
          }),
        );
      } finally {
        waiting.delete(stop);
        stop.abort();
      }
    },
  });
}

/**
 * The plugin without its hooks: they tidy up files that it has saved itself, which `upload.ts` never asks of it, and are
 * two promises and a listener for every message.
 */
function readForms(scope: FastifyInstance): void {
  const hookless: FastifyInstance = Object.create(scope, { addHook: { value: () => hookless } });
  multipart(hookless, {}, () => undefined);
}

/** It is not checked yet: what is no number will be refused. */
function asksToWait(request: FastifyRequest): boolean {
  const { wait } = request.query as { wait?: unknown };
  return wait === undefined ? (preferredWait(request) ?? 0) > 0 : wait !== '0';
}

function sendRoute(scope: FastifyInstance, options: MessageRoutes, waiting: Set<AbortController>): void {
  const { api, now, example, memory, messageBytes } = options;
  const schema = sendMessageSchema(example);
  const check = sendBodyValidator(now);
  const answer = (reply: FastifyReply, acceptance: Acceptance) =>
    sendAcceptance({ api, waiting, now }, reply, acceptance);
  scope.decorateRequest('waitMilliseconds', 0);
  scope.decorateRequest('preferredWait', undefined);
  scope.withTypeProvider<FastifyZodOpenApiTypeProvider>().post('/messages', {
    config: { permissions: ['send'], holdsMessages: true },
    schema,
    validatorCompiler: ({ httpPart }) => (httpPart === 'body' ? check : unchecked),
    preValidation: [
      readWait(queryValidator(schema.querystring, (name) => foreignAdvice('message', name))),
      acceptUploads({ api, check, memory, messageBytes, answer }),
      noteIdempotency(api, answer),
    ],
    // What is wrong with the body is for the handler to say, if there is no earlier answer.
    attachValidation: true,
    handler: async (request, reply) => {
      const { validationError, idempotency } = request;
      if (validationError) {
        if (await answerAsEarlier(api, request, reply, answer)) return reply;
        throw validationError;
      }
      const acceptance = await api.accept(callerOf(request), request.body as Submission, idempotency ?? undefined);
      if (acceptance.kind === 'refused' && (await answerAsEarlier(api, request, reply, answer))) return reply;
      return answer(reply, acceptance);
    },
  });
}

type AnswerTools = OutcomeTools & Pick<MessageRoutes, 'now'>;

type Answered = FastifyReply | Promise<FastifyReply>;

function sendAcceptance(tools: AnswerTools, reply: FastifyReply, acceptance: Acceptance): Answered {
  switch (acceptance.kind) {
    case 'accepted':
      return sendOutcome(tools, reply, acceptance.message);
    case 'replayed':
      reply.header('idempotent-replayed', 'true');
      return sendOutcome(tools, reply, acceptance.message);
    case 'conflict':
      return sendConflict(reply, acceptance.messageId);
    case 'refused':
      return sendRefusal(reply, refusalOf(acceptance));
  }
}

function sendOutcome(tools: AnswerTools, reply: FastifyReply, message: MessageView): Answered {
  const outcome = outcomeOf(tools, reply, message);
  if (outcome instanceof Promise) return outcome.then((known) => sendAccepted(tools, reply, known));
  return sendAccepted(tools, reply, outcome);
}

function sendAccepted({ now }: AnswerTools, reply: FastifyReply, message: MessageView): FastifyReply {
  const { preferredWait: preferred } = reply.request;
  if (preferred !== undefined) reply.headers(applied(preferred));
  const worthLooking = retryAfter(message, now);
  if (worthLooking !== undefined) reply.header('retry-after', worthLooking);
  return reply.code(202).header('location', `/v1/messages/${message.id}`).send(message);
}

function sendRefusal(reply: FastifyReply, { problem, particulars }: ProblemError): FastifyReply {
  return sendProblem(reply, problem, particulars);
}

function sendReading(request: FastifyRequest, reply: FastifyReply, reading: Reading | undefined): FastifyReply {
  if (!reading) return sendProblem(reply, 'message_not_found');
  reply.header('etag', weakEtag(reading.etag));
  if (namesEtag(request.headers['if-none-match'], reading.etag)) return reply.code(304).send();
  return reply.send(reading.message);
}
