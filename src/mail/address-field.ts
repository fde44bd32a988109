import { type Address, parseAddress } from './address.ts';
import { quote } from './characters.ts';
import { decodeWords } from './encoded-word.ts';

export type ParsedAddressField = { ok: true; addresses: Address[] } | { ok: false; problem: string };

/**
 * Reads the addresses of a header field (RFC 5322 §3.4) as strictly as `parseAddress` reads one: comments, groups with
 * members and routes are refused, because two programs could read other addresses out of them than we do.
 *
 * @param value unfolded, in characters
 */
export function parseAddressField(value: string): ParsedAddressField {
  if (/^\s*(?:"[^"\\]*"|[^"<>@:;,]*):\s*;\s*$/.test(value)) return { ok: true, addresses: [] };
  const entries = entriesOf(value);
  if (typeof entries === 'string') return { ok: false, problem: entries };
  const addresses: Address[] = [];
  for (const entry of entries) {
    const parsed = parseEntry(entry);
    if (!parsed.ok) return parsed;
    addresses.push(parsed.address);
  }
  return { ok: true, addresses };
}

interface Entry {
  /** What stands before the angle bracket, quoted strings with their quotes. */
  phrase?: string;
  address: string;
}

/** Splits at the commas that are not within quotes, and parts each entry at its angle brackets. */
function entriesOf(value: string): Entry[] | string {
  const entries: Entry[] = [];
  let text = '';
  let phrase: string | undefined;
  let closed = false;
  const finish = () => {
    if (phrase !== undefined || text.trim() !== '') entries.push(entryOf(phrase, text));
    [text, phrase, closed] = ['', undefined, false];
  };
  for (let at = 0; at < value.length; at++) {
    const character = value[at] as string;
    if (character === '"') {
      const end = endOfQuoted(value, at);
      if (end < 0) return `${quote(value)} has a quotation mark without its second`;
      if (phrase !== undefined) return `${quote(value)} has quotes within an address`;
      text += value.slice(at, end + 1);
      at = end;
    } else if (character === '(' || character === ')') {
      return `${quote(value)} has a comment in parentheses; leave it out, or put the name in double quotes`;
    } else if (character === ',') {
      if (phrase !== undefined && !closed) return `${quote(value)} has a route or a list within angle brackets`;
      finish();
    } else if (character === '<') {
      if (phrase !== undefined) return `${quote(value)} has angle brackets in the wrong place`;
      [phrase, text] = [text, ''];
    } else if (character === '>') {
      if (phrase === undefined || closed) return `${quote(value)} has angle brackets in the wrong place`;
      closed = true;
    } else if (closed && character.trim() !== '') {
      return `${quote(value)} has text after an address`;
    } else if (!closed) {
      text += character;
    }
  }
  if (phrase !== undefined && !closed) return `${quote(value)} has an angle bracket without its second`;
  finish();
  return entries;
}

function entryOf(phrase: string | undefined, text: string): Entry {
  return { address: text.trim(), ...(phrase !== undefined && { phrase: phrase.trim() }) };
}

/** Index of the closing quotation mark (RFC 5322 §3.2.4), or -1. */
function endOfQuoted(value: string, start: number): number {
  for (let at = start + 1; at < value.length; at++) {
    if (value[at] === '\\') at++;
    else if (value[at] === '"') return at;
  }
  return -1;
}

function parseEntry({ phrase, address }: Entry): ReturnType<typeof parseAddress> {
  if (phrase === undefined) return parseAddress({ address });
  const special = /[@:;[\]\\]/.exec(
    phrase.replace(/"(?:[^"\\]|\\.)*"/g, '').replace(/=\?[^?\s]+\?[bq]\?[^?\s]*\?=/gi, ''),
  );
  if (special) {
    const problem = `The name ${quote(phrase)} contains ${quote(special[0])}; put it in double quotes`;
    return { ok: false, problem: `${problem}.` };
  }
  const plain = phrase.replace(/"((?:[^"\\]|\\.)*)"/g, (_, inner: string) => inner.replace(/\\(.)/g, '$1'));
  return parseAddress({ address, name: decodeWords(plain).replace(/[ \t]+/g, ' ') });
}
