const WORD = /=\?([A-Za-z0-9_.:-]+)(?:\*[A-Za-z0-9-]+)?\?([bq])\?([^?\s]*)\?=/gi;
/** White space between two encoded words is no part of the text (RFC 2047 §6.2). */
const BETWEEN = /(\?=)[ \t]+(?==\?[^?\s]+\?[bq]\?)/gi;

/** Text of a header field with its encoded words (RFC 2047, RFC 2231 §5) decoded; one that cannot be is left as it is. */
export function decodeWords(text: string): string {
  if (!text.includes('=?')) return text;
  const joined = text.replace(BETWEEN, '$1');
  let decoded = '';
  let at = 0;
  let pending: { charset: string; octets: Buffer } | undefined;
  for (const match of joined.matchAll(WORD)) {
    const [whole, charset = '', encoding = '', content = ''] = match;
    const octets = octetsOf(encoding, content);
    const continues = pending && match.index === at && pending.charset === charset.toLowerCase();
    // A character may be split between two words of the same charset, against RFC 2047 §5 but often.
    if (pending && !continues) decoded += charactersOf(pending);
    decoded += joined.slice(at, match.index);
    const before = continues && pending ? [pending.octets] : [];
    pending = { charset: charset.toLowerCase(), octets: Buffer.concat([...before, octets]) };
    at = match.index + whole.length;
  }
  return decoded + (pending ? charactersOf(pending) : '') + joined.slice(at);
}

function octetsOf(encoding: string, content: string): Buffer {
  if (encoding.toLowerCase() === 'b') return Buffer.from(content, 'base64');
  const spaced = content.replaceAll('_', ' ');
  const latin = spaced.replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(latin, 'latin1');
}

function charactersOf({ charset, octets }: { charset: string; octets: Buffer }): string {
  try {
    return new TextDecoder(charset).decode(octets);
  } catch {
    return octets.toString('latin1');
  }
}
