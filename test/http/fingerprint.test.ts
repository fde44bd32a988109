import { expect, test } from 'vitest';
import { fingerprint } from '../../src/http/fingerprint.ts';

const of = (json: string) => fingerprint(JSON.parse(json));

test.each([
  ['{"a":1,"b":2}', '{ "b": 2, "a": 1 }'],
  ['{"a":{"x":[1,{"y":2,"z":3}]}}', '{"a":{"x":[1,{"z":3,"y":2}]}}'],
  ['1.0', '1'],
  ['"\\u0041"', '"A"'],
])('%s says the same as %s', (one, other) => {
  expect(of(one)).toBe(of(other));
});

test.each([
  ['{"a":1}', '{"a":"1"}'],
  ['[1,2]', '[2,1]'],
  ['[[1],2]', '[1,[2]]'],
  ['[1,2]', '[12]'],
  ['{"a":null}', '{}'],
  ['{"a":"x","b":"y"}', '{"a":"x\\",\\"b\\":\\"y"}'],
  ['{"__proto__":1}', '{}'],
  ['["a","b"]', '["a\\",\\"b"]'],
])('%s says something else than %s', (one, other) => {
  expect(of(one)).not.toBe(of(other));
});

test('is the hexadecimal SHA-256 it always was, so that a new version still knows old keys', () => {
  expect(of('{"from":"a@b.example","to":["c@d.example"],"text":"x"}')).toMatchInlineSnapshot(
    `"a445ef34f658e6b046b4c720ca067f910d229e1d3027fd03b1e7b3188fcc6bad"`,
  );
});

test('a long text counts to its last character', () => {
  const long = '🎉é'.repeat(100_000);
  expect(fingerprint({ a: `${long}x` })).not.toBe(fingerprint({ a: `${long}y` }));
  expect(fingerprint({ a: long })).toBe(fingerprint({ a: long }));
});
