import { describe, expect, test } from 'vitest';
import { parseBoundedJson } from '../../src/http/bounded-json.ts';

const parse = (text: string, depth = 3, values = 10) => parseBoundedJson(Buffer.from(text), { depth, values });

test.each([
  '{"a":[{"b":1}]}',
  '[1,2,3]',
  '"x"',
  '0',
  ' null ',
  '{"a":"[[[[{{{{,,,,,,,,,,,,"}',
  '{"a":"\\"[[[["}',
  '{"\\\\":"\\\\\\"[[[["}',
])('%s is within the bounds', (text) => {
  expect(parse(text)).toEqual({ kind: 'parsed', value: JSON.parse(text) });
});

test.each([
  ['{"a":[[[]]]}', { kind: 'tooDeep', member: 'a' }],
  ['[[[[]]]]', { kind: 'tooDeep' }],
  ['{"a":1,"b":[1,2,3,4,5,6,7,8,9]}', { kind: 'tooMany', member: 'b' }],
  ['[1,2,3,4,5,6,7,8,9,10]', { kind: 'tooMany' }],
  [`[${'{},'.repeat(6)}{}]`, { kind: 'tooMany' }],
])('%s is not', (text, expected) => {
  expect(parse(text)).toEqual(expected);
});

describe('long strings end where JSON ends them', () => {
  test.each([0, 1, 2, 3, 4, 255, 256, 257, 1_000])('with %i backslashes before a quote', (count) => {
    for (const filler of ['', 'x'.repeat(255), 'x'.repeat(256), 'x'.repeat(3_000)]) {
      const text = `["${filler}${'\\\\'.repeat(count)}\\"[[[[${filler}",[]]`;
      expect(parse(text)).toEqual({ kind: 'parsed', value: JSON.parse(text) });
    }
  });

  test('a backslash on the edge of the near search is not overlooked', () => {
    for (let length = 250; length < 262; length++) {
      const text = `["${'x'.repeat(length)}\\"${'['.repeat(20)}",[]]`;
      expect(parse(text)).toEqual({ kind: 'parsed', value: JSON.parse(text) });
    }
  });
});

test.each(['', '{', '{"a"', '{"a":"x', '{"a":"x\\', ']]]]', '{]', 'nul', '{"a":1,}', '\u00a0{}'])(
  '%j is not JSON',
  (text) => {
    expect(parse(text)).toMatchObject({ kind: 'invalid' });
  },
);

test.each([
  ['{"to":"a","to":"b"}', 'to'],
  ['{"a":{"b":1,"c":2,"b":3}}', 'b'],
  ['[{"a":1},{"a":1,"a":1}]', 'a'],
  ['{"to":1,"t\\u006f":2}', 'to'],
  ['{"":1,"":1}', ''],
  ['{"__proto__":1,"__proto__":1}', '__proto__'],
  ['{"a:{":"}:","x":{"a:{":1},"a:{":2}', 'a:{'],
])('%s, of which a parser would lose a part, is not taken', (text, name) => {
  const reason = `The body has the name ${JSON.stringify(name)} twice in one object; give it once.`;
  expect(parse(text)).toEqual({ kind: 'invalid', reason });
});

test.each(['{"a":{"a":{"a":1}}}', '[{"a":1},{"a":1}]', '{"a":"b","b":"a:b"}', '{"__proto__":1,"constructor":{}}'])(
  '%s has no name twice in one object',
  (text) => {
    expect(parse(text, 4)).toEqual({ kind: 'parsed', value: JSON.parse(text) });
  },
);

test('the reason does not repeat what was sent', () => {
  expect(JSON.stringify(parse('{"password": hunter2}'))).not.toContain('hunter2');
});
