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

describe('what is not JSON is told where it stops being so', () => {
  test.each([
    ['{"a":1,}', 'at line 1, column 8 is "}" where a name in double quotes should be'],
    ['{"a":1,\n "b" 2}', 'at line 2, column 6 is "2" where ":" should be'],
    ['{"a": hunter2}', 'at line 1, column 7 is "h" where a value should be'],
    ['{"a":01}', 'at line 1, column 6 is "0" where a value should be'],
    ['[1 2]', 'at line 1, column 4 is "2" where "," or "]" should be'],
    ["{'a':1}", `at line 1, column 2 is "'" where a name in double quotes should be`],
    ['{} {}', 'at line 1, column 4 is "{" where the end should be'],
    ['{"a":"b\nc"}', 'at line 1, column 8 is U+000A where an escape such as \\n should be'],
    ['{"a":"C:\\x"}', 'at line 1, column 9 is "\\" where an escape that JSON knows, or \\\\ should be'],
    ['{"a":"b', `it ends at line 1, column 8, where the '"' that ends the text should be`],
    ['{"a":1', 'it ends at line 1, column 7, where "," or "}" should be'],
    ['\ufeff{}', 'at line 1, column 1 is U+FEFF where a value should be'],
    ['{"a":😀}', 'at line 1, column 6 is U+1F600 where a value should be'],
  ])('%j', (text, place) => {
    expect(() => JSON.parse(text)).toThrow();
    expect(parse(text)).toEqual({ kind: 'invalid', reason: `The body is not valid JSON; ${place}.` });
  });

  test('and whatever JSON.parse refuses has such a place', () => {
    const good = '{"a":[1,-2.5e3,"x\\n\\u0041",true,null],"b":{}}';
    for (let at = 0; at < good.length; at++) {
      for (const put of ['', '"', '\\', ',', '}', '0', 'x', '\u0001', '-', '.']) {
        const text = good.slice(0, at) + put + good.slice(at + 1);
        const read = parse(text);
        if (read.kind === 'invalid' && !read.reason.includes('twice'))
          expect(read.reason).toMatch(/line 1, column \d+/);
      }
    }
  });
});
