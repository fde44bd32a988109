import type { Address } from '../mail/address.ts';

/** RFC 2047 §2: the limit of a line with an encoded word; RFC 5322 §2.1.1 would like 78. */
const MAX_LINE = 76;
/** Shorter than RFC 2047's 75, so that the first word fits beside `Reply-To: `. */
const MAX_WORD = 66;
const WORD_OVERHEAD = '=?UTF-8?Q??='.length;
/** An ASCII word beyond this is encoded, since it could not be folded into lines of 998. */
const MAX_UNFOLDED = 900;

const ATOMS = /^[a-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [a-z0-9!#$%&'*+\-/=?^_`{|}~]+)*$/i;
const SINGLE_SPACED = /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/;
const PRINTABLE = /^[\x20-\x7e]*$/;
/** Characters that no header may carry even encoded: a gateway that decodes them may write them out again. */
const UNFIT = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]+/gu;

/**
 * One header field with its CRLF, folded at the spaces between its tokens (RFC 5322 §2.2.3).
 *
 * @param tokens printable ASCII
 * @throws if a token is not: an unchecked value has come this far, and must not reach a server
 */
export function field(name: string, tokens: readonly string[]): string {
  const line = `${name}: ${tokens.join(' ')}`;
  if (!PRINTABLE.test(line)) throw new Error(`The header field ${name} is not printable ASCII`);
  return line.length <= MAX_LINE ? `${line}\r\n` : `${fold(name, tokens)}\r\n`;
}

/** Free text (RFC 5322 §3.2.5): as it is where it is plain ASCII, else in encoded words (RFC 2047). */
export function freeText(text: string): string[] {
  if (SINGLE_SPACED.test(text) && !text.includes('=?')) {
    const words = text.split(' ');
    if (words.every((word) => word.length <= MAX_UNFOLDED)) return words;
  }
  return text === '' ? [] : encodedWords(text);
}

/** Text that programs read (a list of identifiers, a URL): never encoded. */
export function verbatim(text: string): string[] {
  return text.split(' ').filter((word) => word !== '');
}

/** RFC 5322 §3.4 `address-list`. Always with angle brackets, which Exchange asks for (NDR 5.7.512). */
export function addressList(addresses: readonly Address[]): string[] {
  const last = addresses.length - 1;
  const tokens: string[] = [];
  for (const [index, { name, address }] of addresses.entries()) {
    if (name) tokens.push(...phrase(name));
    tokens.push(index < last ? `<${address}>,` : `<${address}>`);
  }
  return tokens;
}

/** A parameter of Content-Type or Content-Disposition: quoted where that is understood by all, else by RFC 2231. */
export function parameter(name: string, value: string): string[] {
  const clean = value.replace(UNFIT, ' ');
  if (SIMPLE_VALUE.test(clean)) return [`${name}="${clean}"`];
  const [first = '', ...others] = percentSegments(clean);
  if (others.length === 0) return [`${name}*=utf-8''${first}`];
  return [`utf-8''${first}`, ...others].map(
    (segment, index) => `${name}*${index}*=${segment}${index < others.length ? ';' : ''}`,
  );
}

/** No quotes, backslashes, semicolons or percent signs: parsers disagree about these within quotes. */
const SIMPLE_VALUE = /^[a-z0-9 ._()+,@#$&~^-]*$/i;

/** Encoded words (RFC 2047), never splitting a character: quoted-printable for text that stays legible in it, else base64. */
export function encodedWords(text: string): string[] {
  const clean = text.replace(UNFIT, ' ');
  const characters = Array.from(clean);
  const quoted = characters.map(quotedCharacter);
  const quotedLength = quoted.reduce((sum, piece) => sum + piece.length, 0);
  if (quotedLength <= 2 * Buffer.byteLength(clean)) {
    return packed(quoted, MAX_WORD - WORD_OVERHEAD, (piece) => piece.length).map((word) => `=?UTF-8?Q?${word}?=`);
  }
  const octets = ((MAX_WORD - WORD_OVERHEAD) / 4) * 3;
  const words = packed(characters, Math.floor(octets / 3) * 3, (character) => Buffer.byteLength(character));
  return words.map((word) => `=?UTF-8?B?${Buffer.from(word).toString('base64')}?=`);
}

/** A display name (RFC 5322 §3.2.5 `phrase`): atoms, a quoted string, or encoded words. */
function phrase(name: string): string[] {
  const ascii = PRINTABLE.test(name) && !name.includes('=?');
  if (ascii && ATOMS.test(name)) return name.split(' ');
  return ascii ? [`"${name.replace(/["\\]/g, '\\$&')}"`] : encodedWords(name);
}

/** The Q encoding as a phrase may have it, RFC 2047 §5 (3). */
function quotedCharacter(character: string): string {
  if (character === ' ') return '_';
  return /^[a-z0-9!*+\-/]$/i.test(character) ? character : percentLess(character, '=');
}

/** RFC 2231 §7 `attribute-char`, in segments that fit a line. */
function percentSegments(value: string): string[] {
  const pieces = Array.from(value, (character) =>
    /^[a-z0-9._-]$/i.test(character) ? character : percentLess(character, '%'),
  );
  return packed(pieces, 50, (piece) => piece.length);
}

/** The octets of a character in UTF-8, each as two hexadecimal digits after the mark. */
function percentLess(character: string, mark: '=' | '%'): string {
  return Buffer.from(character).toString('hex').toUpperCase().replace(/../g, `${mark}$&`);
}

/** Joins pieces into strings of at most `room`. */
function packed(pieces: readonly string[], room: number, sizeOf: (piece: string) => number): string[] {
  const packs: string[] = [];
  let pack = '';
  let left = room;
  for (const piece of pieces) {
    const size = sizeOf(piece);
    if (size > left && pack !== '') {
      packs.push(pack);
      pack = '';
      left = room;
    }
    pack += piece;
    left -= size;
  }
  return pack === '' ? packs : [...packs, pack];
}

/** Breaks a field at the spaces between its tokens, where a line gets too long; without the last line end. */
export function fold(name: string, tokens: readonly string[]): string {
  let lines = `${name}:`;
  let column = lines.length;
  // An empty first line is lawful but rare, so only encoded words, whose lines must be short, may make one.
  let mayBreak = tokens[0]?.startsWith('=?');
  for (const token of tokens) {
    if (mayBreak && column + 1 + token.length > MAX_LINE) {
      lines += '\r\n';
      column = 0;
    }
    lines += ` ${token}`;
    column += 1 + token.length;
    mayBreak = true;
  }
  return lines;
}
