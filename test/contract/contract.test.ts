import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startHttpService } from '../support/http-service.ts';
import { KEY } from '../support/postroom.ts';
import { freezeRedis } from '../support/redis-trouble.ts';
import { webhookClient } from '../support/webhook-client.ts';
import { variantsOf, withoutNulls } from './broken.ts';
import { at, document, type Media, type Operation, operations, validator } from './document.ts';
import { judge, met } from './judge.ts';
import { startWorld, type World } from './world.ts';

/**
 * Generated from the OpenAPI document: whatever is asked, right or wrong, each answer must be one that the document
 * declares for that operation, of the declared type and form, and with no member that it does not name.
 */

const validate = validator();
let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const named = operations.map((operation) => [operation.operationId, operation] as const);
const isPublic = ({ security }: Operation) => security?.length === 0;
const withBody = named.filter(([, { requestBody }]) => requestBody);
const withId = named.filter(([, { path }]) => path.includes('{'));

/** Asks one after the other, four at a time, and says what was not as declared. */
async function complaintsOf<T>(asked: T[], ask: (each: T) => Promise<string[]>): Promise<string[]> {
  const complaints: string[] = [];
  const queue = [...asked];
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) complaints.push(...(await ask(next)));
  };
  await Promise.all(Array.from({ length: 4 }, work));
  return complaints;
}

/** Shows every one of them, which an assertion would cut short. */
function expectNone(complaints: string[]): void {
  if (complaints.length > 0) throw new Error(complaints.join('\n'));
}

const tell = (name: string, complaints: string[]) => complaints.map((each) => `${name}: ${each}`);

describe('what is right', () => {
  test.each(named)('%s', async (_id, operation) => {
    for (const { path, body } of await world.good(operation)) {
      const answered = await world.ask(operation.method, path, body);
      expectNone(judge(operation, answered));
      expect(answered.text + answered.status).toMatch(/20\d$/);
    }
  });
});

describe('a body that is wrong in one thing', () => {
  test.each(withBody)('%s', { timeout: 120_000 }, async (_id, operation) => {
    const schema = operation.requestBody?.content['application/json']?.schema;
    const pointer = operation.pointer + at('requestBody', 'content', 'application/json', 'schema');
    const [{ path } = { path: '' }] = await world.good(operation);
    const variants = world.bodiesFor(operation).flatMap((body) => variantsOf(body, schema));
    const complaints = await complaintsOf(variants, async ({ name, value }) => {
      const answered = await world.ask(operation.method, path, value);
      const wrong = validate(pointer, withoutNulls(value, schema));
      // A batch refuses each of its messages by itself.
      const isTaken = answered.status < 400 && !answered.text.includes('"status":"refused"');
      const taken = wrong && isTaken ? [`taken, though ${wrong}`] : [];
      return tell(name, [...judge(operation, answered), ...taken]);
    });
    expectNone(complaints);
  });

  test.each(withBody)('or is no JSON, or of another type: %s', async (_id, operation) => {
    const [{ path, body } = { path: '', body: {} }] = await world.good(operation);
    const json = JSON.stringify(body);
    const wrong: [string, number[], Record<string, string>][] = [
      [json.slice(0, -1), [400], {}],
      ['"\ud800', [400], {}],
      [`[${'['.repeat(200_000)}`, [400, 422], {}],
      [`{${'"a":1,'.repeat(20_000)}"b":1}`, [400, 422], {}],
      [json, [415], { 'content-type': 'text/plain' }],
      [json, [415], { 'content-type': 'application/xml' }],
      [json, [415], { 'content-type': 'application/x-www-form-urlencoded' }],
      [json, [400, 415], { 'content-type': 'multipart/form-data' }],
      [json, [415], { 'content-encoding': 'gzip' }],
      ['x'.repeat(1_000_000), [400, 413], {}],
    ];
    const complaints = await complaintsOf(wrong, async ([text, statuses, headers]) => {
      const answered = await world.ask(operation.method, path, text, headers);
      const other = statuses.includes(answered.status) ? [] : [`${answered.status}, not ${statuses}`];
      return tell(text.slice(0, 20) + JSON.stringify(headers), [...judge(operation, answered), ...other]);
    });
    expectNone(complaints);
  });
});

describe('a parameter that is wrong', () => {
  const values = ['', '%20', 'x', '-1', '1e9', '1.5', '%00', '%ff', 'x'.repeat(1_000), '%7B%7D', '__proto__'];

  test.each(named)('in the query of %s', async (_id, operation) => {
    const [{ path, body } = { path: '', body: undefined }] = await world.good(operation);
    const names = (operation.parameters ?? []).filter((each) => each.in === 'query').map(({ name }) => name);
    const queries = names.flatMap((name) => [
      ...values.map((value) => `${name}=${value}`),
      `${name}=1&${name}=2`,
      `${name}[]=1`,
    ]);
    const complaints = await complaintsOf(
      queries.filter((query) => !/^wait=(1e9|-1)$/.test(query)),
      async (query) => {
        return tell(query, judge(operation, await world.ask(operation.method, `${path}?${query}`, body)));
      },
    );
    const unknown = await world.ask(operation.method, `${path}?unheardOf=1`, body);
    expect(unknown.status).toBe(400);
    expectNone([...complaints, ...judge(operation, unknown)]);
  });

  const HOSTILE = [
    'nope',
    'x'.repeat(64),
    'x'.repeat(500),
    '__proto__',
    'constructor',
    '..%2f..%2fetc',
    '%00',
    '%0d%0aX-Evil:1',
    '*',
    '%7Bpostroom%7D:m:x',
    '%E2%80%AE%F0%9F%98%80',
    "'%20OR%201=1",
    '%3Cscript%3E',
    'msg_00000000000000000000000000',
    '~test',
    'main~test',
  ];
  test.each(withId)('in the path of %s', async (_id, operation) => {
    const body = world.bodiesFor(operation)[0];
    const complaints = await complaintsOf(HOSTILE, async (id) => {
      const answered = await world.ask(operation.method, operation.path.replace(/\{\w+\}/, id), body);
      const other = [400, 404].includes(answered.status) ? [] : [`${answered.status}`];
      return tell(id, [...judge(operation, answered), ...other]);
    });
    const undecodable = await world.ask(operation.method, operation.path.replace(/\{\w+\}/, '%ff'), body);
    expectNone([...complaints, ...judge(operation, undecodable)]);
    expect(undecodable.status).toBe(400);
  });

  test.each(named)('in the headers of %s', async (_id, operation) => {
    const [{ path, body } = { path: '', body: undefined }] = await world.good(operation);
    const names = (operation.parameters ?? []).filter((each) => each.in === 'header').map(({ name }) => name);
    const lines = names.flatMap((name) =>
      ['', 'x y', 'é', 'x'.repeat(300), '"', '*', '-1'].map((value) => [name, value]),
    );
    const complaints = await complaintsOf(lines, async ([name = '', value = '']) => {
      const answered = await world.ask(operation.method, path, body, { [name]: value });
      return tell(`${name}: ${value}`, judge(operation, answered));
    });
    expectNone(complaints);
  });
});

test.each(named.filter(([, { method }]) => method !== 'GET'))(
  'If-Match, which only * can meet: %s',
  async (_id, operation) => {
    const [{ path, body } = { path: '', body: undefined }] = await world.good(operation);
    const refused = await world.ask(operation.method, path, body, { 'if-match': 'W/"1-a", "1-a"' });
    expect(refused.status).toBe(412);
    const done = await world.ask(operation.method, path, body, { 'if-match': '*' });
    expect(done.status).not.toBe(412);
    expectNone([refused, done].flatMap((each) => judge(operation, each)));
  },
);

describe('credentials that are none', () => {
  const refused = async (operation: Operation, authorization: string, statuses: number[]) => {
    const path = operation.path.replace(/\{\w+\}/, 'nope');
    const answered = await world.ask(operation.method, path, world.bodiesFor(operation)[0], { authorization });
    expect(statuses).toContain(answered.status);
    expectNone(judge(operation, answered));
    expect(answered.headers.get('www-authenticate')).toMatch(/^Bearer /);
  };
  test.each(named.filter(([, operation]) => !isPublic(operation)))('%s', async (_id, operation) => {
    for (const wrong of ['', 'Bearer', 'Bearer pr_live_x', `Basic ${btoa(`x:${KEY}`)}`, `Bearer ${KEY}x`]) {
      await refused(operation, wrong, [401]);
    }
    const keys = await Promise.all(
      [['send'], ['read'], ['operate']].map((scopes) => world.operator.create({ name: 'one scope', scopes })),
    );
    const statuses = await Promise.all(
      keys.map(async ({ secret }) => {
        const path = operation.path.replace(/\{\w+\}/, 'nope');
        const body = operation.requestBody && {};
        const answered = await world.ask(operation.method, path, body, { authorization: `Bearer ${secret}` });
        expectNone(judge(operation, answered));
        return answered.status;
      }),
    );
    if (operation.operationId !== 'explain') expect(statuses).toContain(403);
  });
});

/** A path with an id in it takes what no other path takes: `GET /v1/messages/batch` is the message of that name. */
const methodsAt = (path: string) =>
  operations
    .filter((each) => new RegExp(`^${each.path.replace(/\{\w+\}/, '[^/]+')}$`).test(path))
    .map(({ method }) => method);

test.each(Object.keys(document.paths))('no other method at %s', async (path) => {
  const asked = path.replace(/\{\w+\}/, 'x');
  const declared = methodsAt(asked);
  for (const method of ['GET', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'PATCH'].filter(
    (each) => !declared.includes(each),
  )) {
    const answered = await world.ask(method, asked);
    expect([method, answered.status]).toEqual([method, 405]);
    expect(validate(at('components', 'schemas', 'Problem'), JSON.parse(answered.text))).toBe('');
    const allowed = (answered.headers.get('allow') ?? '').split(', ').filter((each) => each !== 'HEAD');
    expect(allowed).toEqual([...new Set(declared)].toSorted());
  }
});

test.each(named.filter(([, each]) => !each.requestBody && each.method !== 'GET'))(
  'a body where none is asked for: %s',
  async (_id, operation) => {
    const [{ path } = { path: '' }] = await world.good(operation);
    const bodies: [string, string, number][] = [
      ['application/json', '{', 400],
      ['application/json', '['.repeat(1_000), 422],
      ['application/json', 'x'.repeat(300_000), 413],
      ['text/plain', 'x', 415],
    ];
    const complaints = await complaintsOf(bodies, async ([type, body, status]) => {
      const answered = await world.ask(operation.method, path, body, { 'content-type': type });
      const other = answered.status === status ? [] : [`${answered.status}, not ${status}`];
      return tell(body.slice(0, 20), [...judge(operation, answered), ...other]);
    });
    expectNone(complaints);
  },
);

test.each(withBody)('a body that is too large: %s', async (_id, operation) => {
  const [{ path } = { path: '' }] = await world.good(operation);
  const bytes = /^(?:send|validateMessage)/.test(operation.operationId) ? 49 * 1024 * 1024 : 300_000;
  const answered = await world.ask(operation.method, path, 'x'.repeat(bytes));
  expect(answered.status).toBe(413);
  expectNone(judge(operation, answered));
});

describe('what stands in the way', () => {
  const id = (of: string, path: string) => path.replace('{id}', of);
  const late = (operationId: string, of: () => string, body?: object) => [operationId, of, body] as const;
  test.each([
    late('rescheduleMessage', () => world.ids.sent, { sendAt: null }),
    late('cancelMessage', () => world.ids.sent),
    late('retryMessage', () => world.ids.sent),
    late('expediteMessage', () => world.ids.sent),
    late('resolveMessage', () => world.ids.sent, { outcome: 'sent' }),
    late('changeKey', () => world.ids.revoked, { name: 'x' }),
    late('rotateKey', () => world.ids.revoked),
    late('replayWebhook', () => world.ids.disabled, { messageId: 'msg_x' }),
  ])('of %s is 409', async (operationId, of, body) => {
    const operation = operationOf(operationId);
    const answered = await world.ask(operation.method, id(of(), operation.path), body);
    expect(answered.status).toBe(409);
    expectNone(judge(operation, answered));
  });

  test('of one webhook more than a caller may have, and of a second examination at once, is 409', async () => {
    const create = operationOf('createWebhook');
    const verify = operationOf('verifyMailbox');
    const many = Array.from({ length: 21 }, () => world.ask('POST', create.path, { url: world.receiver.url }));
    const webhooks = await Promise.all(many);
    const examinations = await Promise.all([1, 2].map(() => world.ask('POST', id('main', verify.path))));
    const made = webhooks.filter(({ status }) => status === 201).map(({ text }) => JSON.parse(text) as { id: string });
    for (const each of made) await world.ask('DELETE', `${create.path}/${each.id}`);
    expect(webhooks.map(({ status }) => status)).toContain(409);
    expect(examinations.map(({ status }) => status).toSorted()).toEqual([200, 409]);
    expectNone([
      ...webhooks.flatMap((each) => judge(create, each)),
      ...examinations.flatMap((each) => judge(verify, each)),
    ]);
  });

  test('of a webhook that an operator has disabled is 409 for its caller', async () => {
    const update = operationOf('updateWebhook');
    const { secret } = await world.operator.create({ scopes: ['read'] });
    const { id: hook } = await webhookClient(() => world.postroom.url, secret).create(world.receiver.url);
    const path = id(hook, update.path);
    await world.ask('PATCH', path, { disabled: true });
    const caller = { authorization: `Bearer ${secret}` };
    const answered = await world.ask('PATCH', path, { disabled: false }, caller);
    await world.ask('DELETE', path);
    expect(answered.status).toBe(409);
    expectNone(judge(update, answered));
  });

  test('nothing new is 304, and the end of a stream 204', async () => {
    const message = `/v1/messages/${world.ids.sent}`;
    const unchanged = await world.ask('GET', message, undefined, { 'if-none-match': '*' });
    expect(unchanged.status).toBe(304);
    const { events } = JSON.parse((await world.ask('GET', `${message}/events`)).text) as { events: unknown[] };
    const stream = { accept: 'text/event-stream' };
    const whole = await world.ask('GET', `${message}/events`, undefined, stream);
    expect(whole.text).toContain('event: status');
    const over = await world.ask('GET', `${message}/events`, undefined, {
      ...stream,
      'last-event-id': `${events.length}`,
    });
    expect(over.status).toBe(204);
    const followed = [whole, over].flatMap((each) => judge(operationOf('listMessageEvents'), each));
    expectNone([...judge(operationOf('getMessage'), unchanged), ...followed]);
  });

  test.each(named.filter(([, operation]) => !isPublic(operation)))('of a rate: %s is 429', async (_id, operation) => {
    const rate = { perMinute: 1, burst: 1 };
    const { secret } = await world.operator.create({ name: 'slow', scopes: ['send', 'read', 'operate'], rate });
    const ask = () =>
      world.ask(operation.method, operation.path.replace(/\{\w+\}/, 'x'), operation.requestBody && {}, {
        authorization: `Bearer ${secret}`,
      });
    const answers = [await ask(), await ask()];
    expect(answers.map(({ status }) => status === 429)).toEqual([false, true]);
    expectNone(answers.flatMap((each) => judge(operation, each)));
  });

  test('of a store that is silent: each is 503', { timeout: 60_000 }, async () => {
    const asked = await Promise.all(
      operations.map(async (operation) => ({ operation, request: (await world.good(operation))[0] })),
    );
    const redis = freezeRedis(world.postroom.redis);
    try {
      const answers = await Promise.all(
        asked.map(async ({ operation, request }) => ({
          operation,
          answered: await world.ask(operation.method, request?.path ?? '', request?.body),
        })),
      );
      const others = answers.filter(({ answered }) => answered.status !== 503);
      const names = others.map(({ operation }) => operation.operationId).toSorted();
      expect(names).toEqual(['explain', 'getLiveness', 'getProblemDefinition', 'verifyMailbox']);
      expectNone(answers.flatMap(({ operation, answered }) => judge(operation, answered)));
    } finally {
      redis.resume();
    }
  });
});

describe('the document', () => {
  test('has examples that are as its schemas say', () => {
    const examples = operations.flatMap(({ operationId, pointer, requestBody, responses }) => [
      ...mediaOf(operationId, `${pointer}/requestBody`, requestBody?.content),
      ...Object.entries(responses).flatMap(([status, { content }]) =>
        mediaOf(operationId, pointer + at('responses', status), content),
      ),
    ]);
    const told = Object.entries(document.webhooks).flatMap(([type, { post }]) =>
      mediaOf(type, at('webhooks', type, 'post', 'requestBody'), post.requestBody?.content),
    );
    expect(examples.length).toBeGreaterThan(300);
    expect(told.length).toBeGreaterThan(5);
    expectNone(
      [...examples, ...told].flatMap(({ name, schema, value }) =>
        tell(name, [validate(schema, value)].filter(Boolean)),
      ),
    );
  });

  test('declares every route but the few that are for machines and browsers', async () => {
    await using service = await startHttpService();
    const paths = pathsOf(service.app.printRoutes({ commonPrefix: false }));
    const hidden = paths.filter((path) => !document.paths[path]);
    expect(hidden.toSorted()).toEqual(['/', '/metrics', '/openapi.json']);
    expect(Object.keys(document.paths).filter((path) => !paths.includes(path))).toEqual([]);
  });

  /** Runs last: what was met so far. */
  test('declares no answer that was not met here, but for a reason', () => {
    const unmet = operations.flatMap(({ operationId, responses }) =>
      Object.keys(responses)
        .map((status) => `${operationId} ${status}`)
        .filter((answer) => !met.has(answer) && !ELSEWHERE.some(({ answers }) => answers.test(answer))),
    );
    expect(unmet).toEqual([]);
  });
});

/** Answers that are declared and not met above. */
const ELSEWHERE: { answers: RegExp; because: string }[] = [
  { answers: / 408$/, because: 'met before there is an operation: slow-clients.test.ts' },
  { answers: / 431$/, because: 'met before there is an operation: requests.test.ts' },
  { answers: / 500$/, because: 'only a fault of ours: requests.test.ts makes one' },
  {
    answers: /^explain 503$/,
    because: 'asks no store; while it closes, it answers as all others do: requests.test.ts',
  },
  { answers: /^verifyMailbox 503$/, because: 'a silent store is one of the things that it finds; else as explain' },
  { answers: /^explain 403$/, because: 'every scope may, and a test key without any other than operate has none' },
];

function operationOf(id: string): Operation {
  const found = operations.find(({ operationId }) => operationId === id);
  if (!found) throw new Error(`There is no operation ${id}.`);
  return found;
}

function mediaOf(name: string, pointer: string, content: Record<string, Media> = {}) {
  return Object.entries(content).flatMap(([type, { examples = {} }]) =>
    Object.entries(examples).map(([example, { $ref, value }]) => ({
      name: `${name} ${example}`,
      schema: pointer + at('content', type, 'schema'),
      value: $ref ? document.components.examples[$ref.split('/').at(-1) ?? '']?.value : value,
    })),
  );
}

/** Of Fastify's drawing of its routes, in which each line has the rest of the path of the one above it. */
function pathsOf(drawing: string): string[] {
  const above: string[] = [];
  return drawing
    .split('\n')
    .filter((line) => line.includes('── '))
    .map((line) => {
      const depth = line.indexOf('── ') / 4;
      const [, rest = ''] = /── (\S+) \(/.exec(line) ?? [];
      above[Math.floor(depth)] = rest;
      return above
        .slice(0, Math.floor(depth) + 1)
        .join('')
        .replace(/:(\w+)/g, '{$1}');
    });
}
