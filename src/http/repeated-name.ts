import { endOfString } from './json-string.ts';

const QUOTE = 0x22;
const COLON = 0x3a;
const OPENING = new Set([0x7b, 0x5b]);
const CLOSING = new Set([0x7d, 0x5d]);

/**
 * A name that an object has twice, of which parsers keep only one (RFC 8259 §4): a second `to` would silently lose the
 * recipients of the first.
 *
 * @param members how many the text has, by its colons
 * @param value what was parsed of it
 */
export function repeatedName(body: Buffer, members: number, value: unknown): string | undefined {
  return membersIn(value) === members ? undefined : findRepeated(body);
}

/** Not deeper than what is asked of the text before. */
function membersIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let members = 0;
  if (Array.isArray(value)) for (const each of value) members += membersIn(each);
  else for (const name in value) members += 1 + membersIn((value as Record<string, unknown>)[name]);
  return members;
}

/** Slower, and done only where there is one. */
function findRepeated(body: Buffer): string {
  const open: Set<string>[] = [];
  let string = [0, 0];
  for (let at = 0; at < body.length; at++) {
    const byte = body[at] as number;
    if (byte === QUOTE) {
      string = [at, endOfString(body, at + 1) + 1];
      at = (string[1] ?? 0) - 1;
    } else if (byte === COLON) {
      const name = JSON.parse(body.toString('utf8', string[0], string[1])) as string;
      if (open.at(-1)?.has(name)) return name;
      open.at(-1)?.add(name);
    } else if (OPENING.has(byte)) open.push(new Set());
    else if (CLOSING.has(byte)) open.pop();
  }
  return '';
}
