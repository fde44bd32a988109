import type { Stage } from '../mail/reply.ts';
import { CLIENT_ERRORS, type KnownReply, NDR_DIAGNOSTICS, SMTP_REPLIES, TOKEN_REPLIES } from './replies.ts';
import { lettersOf, type ReplyCodes, type Wording } from './wording.ts';

/** Something said, ready to be compared with the lists. */
export interface Said extends ReplyCodes {
  via: KnownReply['via'];
  /** Absent where it is not known: every stage is as likely. */
  stage?: KnownReply['stage'] | undefined;
  mechanism?: 'LOGIN' | 'XOAUTH2' | undefined;
  wording: Wording;
}

/** The entry of the lists that fits best, and how well. */
export interface Recognised {
  known: KnownReply;
  /** 4 sentence and codes, 3 sentence alone, 2 codes alone, 1 the basic code alone. */
  strength: 1 | 2 | 3 | 4;
}

/** Where to look, the likelier list first: a submission may be refused in the words of a report, and the reverse. */
const LISTS = {
  smtp: [SMTP_REPLIES, NDR_DIAGNOSTICS],
  ndr: [NDR_DIAGNOSTICS, SMTP_REPLIES],
  token: [TOKEN_REPLIES],
  client: [CLIENT_ERRORS],
} as const satisfies Record<KnownReply['via'], readonly (readonly KnownReply[])[]>;

/** Finds the known reply that this is. Linear in the text for each entry: only substrings are searched for. */
export function recognise(said: Said): Recognised | undefined {
  let best: Recognised | undefined;
  let bestScore = 0;
  LISTS[said.via].forEach((list, place) => {
    for (const known of list) {
      const strength = strengthOf(known, said);
      const score = scoreOf(known, strength, place, said);
      if (strength === 0 || score <= bestScore) continue;
      best = { known, strength };
      bestScore = score;
    }
  });
  return best;
}

/**
 * Strength decides; list and stage only between equally strong entries, and of equals the first wins. A basic code
 * spelt out beats a class of them (a 535 is a 535 wherever it comes). What a report says of a mailbox is said of the
 * recipient's, however well it would fit our own.
 */
function scoreOf(known: KnownReply, strength: number, place: number, said: Said): number {
  const spelled = strength === 1 && marksOf(known).exact ? 8 : 0;
  const fromReport = said.via === 'ndr' && place === 0 && strength > 1 ? 1_000 : 0;
  return strength * 16 + spelled + fromReport + (place === 0 ? 2 : 0) + (isStage(known, said.stage) ? 1 : 0);
}

function strengthOf(known: KnownReply, said: Said): 0 | 1 | 2 | 3 | 4 {
  if (known.when && said.mechanism && known.when !== said.mechanism) return 0;
  const here = isStage(known, said.stage);
  if (known.onlyHere && !here) return 0;
  const marks = marksOf(known);
  const agreement = agreementOf(marks, said);
  const spoken = marks.says.some((sentence) => contains(said.wording.letters, sentence));
  const beside = marks.beside.some((phrase) => contains(said.wording.letters, phrase));
  if (spoken && agreement !== 'none') return 4;
  if (beside && (agreement === 'full' || (agreement === 'partial' && here))) return 4;
  if (spoken) return 3;
  if (agreement !== 'full' || known.sentenceNeeded || known.beside) return 0;
  return marks.general && !(known.onlyHere && marks.exact) ? 1 : 2;
}

/** The banner is the answer to connecting: both mean the same moment. */
function isStage({ stage }: KnownReply, other: KnownReply['stage'] | undefined): boolean {
  const moment = (each: KnownReply['stage'] | undefined) => (each === 'connect' ? ('greeting' satisfies Stage) : each);
  return moment(stage) === moment(other);
}

/** An entry's codes and words, taken apart once. */
interface Marks {
  codes: readonly CodePattern[];
  words: readonly string[];
  says: readonly (readonly string[])[];
  beside: readonly (readonly string[])[];
  /** Has no more to go by than a basic code, or the class digit of an enhanced one. */
  general: boolean;
  /** Of which each digit is given. */
  exact: boolean;
}
interface CodePattern {
  basic?: string;
  enhanced?: readonly string[];
}

const marksById = new Map<string, Marks>();

function marksOf(known: KnownReply): Marks {
  const cached = marksById.get(known.id);
  if (cached) return cached;
  const codes = (known.codes ?? []).map(codePattern);
  const marks: Marks = {
    codes,
    words: (known.words ?? []).map((word) => word.toLowerCase()),
    says: (known.says ?? []).map(partsOf),
    beside: (known.beside ?? []).map(partsOf),
    general: codes.length > 0 && codes.every(({ enhanced }) => !enhanced || enhanced[1] === 'x'),
    exact: codes.every(({ basic, enhanced }) => !basic?.includes('x') && !enhanced?.includes('x')),
  };
  marksById.set(known.id, marks);
  return marks;
}

function partsOf(sentence: string): string[] {
  return sentence.split('…').map(lettersOf);
}

function codePattern(pattern: string): CodePattern {
  const parts = pattern.split(' ');
  const basic = parts.find((part) => !part.includes('.'));
  const enhanced = parts.find((part) => part.includes('.'))?.split('.');
  return { ...(basic && { basic }), ...(enhanced && { enhanced }) };
}

/** Do all parts occur, in this order? */
function contains(letters: string, parts: readonly string[]): boolean {
  let from = 0;
  for (const part of parts) {
    const found = letters.indexOf(part, from);
    if (found < 0) return false;
    from = found + part.length;
  }
  return true;
}

/** `partial`: the basic code fits and the enhanced code was lost. */
function agreementOf(marks: Marks, said: Said): 'full' | 'partial' | 'none' {
  if (marks.words.some((word) => isWordIn(said.wording.words, word))) return 'full';
  const each = marks.codes.map((pattern) => codeAgreement(pattern, said));
  return each.includes('full') ? 'full' : each.includes('partial') ? 'partial' : 'none';
}

function codeAgreement({ basic, enhanced }: CodePattern, said: Said): 'full' | 'partial' | 'none' {
  const basicFits = !basic || said.basic === undefined || fits(basic, String(said.basic));
  if (!basicFits) return 'none';
  if (!enhanced) return said.basic === undefined ? 'none' : 'full';
  if (said.enhanced === undefined) return basic && said.basic !== undefined ? 'partial' : 'none';
  const digits = said.enhanced.split('.');
  return enhanced.every((part, index) => fits(part, digits[index] ?? '')) ? 'full' : 'none';
}

/** `x` alone is any number, `5xx` three digits that begin with 5, `606-649` a range. */
function fits(pattern: string, number: string): boolean {
  if (pattern === 'x' || pattern === number) return true;
  const [low, high] = pattern.split('-').map(Number);
  if (high !== undefined) return Number(number) >= (low ?? 0) && Number(number) <= high;
  return (
    pattern.includes('x') &&
    pattern.length === number.length &&
    [...pattern].every((digit, index) => digit === 'x' || digit === number[index])
  );
}

function isWordIn(text: string, word: string): boolean {
  const isPartOfWord = (character: string | undefined) => character !== undefined && /\w/.test(character);
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (!isPartOfWord(text[at - 1]) && !isPartOfWord(text[at + word.length])) return true;
  }
  return false;
}
