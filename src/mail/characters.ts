/** U+0000–001F, U+007F–009F: CR, LF, NUL, ESC, NEL and the rest of Unicode's Cc. */
const CONTROL = /\p{Cc}/u;
/** U+2028 and U+2029: some programs end a line at them, RFC 5322 does not. */
const LINE_SEPARATOR = /[\p{Zl}\p{Zp}]/u;
/** Reorders what a reader sees (Unicode UAX #9: marks, embeddings, overrides, isolates). */
const BIDI_CONTROL = /\p{Bidi_Control}/u;
/** Half of a UTF-16 pair: JSON can say it (RFC 8259 §8.2), UTF-8 cannot (RFC 3629 §3). */
const LONE_SURROGATE = /\p{Cs}/u;
/** Takes part in the text but not in the picture: zero-width characters, soft hyphen, variation selectors, fillers. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;

/**
 * Says which character has no place in a line of text that people read (a display name, a subject, a header value,
 * a file name), as the end of a sentence: `a line break (U+000D)`. Undefined if there is none.
 */
export function characterUnfitForLine(text: string): string | undefined {
  return (
    find(text, CONTROL, 'a control character') ??
    find(text, LINE_SEPARATOR, 'a line separator') ??
    find(text, LONE_SURROGATE, 'half of a surrogate pair')
  );
}

/** As `characterUnfitForLine`, and also refuses what can make a line read as another one. */
export function characterUnfitForName(text: string): string | undefined {
  return characterUnfitForLine(text) ?? find(text, BIDI_CONTROL, 'a bidirectional control character');
}

/** Characters that nobody sees; allowed in names (joined emoji, Persian), never in an address. */
export function invisibleCharacter(text: string): string | undefined {
  return find(text, INVISIBLE, 'an invisible character');
}

const QUOTED_LENGTH = 60;

/** A caller's input for use within a sentence: at most some 60 characters, in double quotes, all in printable ASCII. */
export function quote(input: string): string {
  const shown = input.slice(0, QUOTED_LENGTH);
  const escaped = shown.replace(/[^\x20-\x7e]|["\\]/g, asEscape);
  const cut = escaped.slice(0, QUOTED_LENGTH);
  return `"${cut}"${cut.length < escaped.length || shown.length < input.length ? '...' : ''}`;
}

function asEscape(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`;
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function find(text: string, pattern: RegExp, kind: string): string | undefined {
  const found = pattern.exec(text)?.[0].codePointAt(0);
  if (found === undefined) return undefined;
  const what = found === 0x0a || found === 0x0d ? 'a line break' : kind;
  return `${what} (U+${found.toString(16).toUpperCase().padStart(4, '0')})`;
}
