import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const FOLDER = new URL('../../src/failure/', import.meta.url);
const LITERAL = /(?<=[(=:,[!&|?;{}\n]\s*)\/(?![*/])((?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+)\/[dgimsuvy]*/g;
const CONSTRUCTED = /new RegExp\(\s*`((?:\\.|[^`\\])*)`/g;

interface Pattern {
  file: string;
  source: string;
}

const PATTERNS: Pattern[] = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.ts'))
  .flatMap((file) => {
    const text = readFileSync(new URL(file, FOLDER), 'utf8');
    const found = [...text.matchAll(LITERAL), ...text.matchAll(CONSTRUCTED)];
    return found.map(([, source]) => ({ file, source: source ?? '' }));
  });

/** One character class or escape and an unbounded quantifier, and nothing that could fail behind it. */
const ONE_RUN = /^(?:\[(?:\\.|[^\]\\])*\]|\\?.)[*+]$/;
const withoutClasses = (source: string) => source.replace(/\\./g, '_').replace(/\[[^\]]*\]/g, '_');
const isUnbounded = (source: string) => /[*+]|\{\d+,\}/.test(withoutClasses(source));
const QUANTIFIED_GROUP = /\)(?:\{\d+,?\d*\})/;

// Replies are untrusted. A pattern that only counts to a fixed number at each place takes time in proportion to the
// length of the text; one that may run on and then fail can take the square of it, or worse.
describe('the regular expressions of this folder', () => {
  it('are found by this test', () => {
    expect(PATTERNS.length).toBeGreaterThan(15);
  });

  it.each(PATTERNS.map(({ file, source }) => [file, source]))(
    '%s: %s repeats nothing without bound',
    (_file, source) => {
      expect(isUnbounded(source) && !ONE_RUN.test(source)).toBe(false);
    },
  );

  it.each(PATTERNS.map(({ file, source }) => [file, source]))('%s: %s repeats no group', (_file, source) => {
    expect(QUANTIFIED_GROUP.test(withoutClasses(source))).toBe(false);
  });

  it.each(PATTERNS.map(({ file, source }) => [file, source]))('%s: %s refers to nothing before it', (_file, source) => {
    expect(source).not.toMatch(/\\[1-9]|\\k</);
  });

  it('none of them is found harmless by mistake', () => {
    expect(isUnbounded('(a+)+$')).toBe(true);
    expect(ONE_RUN.test('\\s+$')).toBe(false);
    expect(ONE_RUN.test('[^a-z0-9]+')).toBe(true);
    expect(isUnbounded('[*+]x')).toBe(false);
    expect(QUANTIFIED_GROUP.test('(a|aa){1,30}b')).toBe(true);
  });
});
