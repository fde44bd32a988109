import type { FastifyInstance } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import { z } from 'zod';
import type { Api, FieldError } from '../gateway/api.ts';
import { callerOf } from './auth.ts';
import { BODY_EXAMPLES } from './document.ts';
import { expeditedExample, RESCHEDULES, rescheduledExample } from './examples-schedule.ts';
import { foreignAdvice } from './foreign-names.ts';
import { sendChanged } from './message-changes.ts';
import { ANY_BODY, problemResponses } from './problem-responses.ts';
import { etagHeader, message } from './schemas/message.ts';
import { givenTime, MAX_DAYS_AHEAD, tooFarAhead, withoutPattern } from './schemas/time.ts';
import { bodyValidator, unchecked } from './validation.ts';

const params = z.object({ id: z.string().meta({ description: 'The `id` of the message.' }) });
const senders = { permissions: ['send', 'operate'] } as const;

const schedule = z
  .strictObject({
    sendAt: givenTime.nullable().meta({
      override: ({ jsonSchema }) => {
        for (const each of jsonSchema.anyOf ?? []) withoutPattern({ jsonSchema: each as { pattern?: unknown } });
      },
      description: `At most ${MAX_DAYS_AHEAD} days ahead. \`null\`, or a time that has passed: now.`,
    }),
  })
  .meta({ id: 'Schedule', description: 'When a scheduled message is to go.' });

/** When a waiting message goes: at another time, or before the others. */
export function messageScheduleRoutes(scope: FastifyInstance, api: Api, now: () => number): void {
  const routes = scope.withTypeProvider<FastifyZodOpenApiTypeProvider>();
  const checkBody = bodyValidator(schedule, {
    fieldNames: () => ['sendAt'],
    advice: (_, name) => foreignAdvice('schedule', name),
    wholeErrors: (received) => scheduleErrors(received, now()),
  });

  routes.patch('/messages/:id', {
    config: senders,
    schema: rescheduleSchema(),
    validatorCompiler: ({ httpPart }) => (httpPart === 'body' ? checkBody : unchecked),
    handler: async (request, reply) => {
      const { sendAt } = request.body;
      const time = sendAt === null ? null : Date.parse(sendAt);
      return sendChanged(api, request, reply, await api.reschedule(callerOf(request), request.params.id, time));
    },
  });

  routes.post('/messages/:id/expedite', {
    config: senders,
    schema: expediteSchema(),
    validatorCompiler: () => unchecked,
    handler: async (request, reply) =>
      sendChanged(api, request, reply, await api.expedite(callerOf(request), request.params.id)),
  });
}

function rescheduleSchema() {
  return {
    tags: ['Messages'],
    operationId: 'rescheduleMessage',
    summary: 'Change when a scheduled message goes',
    description:
      'To an earlier or a later time. Where its end was not fixed by `expiresAt`, it moves along. A message that is not `scheduled` any more is left alone, and the answer is 409 with its present status.',
    params,
    body: { required: true, content: { 'application/json': { schema: schedule } } },
    [BODY_EXAMPLES]: RESCHEDULES,
    response: {
      200: changed(rescheduledExample()),
      ...problemResponses(...ANY_BODY, 'invalid_fields', 'message_not_found', 'too_late'),
    },
  };
}

function expediteSchema() {
  return {
    tags: ['Messages'],
    operationId: 'expediteMessage',
    summary: 'Have a waiting message go next',
    description:
      'Before all others that wait for its mailbox, save the few that are in hand already and those expedited earlier. A `scheduled` or `deferred` one does not wait for its time. The pace and a hold of the mailbox are kept. Once an attempt is running or all is over, the answer is 409.',
    params,
    response: { 200: changed(expeditedExample()), ...problemResponses(...ANY_BODY, 'message_not_found', 'too_late') },
  };
}

function changed(examples: Record<string, { summary: string; value: unknown }>) {
  return {
    description: 'The message as it is now.',
    headers: etagHeader(),
    content: { 'application/json': { schema: message, examples } },
  };
}

function scheduleErrors(received: unknown, now: number): FieldError[] {
  const { sendAt } = (received ?? {}) as { sendAt?: unknown };
  const unfit = typeof sendAt === 'string' ? tooFarAhead(Date.parse(sendAt), now) : undefined;
  return unfit ? [{ pointer: '/sendAt', message: unfit }] : [];
}
