import swagger, { type SwaggerTransformObject } from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import {
  fastifyZodOpenApiPlugin,
  fastifyZodOpenApiTransform,
  fastifyZodOpenApiTransformObject,
} from 'fastify-zod-openapi';
import { withAdditions } from './document-additions.ts';
import { DOCS_CSP } from './security-headers.ts';
import { withWebhooks } from './webhook-document.ts';

/** For services of one organisation: `x-internal` is how OWASP's rules want to be told. */
const INTERNAL_SERVER = { url: '/', 'x-internal': true };

const DESCRIPTION = `Postroom takes messages over HTTP and delivers them through Microsoft 365 mailboxes by authenticated SMTP, within their limits.

- \`POST /v1/messages\` answers 202 once the message is on disk. It is then sent as soon as its mailbox may.
- \`GET /v1/messages/{id}\` says where it stands, what Microsoft said word for word, what that means and what happens next.
- \`sent\` means that Microsoft answered 250 after the final dot. It is not a proof of delivery.
- Errors are problems (RFC 9457) with a stable \`code\`; those about a body name each field by its JSON pointer.
- Answers may gain members; ignore those that you do not know. Requests may not have unknown ones.
- In a request, \`null\` is the same as leaving the field out, save where the field gives it a meaning of its own.`;

/** Collects the document from the routes that are added after it. */
export async function documentRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(fastifyZodOpenApiPlugin);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Postroom',
        summary: 'A REST email gateway for Microsoft 365.',
        description: DESCRIPTION,
        version,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [INTERNAL_SERVER],
      security: [{ apiKey: [] }, { entraToken: [] }],
      tags: [
        { name: 'Messages', description: 'Sending, and what became of it.' },
        { name: 'Webhooks', description: 'Being told what becomes of messages, instead of asking.' },
        { name: 'Mailboxes', description: 'For operators: what each mailbox does, and a hand on it.' },
        { name: 'Keys', description: 'For operators: who may call, and what they may do.' },
        { name: 'Health', description: 'For load balancers and orchestrators.' },
        { name: 'Reference', description: 'What the words of the API mean.' },
      ],
      components: {
        securitySchemes: {
          apiKey: {
            type: 'http',
            scheme: 'bearer',
            description:
              'An API key, as `Authorization: Bearer <key>`. What is sent with a test key (`pr_test_…`) goes into a sandbox and never to Microsoft; every answer to one has the header `Postroom-Test: true`.',
          },
          entraToken: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description:
              'Where it is configured: an access token that Entra ID gave an application (client credentials), with the app roles `Messages.Send`, `Messages.Read` or `Postroom.Operate` for the scopes `send`, `read` and `operate`; verified as RFC8725 (JWT best practices) asks.',
          },
        },
      },
    },
    transform: fastifyZodOpenApiTransform,
    transformObject: (collected) =>
      withWebhooks(withAdditions(withBodyExamples(fastifyZodOpenApiTransformObject(collected)))),
  });
}

/** `/openapi.json`, made once. */
export function serveDocument(app: FastifyInstance): void {
  let document: string | undefined;
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    document ??= JSON.stringify(app.swagger());
    return reply.type('application/json').send(document);
  });
}

/** Swagger UI at `/docs`. It forgets the key with the page: a key in the browser's storage outlives its use. */
export async function serveSwaggerUi(app: FastifyInstance): Promise<void> {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: DOCS_CSP,
    theme: { title: 'Postroom API' },
    uiConfig: {
      deepLinking: true,
      displayOperationId: true,
      displayRequestDuration: true,
      defaultModelsExpandDepth: 0,
      docExpansion: 'list',
      // Without the bar that offers to load other documents, which the page's policy would refuse.
      layout: 'BaseLayout',
      persistAuthorization: false,
      tryItOutEnabled: true,
    },
  });
}

/** @fastify/swagger drops the examples of a body but keeps `x-…` members of an operation: they travel in this one. */
export const BODY_EXAMPLES = 'x-body-examples';

type Document = ReturnType<SwaggerTransformObject>;

interface Operation {
  requestBody?: { content?: Record<string, { examples?: unknown }> };
  [BODY_EXAMPLES]?: unknown;
}

function withBodyExamples(document: Document): Document {
  for (const path of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(path as Record<string, Operation>)) {
      const media = operation.requestBody?.content?.['application/json'];
      if (media && operation[BODY_EXAMPLES]) media.examples = operation[BODY_EXAMPLES];
      delete operation[BODY_EXAMPLES];
    }
  }
  return document;
}
