import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KEY } from '../support/postroom.ts';
import { variantsOf } from './broken.ts';
import { at, document, type Operation, operations, validator } from './document.ts';
import { judge } from './judge.ts';
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
      const wrong = validate(pointer, value);
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
    if (!isPublic(operation)) expect(unknown.status).toBe(400);
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
