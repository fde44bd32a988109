const CR = 0x0d;
const LF = 0x0a;

/**
 * The same octets with every line end (CR, LF or CRLF) as CRLF, and one at the end. The very buffer if it is so
 * already: a large message is not copied for nothing.
 */
export function withCrlf(octets: Buffer): Buffer {
  const bare = bareLineEnds(octets);
  const missing = octets.length > 0 && octets[octets.length - 1] !== LF && octets[octets.length - 1] !== CR ? 2 : 0;
  if (bare === 0 && missing === 0) return octets;
  const out = Buffer.allocUnsafe(octets.length + bare + missing);
  let to = 0;
  for (let at = 0; at < octets.length; at++) {
    const octet = octets[at] as number;
    if (octet !== CR && octet !== LF) {
      out[to++] = octet;
      continue;
    }
    if (octet === CR && octets[at + 1] === LF) at++;
    out[to++] = CR;
    out[to++] = LF;
  }
  if (missing > 0) out.write('\r\n', to, 'latin1');
  return out;
}

/** How many CRs are without LF, and LFs without CR. */
function bareLineEnds(octets: Buffer): number {
  let bare = 0;
  for (let at = octets.indexOf(LF); at >= 0; at = octets.indexOf(LF, at + 1)) {
    if (octets[at - 1] !== CR) bare++;
  }
  for (let at = octets.indexOf(CR); at >= 0; at = octets.indexOf(CR, at + 1)) {
    if (octets[at + 1] !== LF) bare++;
  }
  return bare;
}

/** Octets of the longest line, without its end. @param octets with CRLF line ends */
export function longestLine(octets: Buffer): number {
  let longest = 0;
  let start = 0;
  for (let end = octets.indexOf(LF); end >= 0; end = octets.indexOf(LF, start)) {
    longest = Math.max(longest, end - 1 - start);
    start = end + 1;
  }
  return Math.max(longest, octets.length - start);
}
