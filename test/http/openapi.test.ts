import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { CATEGORIES } from '../../src/failure/failure.ts';
import { buildOpenApi } from '../../src/http/openapi.ts';
import { PROBLEMS } from '../../src/http/problem.ts';
import { message } from '../../src/http/schemas/message.ts';
import { problem } from '../../src/http/schemas/problem.ts';
import { sendMessage } from '../../src/http/schemas/send-message.ts';
import { sendRaw } from '../../src/http/schemas/send-raw.ts';
import { STATUSES } from '../../src/mail/status.ts';
import { startHttpService } from '../support/http-service.ts';

interface Media {
  schema: object;
  examples?: Record<string, { summary: string; value: unknown }>;
}
interface Operation {
  operationId: string;
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { description: string; content?: Record<string, Media> }>;
}
interface OpenApi {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, { description?: string; properties?: object }>;
    examples: Record<string, { summary: string; value: unknown }>;
  };
}

let document: OpenApi;
beforeAll(async () => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  document = (await buildOpenApi(version)) as OpenApi;
});

const operation = (method: string, path: string) => document.paths[path]?.[method] as Operation;
/** Those of problems are in the components, under their codes. */
const examplesOf = (media: Media | undefined) =>
  Object.entries(media?.examples ?? {}).map(
    ([name, example]) => [name, document.components.examples[name] ?? example] as const,
  );

test('the committed document is what the code says; else run `npm run openapi`', async () => {
  expect(JSON.parse(await readFile('openapi/postroom.json', 'utf8'))).toEqual(JSON.parse(JSON.stringify(document)));
});

test('Redocly finds nothing to complain about', async () => {
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  const lint = promisify(execFile)('node_modules/.bin/redocly', ['lint', 'openapi/postroom.json'], { env });
  await expect(lint).resolves.toBeDefined();
}, 60_000);

test('Spectral finds nothing that .spectral.yaml does not give a reason for, with the rules of OWASP too', async () => {
  const lint = promisify(execFile)('node_modules/.bin/spectral', [
    'lint',
    'openapi/postroom.json',
    '--fail-severity=hint',
  ]);
  await expect(lint.catch(({ stdout }) => Promise.reject(new Error(stdout)))).resolves.toBeDefined();
}, 60_000);

test('the service serves the same document', async () => {
  await using service = await startHttpService();
  const served = (await (await service.get('/openapi.json')).json()) as OpenApi;
  expect(Object.keys(served.paths)).toEqual(Object.keys(document.paths));
  expect(served.components).toEqual(JSON.parse(JSON.stringify(document.components)));
});

test('every operation has an id of its own', () => {
  const ids = Object.values(document.paths).flatMap((path) =>
    Object.values(path).map(({ operationId }) => operationId),
  );
  expect(ids.toSorted()).toEqual([
    'cancelMessage',
    'changeKey',
    'countMessages',
    'createKey',
    'createWebhook',
    'deleteWebhook',
    'expediteMessage',
    'explain',
    'getKey',
    'getLiveness',
    'getMailbox',
    'getMessage',
    'getProblemDefinition',
    'getReadiness',
    'getWebhook',
    'holdMailbox',
    'listKeys',
    'listMailboxes',
    'listMessageEvents',
    'listMessages',
    'listWebhookDeliveries',
    'listWebhooks',
    'releaseMailbox',
    'replayWebhook',
    'rescheduleMessage',
    'resolveMessage',
    'retryMessage',
    'retryMessages',
    'revokeKey',
    'rotateKey',
    'rotateWebhookSecret',
    'sendBatch',
    'sendMessage',
    'testWebhook',
    'updateWebhook',
    'validateMessage',
    'verifyMailbox',
  ]);
});

test('the nouns are components', () => {
  const nouns = [
    'SendMessage',
    'AddressInput',
    'Address',
    'AddressList',
    'Attachment',
    'Message',
    'Recipient',
    'Attempt',
    'Failure',
    'Reply',
    'Status',
    'FailureCategory',
    'Problem',
    'ProblemItem',
    'ProblemCode',
  ];
  expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining(nouns));
});

test('every status, category and problem code is explained in the words of the code', () => {
  const { Status, FailureCategory, ProblemCode } = document.components.schemas;
  for (const [word, meaning] of Object.entries(STATUSES))
    expect(Status?.description).toContain(`\`${word}\`: ${meaning}`);
  for (const [word, meaning] of Object.entries(CATEGORIES))
    expect(FailureCategory?.description).toContain(`\`${word}\`: ${meaning}`);
  for (const [word, { status, description }] of Object.entries(PROBLEMS))
    expect(ProblemCode?.description).toContain(`\`${word}\` (${status}): ${description}`);
});

describe('the examples are true', () => {
  test('those of requests are accepted', async () => {
    await using service = await startHttpService();
    const examples = examplesOf(operation('post', '/v1/messages').requestBody?.content['application/json']);
    expect(examples.length).toBeGreaterThan(2);
    for (const [name, { value }] of examples) {
      const schema = name === 'raw' ? sendRaw : sendMessage;
      expect([name, schema.safeParse(value).error]).toEqual([name, undefined]);
      expect([name, (await service.post(value)).status]).toEqual([name, 202]);
    }
  });

  test('those of messages have the form of a message, one for each way it can stand', () => {
    const read = operation('get', '/v1/messages/{id}').responses['200']?.content?.['application/json'];
    for (const [name, { value }] of examplesOf(read)) {
      expect([name, message.safeParse(value).error]).toEqual([name, undefined]);
      expect((value as { status: string }).status).toBe(name);
    }
    const names = examplesOf(read).map(([name]) => name);
    expect(names.toSorted()).toEqual([
      'deferred',
      'failed',
      'held',
      'partiallySent',
      'queued',
      'scheduled',
      'sent',
      'unconfirmed',
    ]);
  });

  test('every problem code has one, under its status', () => {
    const shown = new Set<string>();
    for (const { responses } of Object.values(document.paths).flatMap((path) => Object.values(path))) {
      for (const [status, { content }] of Object.entries(responses)) {
        for (const [code, { value }] of examplesOf(content?.['application/problem+json'])) {
          expect(problem.safeParse(value).error).toBeUndefined();
          expect(value).toMatchObject({ code, status: Number(status) });
          shown.add(code);
        }
      }
    }
    expect([...shown].toSorted()).toEqual(
      Object.keys(PROBLEMS)
        .filter((code) => code !== 'method_not_allowed')
        .toSorted(),
    );
  });
});

test('what the service answers has the form that the document promises', async () => {
  await using service = await startHttpService();
  const accepted = await service.post({ from: 'a@b.example', to: 'a@b.example', subject: '', text: '' });
  const body: unknown = await accepted.json();
  expect(message.safeParse(body).error).toBeUndefined();
  expect(problem.safeParse(await (await service.get('/nope')).json()).error).toBeUndefined();
});

test('the example carries the addresses that work here', async () => {
  await using service = await startHttpService({ exampleFrom: 'demo@sandbox.test', exampleTo: 'you@sandbox.test' });
  const served = (await (await service.get('/openapi.json')).json()) as OpenApi;
  const [[, first] = []] = examplesOf(served.paths['/v1/messages']?.post?.requestBody?.content['application/json']);
  expect(first?.value).toMatchObject({ from: 'demo@sandbox.test', to: ['you@sandbox.test'] });
});

describe('what Swagger UI makes of the document', () => {
  test('begins with sending a message', () => {
    expect(Object.keys(document.paths)[0]).toBe('/v1/messages');
    expect(Object.keys(document.paths['/v1/messages'] ?? {})[0]).toBe('post');
    const { description } = operation('post', '/v1/messages').requestBody as { description?: string };
    expect(description).toMatch(/^The message as JSON/);
  });

  /** Else it fills in every field at once, with "string" and today: most such bodies are refused, or do harm. */
  test('offers an example of every body that has more than one field', () => {
    const without = Object.values(document.paths)
      .flatMap((item) => Object.values(item))
      .filter(({ requestBody }) => {
        const { schema, examples } = requestBody?.content['application/json'] ?? {};
        const [, name = ''] = /([^/]+)$/.exec((schema as { $ref?: string } | undefined)?.$ref ?? '') ?? [];
        const fields = Object.keys(document.components.schemas[name]?.properties ?? {});
        return fields.length > 1 && !examples;
      });
    expect(without.map(({ operationId }) => operationId)).toEqual([]);
  });
});
