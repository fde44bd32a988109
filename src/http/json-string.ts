const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Longer strings are searched for their end by `indexOf`, which pays only then. */
const SHORT_STRING = 256;

/** Index of the quote that ends the string, or the length of the body. */
export function endOfString(body: Buffer, start: number): number {
  const near = Math.min(body.length, start + SHORT_STRING);
  for (let i = start; i < near; i++) {
    const byte = body[i];
    if (byte === QUOTE) return i;
    if (byte === BACKSLASH) i++;
  }
  return near === body.length ? near : endOfLongString(body, start);
}

/** A quote ends the string unless an odd number of backslashes stands before it (RFC 8259 §7). */
function endOfLongString(body: Buffer, start: number): number {
  for (let quote = body.indexOf(QUOTE, start); quote >= 0; quote = body.indexOf(QUOTE, quote + 1)) {
    let first = quote;
    while (first > start && body[first - 1] === BACKSLASH) first--;
    if ((quote - first) % 2 === 0) return quote;
  }
  return body.length;
}
