import { MAX_RESPONSE_LENGTH } from '../mail/reply.ts';

/** A text from outside, made comparable. Nothing here is shown to anybody. */
export interface Wording {
  /** One line, single spaces, without quoting, line breaks and Microsoft's host-and-time suffix. */
  line: string;
  /** In lower case, twice: as it is, and with line breaks closed up for words that were broken in the middle. */
  words: string;
  /** Letters and digits only, lower case: what sentences are compared by. */
  letters: string;
}

/** Reply codes a pasted text may be trusted to mean by a bare three-digit number. */
const BASIC_CODES = '421|43[0-2]|45[0-5]|50[0-4]|521|530|53[458]|541|55[0-6]';
const ENHANCED = '[245]\\.\\d{1,3}\\.\\d{1,3}(?![\\d.])';

const HOST_SUFFIX = /\[ ?(?:Hostname=[\w.-]{1,200}|[\w.-]{1,200} \d{4}-\d\d-\d\dT[\w:.]{1,30} \w{1,40}) ?\]/gi;
const CONTINUATION = /^([2-5]\d\d)[- ](?:[245]\.\d{1,3}\.\d{1,3}(?= |$) ?)?/;

/**
 * Undoes what logs, mail quoting and libraries do to a reply. Bounded to the length a reply is kept at; linear.
 */
export function wordingOf(text: string): Wording {
  const lines = unfolded(text.slice(0, MAX_RESPONSE_LENGTH));
  const line = tidy(lines.join(' '));
  const joined = tidy(lines.join(''));
  return { line, words: `${line}\n${joined}`.toLowerCase(), letters: lettersOf(joined) };
}

/** Letters and digits only, in lower case: equal for every wrapping, quoting, spacing and apostrophe. */
export function lettersOf(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]/g, '');
}

function unfolded(text: string): string[] {
  const lines = text
    .replace(/&(?:#39|#x27|apos|quot|lt|gt|amp|nbsp);/gi, ' ')
    .replace(/\\r\\n|\\[nrt]/g, '\n')
    .replace(/=\r?\n/g, '\n')
    .split(/\r\n|[\r\n\u2028\u2029]/)
    .map((each) => each.replace(/^[>| \t]{1,40}/, (quote) => (/[>|]/.test(quote) ? '' : ' ')));
  const first = lines.findIndex((each) => CONTINUATION.test(each));
  const code = CONTINUATION.exec(lines[first] ?? '')?.[1];
  return lines.map((each, index) => {
    const continuation = index > first ? CONTINUATION.exec(each) : null;
    return continuation && continuation[1] === code ? ` ${each.slice(continuation[0].length)}` : each;
  });
}

function tidy(text: string): string {
  return text
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .replace(HOST_SUFFIX, '')
    .trim();
}

/** The codes of one reply within a text. */
export interface ReplyCodes {
  basic?: number;
  enhanced?: string;
}

/** Where in a line a reply seems to begin. */
export interface FoundReply extends ReplyCodes {
  index: number;
}

// A pair may be separated as in `535 5.7.3`, `535-5.7.3`, `535: 5.7.3`, `(535, b'5.7.3` or `retcode (535); Msg: b'5.7.3`.
const PAIR = new RegExp(`(?<![\\w.:/-])([2-5]\\d\\d)(?:[ :,;)-]{1,3}(?:Msg: )?(?:b?['"])?[#(]?)(${ENHANCED})`, 'g');
const ENHANCED_ALONE = new RegExp(`(?<![\\w./:=-])(${ENHANCED})(?=[ ;:,)\\]'"]|$)`);
const BASIC_ALONE = new RegExp(
  `(?:^|[:=(>"'] ?|\\b(?:code|response|reply|said|status|error|responded|returned|message):? )((?:${BASIC_CODES}))(?=[ ,;:)\\]'"-]|$)(?![ -]?\\d)`,
  'i',
);

/** Every pair of basic and enhanced code in the line, in order. */
export function pairsIn(line: string): FoundReply[] {
  return [...line.matchAll(PAIR)].map(({ index, 1: basic, 2: enhanced }) => ({
    index,
    basic: Number(basic),
    ...(enhanced !== undefined && { enhanced }),
  }));
}

/**
 * The reply that a line is about, as far as its codes tell: a pair of codes if there is one, else a basic code in a
 * telling place, else an enhanced code alone. Successes (2xx, 3xx) are passed over.
 */
export function replyIn(line: string): FoundReply | undefined {
  const pair = pairsIn(line).find(({ basic }) => (basic ?? 0) >= 400);
  if (pair) return pair;
  const start = /^([45]\d\d)(?=[ -]|$)/.exec(line);
  if (start) return { index: 0, basic: Number(start[1]), ...enhancedIn(line) };
  const basic = BASIC_ALONE.exec(line);
  if (basic?.[1]) return { index: basic.index + basic[0].length - 3, basic: Number(basic[1]), ...enhancedIn(line) };
  const enhanced = ENHANCED_ALONE.exec(line);
  return enhanced?.[1] && !enhanced[1].startsWith('2') ? { index: enhanced.index, enhanced: enhanced[1] } : undefined;
}

/** An enhanced code anywhere in the line. */
export function enhancedIn(line: string): { enhanced?: string } {
  const enhanced = ENHANCED_ALONE.exec(line)?.[1];
  return enhanced === undefined ? {} : { enhanced };
}
