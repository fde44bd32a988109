import { z } from 'zod';
import type { KeyView } from '../gateway/api-key.ts';
import { BODY_EXAMPLES } from './document.ts';
import { ANY_BODY, problemResponses } from './problem-responses.ts';
import { key, keyChange, keyList, newKey, rotation, shownKey } from './schemas/key.ts';

const params = z.object({ id: z.string().meta({ description: 'The `id` of the key.' }) });
const JSON_BODY = [...ANY_BODY, 'invalid_fields'] as const;

const EXAMPLE: KeyView = {
  id: 'key_01m84xrb34zmpnzaa9kdknmj8n',
  name: 'billing',
  mode: 'live',
  state: 'active',
  scopes: ['send', 'read'],
  from: ['billing@contoso.com', '*@invoices.contoso.com'],
  rate: { perMinute: 600, burst: 100 },
  hint: 'pr_live_Zk3v',
  createdAt: '2026-01-31T09:30:00.000Z',
  expiresAt: '2026-05-01T00:00:00.000Z',
};
const USED: KeyView = { ...EXAMPLE, lastUsedAt: '2026-02-01T07:12:31.000Z' };
const SECRET = 'pr_live_Zk3v…';

const one = (summary: string, value: unknown) => ({ example: { summary, value } });
const aKey = (description: string, value: KeyView) => ({
  description,
  content: { 'application/json': { schema: key, examples: one('A key', value) } },
});
const withSecret = (description: string, value: KeyView) => ({
  description,
  content: {
    'application/json': { schema: shownKey, examples: one('Its secret, this once', { ...value, secret: SECRET }) },
  },
});

export function createKeySchema() {
  return {
    tags: ['Keys'],
    operationId: 'createKey',
    summary: 'Create an API key',
    description: 'The answer holds the secret, this once; only its hash is kept. It is valid in every process at once.',
    body: { required: true, content: { 'application/json': { schema: newKey } } },
    [BODY_EXAMPLES]: {
      service: {
        summary: 'For a service that sends as two kinds of addresses',
        value: {
          name: 'billing',
          scopes: ['send', 'read'],
          from: ['billing@contoso.com', '*@invoices.contoso.com'],
          rate: { perMinute: 600, burst: 100 },
          expiresAt: '2099-05-01T00:00:00Z',
        },
      },
      staging: {
        summary: 'For a staging environment: no mail to customers',
        value: { name: 'billing-staging', scopes: ['send', 'read'], to: ['*@contoso.com'] },
      },
      test: { summary: 'For tests: nothing leaves', value: { name: 'ci', mode: 'test', scopes: ['send', 'read'] } },
    },
    response: {
      201: {
        ...withSecret('The key, with its secret.', EXAMPLE),
        headers: { Location: { type: 'string', description: 'Path of the key.' } },
      },
      ...problemResponses(...JSON_BODY),
    },
  };
}

export function listKeysSchema() {
  return {
    tags: ['Keys'],
    operationId: 'listKeys',
    summary: 'List the API keys',
    description:
      'Newest first; those that expired or were revoked too, for 90 days. The key of the installation itself is not among them.',
    response: {
      200: {
        description: 'All of them.',
        content: { 'application/json': { schema: keyList, examples: one('One key', { keys: [USED] }) } },
      },
      ...problemResponses(),
    },
  };
}

export function readKeySchema() {
  return {
    tags: ['Keys'],
    operationId: 'getKey',
    summary: 'Read an API key',
    description: 'What it may do, and when it was used last; never its secret.',
    params,
    response: { 200: aKey('The key.', USED), ...problemResponses('key_not_found') },
  };
}

export function changeKeySchema() {
  return {
    tags: ['Keys'],
    operationId: 'changeKey',
    summary: 'Change an API key',
    description: 'Its name, what it may send as and to whom, its rate, its end. Holds at once in every process.',
    params,
    body: { required: true, content: { 'application/json': { schema: keyChange } } },
    [BODY_EXAMPLES]: one('Another rate, and no end', { rate: { perMinute: 1200 }, expiresAt: null }),
    response: {
      200: aKey('The key as it is now.', USED),
      ...problemResponses(...JSON_BODY, 'key_not_found', 'key_revoked'),
    },
  };
}

export function rotateKeySchema() {
  return {
    tags: ['Keys'],
    operationId: 'rotateKey',
    summary: 'Give an API key a new secret',
    description:
      'Its id stays, and with it what it may read and its idempotency keys. The old secret ends at once, or after `graceMinutes`; one that was replaced before ends at once in any case.',
    params,
    body: { required: false, content: { 'application/json': { schema: rotation } } },
    [BODY_EXAMPLES]: one('An hour to change over', { graceMinutes: 60 }),
    response: {
      200: withSecret('The key, with its new secret.', {
        ...USED,
        rotatedAt: '2026-02-01T08:00:00.000Z',
        formerSecretUntil: '2026-02-01T09:00:00.000Z',
      }),
      ...problemResponses(...JSON_BODY, 'key_not_found', 'key_revoked'),
    },
  };
}

export function revokeKeySchema() {
  return {
    tags: ['Keys'],
    operationId: 'revokeKey',
    summary: 'Revoke an API key',
    description:
      'For good, and at once in every process. What it has submitted is sent all the same; its webhooks are told nothing any more.',
    params,
    response: {
      200: aKey('The key, revoked.', { ...USED, state: 'revoked', revokedAt: '2026-02-01T08:00:00.000Z' }),
      ...problemResponses(...ANY_BODY, 'key_not_found'),
    },
  };
}
