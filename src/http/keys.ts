import type { FastifyInstance, FastifyReply } from 'fastify';
import type { FastifyZodOpenApiTypeProvider } from 'fastify-zod-openapi';
import type { KeysApi } from '../gateway/api.ts';
import type { KeyView } from '../gateway/api-key.ts';
import type { KeyOutcome } from '../gateway/keys.ts';
import { callerOf } from './auth.ts';
import {
  changeKeySchema,
  createKeySchema,
  listKeysSchema,
  readKeySchema,
  revokeKeySchema,
  rotateKeySchema,
} from './key-operations.ts';
import { sendProblem } from './problem.ts';
import { keyChange, newKey, rotation, wholeKeyErrors } from './schemas/key.ts';
import { bodyValidator, unchecked } from './validation.ts';

const operators = { permissions: ['operate'] } as const;
const RATE_FIELDS = ['perMinute', 'burst'];
/** Of a key that there is. */
const FIXED = ['scopes', 'mode'];
const MAKE_ANOTHER = 'it is fixed when a key is made: make another key, and revoke this one.';

/** API keys, for operators. */
export function keyRoutes(scope: FastifyInstance, keys: KeysApi, now: () => number): void {
  const routes = scope.withTypeProvider<FastifyZodOpenApiTypeProvider>();
  const fieldsOf = (names: object) => (path: readonly PropertyKey[]) =>
    path.length === 0 ? Object.keys(names) : RATE_FIELDS;
  const wholeErrors = (received: unknown) => wholeKeyErrors(received, now());
  const checkNew = bodyValidator(newKey, { fieldNames: fieldsOf(newKey.shape), wholeErrors });
  const checkChange = bodyValidator(keyChange, {
    fieldNames: fieldsOf(keyChange.shape),
    advice: (_path, name) => (FIXED.includes(name) ? MAKE_ANOTHER : undefined),
    wholeErrors,
  });
  const checkRotation = bodyValidator(rotation, { fieldNames: () => ['graceMinutes'], wholeErrors: () => [] });

  routes.post('/keys', {
    config: operators,
    schema: createKeySchema(),
    validatorCompiler: ({ httpPart }) => (httpPart === 'body' ? checkNew : unchecked),
    handler: async (request, reply) => {
      const key = await keys.create(request.body, callerOf(request).id);
      return sendKey(reply.code(201).header('location', `/v1/keys/${key.id}`), { kind: 'done', key });
    },
  });

  routes.get('/keys', {
    config: operators,
    schema: listKeysSchema(),
    handler: async (_request, reply) => sendList(reply, await keys.list()),
  });

  routes.get('/keys/:id', {
    config: operators,
    schema: readKeySchema(),
    validatorCompiler: () => unchecked,
    handler: async (request, reply) => {
      const key = await keys.read(request.params.id);
      return sendKey(reply, key ? { kind: 'done', key } : { kind: 'unknown' });
    },
  });

  routes.patch('/keys/:id', {
    config: operators,
    schema: changeKeySchema(),
    validatorCompiler: ({ httpPart }) => (httpPart === 'body' ? checkChange : unchecked),
    handler: async (request, reply) =>
      sendKey(reply, await keys.change(request.params.id, request.body, callerOf(request).id)),
  });

  routes.post('/keys/:id/rotate', {
    config: operators,
    schema: rotateKeySchema(),
    validatorCompiler: ({ httpPart }) =>
      httpPart === 'body' ? (body: unknown = {}) => checkRotation(body) : unchecked,
    handler: async (request, reply) => {
      const grace = (request.body?.graceMinutes ?? 0) * 60_000;
      return sendKey(reply, await keys.rotate(request.params.id, grace, callerOf(request).id));
    },
  });

  routes.delete('/keys/:id', {
    config: operators,
    schema: revokeKeySchema(),
    validatorCompiler: () => unchecked,
    handler: async (request, reply) => sendKey(reply, await keys.revoke(request.params.id, callerOf(request).id)),
  });
}

/** Loose schemas describe the answers for clients; what is sent is the view itself. */
function sendKey(reply: FastifyReply, outcome: KeyOutcome<KeyView>): FastifyReply {
  if (outcome.kind === 'done') return reply.send(outcome.key);
  return sendProblem(reply, outcome.kind === 'unknown' ? 'key_not_found' : 'key_revoked');
}

function sendList(reply: FastifyReply, keys: KeyView[]): FastifyReply {
  return reply.send({ keys });
}
