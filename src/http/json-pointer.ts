/** Longer names are cut: a pointer is for reading, and hostile names have no end. */
const MAX_TOKEN_LENGTH = 80;

/** RFC 6901, with control characters and lone surrogates shown as `\uXXXX`, and long names cut. */
export function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((key) => `/${token(String(key))}`).join('');
}

function token(key: string): string {
  const cut = key.length > MAX_TOKEN_LENGTH ? `${key.slice(0, MAX_TOKEN_LENGTH)}…` : key;
  return cut
    .replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, asEscape)
    .replaceAll('~', '~0')
    .replaceAll('/', '~1');
}

function asEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
