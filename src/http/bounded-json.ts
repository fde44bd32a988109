import { isUtf8 } from 'node:buffer';
import { quote } from '../mail/characters.ts';
import { tellJsonFault } from './json-fault.ts';
import { endOfString } from './json-string.ts';
import { repeatedName } from './repeated-name.ts';

/** How much structure a body may have; no message comes near it. */
export interface JsonBounds {
  /** Objects and arrays within each other. */
  depth: number;
  /** Objects, arrays, members and elements together. */
  values: number;
}

export type BoundedJson =
  | { kind: 'parsed'; value: unknown }
  | { kind: 'invalid'; reason: string }
  /** `member` is the member of the outermost object that was being read. */
  | { kind: 'tooDeep' | 'tooMany'; member?: string };

const QUOTE = 0x22;
const COMMA = 0x2c;

/**
 * Parses JSON (RFC 8259), but only after one pass over the bytes has shown that it is neither deeper nor wider than
 * `bounds`: half a million keys hold the event loop for seconds in `JSON.parse` and in what comes after it, and what
 * comes after it may recurse.
 */
export function parseBoundedJson(body: Buffer, bounds: JsonBounds): BoundedJson {
  if (body.length === 0) return { kind: 'invalid', reason: 'The body is empty; send a JSON object.' };
  if (!isUtf8(body)) return { kind: 'invalid', reason: 'The body is not valid UTF-8.' };
  const members = countMembers(body, bounds);
  if (typeof members !== 'number') return members;
  const text = body.toString('utf8');
  try {
    return judged(body, members, JSON.parse(text));
  } catch {
    return { kind: 'invalid', reason: `The body is not valid JSON${tellJsonFault(text)}.` };
  }
}

function judged(body: Buffer, members: number, value: unknown): BoundedJson {
  const twice = repeatedName(body, members, value);
  if (twice === undefined) return { kind: 'parsed', value };
  return { kind: 'invalid', reason: `The body has the name ${quote(twice)} twice in one object; give it once.` };
}

/**
 * Counts as a JSON parser would if the text is JSON; if it is not, the parser will say so.
 *
 * @returns the members of all objects together, or which bound is broken
 */
function countMembers(body: Buffer, bounds: JsonBounds): BoundedJson | number {
  let members = 0;
  let depth = 0;
  let values = 1;
  let lastString = 0;
  let member = 0;
  for (let i = 0; i < body.length; i++) {
    const byte = body[i];
    if (byte === QUOTE) {
      if (depth === 1) lastString = i;
      i = endOfString(body, i + 1);
    } else if (byte === 0x3a) {
      members++;
      if (depth === 1) member = lastString;
    } else if (byte === COMMA) {
      if (++values > bounds.values) return excess('tooMany', body, member);
    } else if (byte === 0x7b || byte === 0x5b) {
      if (++values > bounds.values) return excess('tooMany', body, member);
      if (++depth > bounds.depth) return excess('tooDeep', body, member);
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--;
    }
  }
  return members;
}

function excess(kind: 'tooDeep' | 'tooMany', body: Buffer, member: number): BoundedJson {
  if (member === 0) return { kind };
  const name = body.toString('utf8', member + 1, Math.min(endOfString(body, member + 1), member + 64));
  return { kind, member: name };
}
