/** How a body is written so that it passes any SMTP server unchanged (RFC 2045 §6). */
export interface EncodedBody {
  encoding: '7bit' | 'quoted-printable' | 'base64';
  /** ASCII, CRLF line ends only, no line over 78 octets, no line that begins with a dot. May lie in the room. */
  body: string | Buffer;
}

/**
 * Memory that the bodies of one message are encoded in, until they are copied into the whole: of its own for each, it
 * would be the dearest part of a small one.
 */
export interface Room {
  octets: Buffer;
  used: number;
}

export function makeRoom(): Room {
  return { octets: Buffer.allocUnsafeSlow(65_536), used: 0 };
}

/** So many octets of the room; of what is too large for it, memory of its own. */
function take(room: Room, length: number): Buffer {
  if (length > room.octets.length - room.used) return Buffer.allocUnsafe(length);
  const from = room.used;
  room.used += length;
  return room.octets.subarray(from, room.used);
}

/** RFC 2045 §6.7 rule 5 and §6.8. */
const MAX_ENCODED_LINE = 76;
/** RFC 5322 §2.1.1, the limit that readers like. */
const MAX_PLAIN_LINE = 78;

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const EQUALS = 0x3d;
const DOT = 0x2e;
const F = 0x46;
const HEX = Buffer.from('0123456789ABCDEF');

/**
 * Encodes a text in the cheapest way that is safe: as it is where every line is short ASCII, else quoted-printable, or
 * base64 where that is shorter for being mostly outside ASCII. Every kind of line end (CR, LF, CRLF) becomes CRLF.
 */
export function encodeText(text: string, room: Room): EncodedBody {
  const lines = withCrlf(text);
  if (isPlain(lines)) return { encoding: '7bit', body: lines };
  const bytes = take(room, Buffer.byteLength(lines));
  bytes.write(lines);
  // Of ASCII next to nothing has to be encoded.
  if (bytes.length > lines.length && isMostlyForeign(bytes)) return { encoding: 'base64', body: encodeBase64(bytes) };
  return { encoding: 'quoted-printable', body: encodeQuotedPrintable(bytes, room) };
}

/** RFC 2045 §6.8, in lines of 76, without a line end after the last. */
function encodeBase64(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(base64Length(bytes.length));
  writeBase64(bytes, out, 0);
  return out;
}

/** The octets that `encodeBase64` makes of so many. */
export function base64Length(octets: number): number {
  return 4 * Math.ceil(octets / 3) + 2 * Math.max(0, Math.ceil(octets / OCTETS_PER_LINE) - 1);
}

const OCTETS_PER_LINE = (MAX_ENCODED_LINE / 4) * 3;
/** Small enough to stay in the processor's cache. */
const LINES_PER_SLAB = 512;

/**
 * Writes base64 straight into a bigger buffer. The digits of some lines are written behind the room for their line ends
 * and then moved forward one by one: several times as fast as lines put together, and no second copy of a big file.
 */
export function writeBase64(bytes: Buffer, out: Buffer, at: number): void {
  const slab = LINES_PER_SLAB * OCTETS_PER_LINE;
  for (let from = 0, to = at; from < bytes.length; from += slab, to += LINES_PER_SLAB * (MAX_ENCODED_LINE + 2)) {
    const digits = bytes.toString('base64', from, from + slab);
    const isLast = from + slab >= bytes.length;
    const breaks = isLast ? Math.ceil(digits.length / MAX_ENCODED_LINE) - 1 : LINES_PER_SLAB;
    out.write(digits, to + 2 * breaks, 'latin1');
    breakLines(out, to, breaks);
  }
}

/** Moves `breaks` lines of digits forward to `at`, from behind the room that their line ends need. */
function breakLines(out: Buffer, at: number, breaks: number): void {
  let from = at + 2 * breaks;
  let to = at;
  for (let line = 0; line < breaks; line++) {
    out.copyWithin(to, from, from + MAX_ENCODED_LINE);
    from += MAX_ENCODED_LINE;
    to += MAX_ENCODED_LINE;
    out[to++] = CR;
    out[to++] = LF;
  }
}

/**
 * RFC 2045 §6.7. Also encodes a dot and the F of `From ` at the beginning of a line, which some programs change
 * (RFC 2049 §3), so that no line of a body can be taken for the end of the data.
 *
 * @param bytes with CRLF line ends
 */
function encodeQuotedPrintable(bytes: Buffer, room: Room): Buffer {
  const { used } = room;
  const out = take(room, longestQuotedPrintable(bytes.length));
  let to = 0;
  let column = 0;
  for (let at = 0; at < bytes.length; at++) {
    // Nearly every octet: it stands for itself wherever it is within a line.
    if (column > 0) {
      const from = at;
      const end = Math.min(bytes.length, at + MAX_ENCODED_LINE - 1 - column);
      while (at < end && (SIMPLE[bytes[at] as number] === 1 || isInnerSpace(bytes, at)))
        out[to++] = bytes[at++] as number;
      column += at - from;
      if (at === bytes.length) break;
    }
    const byte = bytes[at] as number;
    if (byte === CR && bytes[at + 1] === LF) {
      out[to++] = CR;
      out[to++] = LF;
      column = 0;
      at++;
      continue;
    }
    const literal = LITERAL[byte] === 1 && !(column === 0 && startsBadly(bytes, at)) && !endsLine(bytes, at);
    const width = literal ? 1 : 3;
    // The last column is kept for the `=` of a soft line break.
    if (column + width > MAX_ENCODED_LINE - 1) {
      out[to++] = EQUALS;
      out[to++] = CR;
      out[to++] = LF;
      column = 0;
      at--;
      continue;
    }
    column += width;
    if (literal) {
      out[to++] = byte;
      continue;
    }
    out[to++] = EQUALS;
    out[to++] = HEX[byte >> 4] as number;
    out[to++] = HEX[byte & 15] as number;
  }
  // Hardly any body is as long as it could have been.
  if (room.used > used) room.used = used + to;
  return out.subarray(0, to);
}

/** 1 for the octets that stand for themselves: printable ASCII without `=`, space and tab. */
const LITERAL = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte === TAB || (byte >= SPACE && byte <= 0x7e && byte !== EQUALS) ? 1 : 0,
);

/** The same without white space, which the end of a line would change. */
const SIMPLE = LITERAL.map((literal, byte) => (byte === TAB || byte === SPACE ? 0 : literal));

function isInnerSpace(bytes: Buffer, at: number): boolean {
  return bytes[at] === SPACE && at + 1 < bytes.length && SIMPLE[bytes[at + 1] as number] === 1;
}

/** Every octet as `=XX`, and a soft line break for every 25 of them. */
function longestQuotedPrintable(octets: number): number {
  return 3 * octets + 3 * (Math.floor(octets / 25) + 1);
}

function startsBadly(bytes: Buffer, at: number): boolean {
  return bytes[at] === DOT || (bytes[at] === F && bytes.toString('latin1', at, at + 5) === 'From ');
}

/** White space at the end of a line is lost on the way (RFC 2045 §6.7 rule 3). */
function endsLine(bytes: Buffer, at: number): boolean {
  if (bytes[at] !== SPACE && bytes[at] !== TAB) return false;
  return at + 1 === bytes.length || (bytes[at + 1] === CR && bytes[at + 2] === LF);
}

function withCrlf(text: string): string {
  return text.includes('\n') || text.includes('\r') ? text.replace(/\r\n|[\r\n]/g, '\r\n') : text;
}

/** Printable ASCII in short lines, none of which would need the care of `encodeQuotedPrintable`. */
function isPlain(lines: string): boolean {
  // The lines first: most texts have a long one, and are not searched for the rest.
  return lines.split('\r\n').every(isPlainLine) && !/[^\t\r\n\x20-\x7e]/.test(lines);
}

function isPlainLine(line: string): boolean {
  if (line.length > MAX_PLAIN_LINE || line.startsWith('.') || line.startsWith('From ')) return false;
  // Could be taken for a boundary; quoted-printable leaves no `=_` (RFC 2045 §6.7).
  if (line.startsWith('--=_')) return false;
  return !line.endsWith(' ') && !line.endsWith('\t');
}

/** Base64 takes a third more for every octet, quoted-printable two more for every one that is not literal. */
function isMostlyForeign(bytes: Buffer): boolean {
  let foreign = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (LITERAL[byte] === 0 && byte !== CR && byte !== LF) foreign++;
  }
  return foreign * 6 > bytes.length;
}
