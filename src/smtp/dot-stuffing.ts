const CHUNK_BYTES = 64 * 1024;
const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;

/**
 * The message as it goes over the wire (RFC 5321 §4.5.2): a dot at the beginning of a line is doubled. So is one behind a
 * bare CR or LF, which ours never have: no server may take it for the end, whatever it takes for a line.
 */
export function* dotStuffed(mime: Buffer): Generator<Buffer> {
  for (let at = 0; at < mime.length; at += CHUNK_BYTES)
    yield stuffed(mime.subarray(at, at + CHUNK_BYTES), at === 0 ? LF : (mime[at - 1] as number));
}

function stuffed(chunk: Buffer, before: number): Buffer {
  const startsSo = chunk[0] === DOT && isLineEnd(before);
  if (!startsSo && !chunk.includes('\n.') && !chunk.includes('\r.')) return chunk;
  const out = Buffer.allocUnsafe(2 * chunk.length);
  let to = 0;
  let previous = before;
  for (const octet of chunk) {
    if (octet === DOT && isLineEnd(previous)) out[to++] = DOT;
    out[to++] = octet;
    previous = octet;
  }
  return out.subarray(0, to);
}

function isLineEnd(octet: number): boolean {
  return octet === LF || octet === CR;
}

const DOT_LINE = Buffer.from('.\r\n');
const LINE_END_AND_DOT_LINE = Buffer.from('\r\n.\r\n');

/** RFC 5321 §4.1.1.4: the line that ends the data, after the message's own last line end. */
export function endOfData(mime: Buffer): Buffer {
  return mime.at(-1) === LF ? DOT_LINE : LINE_END_AND_DOT_LINE;
}
