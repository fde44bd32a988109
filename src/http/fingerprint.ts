import { createHash, type Hash, hash } from 'node:crypto';

/** Strings are hashed in pieces of this many UTF-16 units, so that an attachment is not copied whole once more. */
const PIECE = 65_536;

/**
 * SHA-256, hex, of the canonical form of a parsed body: members sorted by name, no white space. Two bodies that say
 * the same in another order or layout have the same fingerprint.
 *
 * @param body a value from `JSON.parse`, not deeper than the stack allows
 */
export function fingerprint(body: unknown): string {
  let large: Hash | undefined;
  // Gathered, because a call of `update` costs more than hashing a hundred bytes, and a `Hash` more than that.
  let pending = '';
  write(body, (text) => {
    pending += text;
    if (pending.length < PIECE) return;
    large ??= createHash('sha256');
    large.update(pending, 'utf8');
    pending = '';
  });
  return large ? large.update(pending, 'utf8').digest('hex') : hash('sha256', pending, 'hex');
}

type Push = (text: string) => void;

function write(value: unknown, push: Push): void {
  if (typeof value === 'string') writeString(value, push);
  else if (Array.isArray(value)) writeArray(value, push);
  else if (typeof value === 'object' && value !== null) writeObject(value as Record<string, unknown>, push);
  else push(JSON.stringify(value) ?? 'null');
}

/** `JSON.stringify` escapes the halves of a pair that a cut parts, so nothing is lost at a cut. */
function writeString(text: string, push: Push): void {
  if (text.length <= PIECE) {
    push(JSON.stringify(text));
    return;
  }
  push('"');
  for (let at = 0; at < text.length; at += PIECE) push(JSON.stringify(text.slice(at, at + PIECE)).slice(1, -1));
  push('"');
}

function writeArray(array: readonly unknown[], push: Push): void {
  push('[');
  for (const element of array) {
    write(element, push);
    push(',');
  }
  push(']');
}

function writeObject(object: Record<string, unknown>, push: Push): void {
  push('{');
  for (const name of Object.keys(object).sort()) {
    push(`${JSON.stringify(name)}:`);
    write(object[name], push);
    push(',');
  }
  push('}');
}
