import type { FastifyInstance, FastifyReply } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import { classifyText } from '../failure/classify-text.ts';
import type { Failure } from '../failure/failure.ts';
import { BODY_EXAMPLES } from './document.ts';
import { foreignAdvice } from './foreign-names.ts';
import { ANY_BODY, problemResponses } from './problem-responses.ts';
import { explainRequest, explanation } from './schemas/explain.ts';
import { bodyValidator, unchecked } from './validation.ts';

const SMTP_AUTH_DISABLED =
  '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.';
const FIELDS = ['text', 'stage'];

/** `POST /v1/explain`: asks nobody. @param now milliseconds since the epoch */
export function explainRoutes(scope: FastifyInstance, now: () => number): void {
  const checkBody = bodyValidator(explainRequest, {
    fieldNames: () => FIELDS,
    advice: (_, name) => foreignAdvice('explain', name),
    wholeErrors: () => [],
  });
  scope.withTypeProvider<FastifyZodOpenApiTypeProvider>().post('/explain', {
    config: { permissions: ['read', 'send', 'operate'] },
    schema: {
      tags: ['Reference'],
      operationId: 'explain',
      summary: 'Explain a reply or an error',
      description:
        'What any SMTP reply, log line or error of Microsoft 365 or Entra ID means, whose fault it is, what Postroom would do and what a person can do. Nothing is sent or kept.',
      body: { required: true, content: { 'application/json': { schema: explainRequest } } },
      [BODY_EXAMPLES]: {
        reply: { summary: 'A reply of Microsoft 365', value: { text: SMTP_AUTH_DISABLED } },
        line: { summary: 'A line of a log, met at login', value: { text: SMTP_AUTH_DISABLED, stage: 'auth' } },
      },
      response: {
        200: {
          description: 'What it means.',
          content: { 'application/json': { schema: explanation, examples: example() } },
        },
        ...problemResponses(...ANY_BODY, 'invalid_fields'),
      },
    },
    validatorCompiler: ({ httpPart }) => (httpPart === 'body' ? checkBody : unchecked),
    handler: async (request, reply) => {
      const { text, stage } = request.body;
      return sendFailure(reply, classifyText(text, new Date(now()), stage));
    },
  });
}

/** Loose schemas describe the answer for clients; what is sent is the failure itself. */
function sendFailure(reply: FastifyReply, failure: Failure): FastifyReply {
  return reply.send({ failure });
}

/** Judged as a real one is, so that the document cannot promise other words than callers get. */
function example() {
  const value = { failure: classifyText(SMTP_AUTH_DISABLED, new Date('2026-01-31T09:30:00Z')) };
  return { smtpAuthDisabled: { summary: 'SMTP AUTH is switched off', value } };
}
