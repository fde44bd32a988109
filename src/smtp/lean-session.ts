const SEQUENCE = 0x30;
/** `peer [3] EXPLICIT X509 OPTIONAL`, in OpenSSL's serialisation of a session (`ssl/ssl_asn1.c`, i2d_SSL_SESSION(3)). */
const PEER_CERTIFICATE = 0xa3;

/** Newer versions of Node write before it, with its length in two octets, the host it was verified for (seen with 22.23 and 24.21). */
const HOST_BEFORE_IT = Buffer.from('\0nodejs:tls:session:1\0', 'latin1');

/**
 * A serialised TLS 1.3 session without the server's certificate, which nobody asks a resumed one for: to decode it and
 * its key took OpenSSL 3.0 longer than the rest of the handshake. One that is not as expected stays as it is.
 *
 * Node holds a resumed session without a certificate to be verified if it is of TLS 1.3, and never one of TLS 1.2
 * (`VerifyPeerCertificate` in its `crypto_common.cc`, later in `ncrypto.cc`, read 2026-11). So only a session that was
 * verified may be given to this.
 */
export function withoutCertificate(session: Buffer): Buffer {
  const begin = beginOf(session);
  const whole = elementAt(session, begin);
  if (whole?.tag !== SEQUENCE || whole.end !== session.length) return session;
  for (let at = whole.start; at < whole.end; ) {
    const part = elementAt(session, at);
    if (!part || part.end > whole.end) return session;
    if (part.tag === PEER_CERTIFICATE) {
      const rest = [session.subarray(whole.start, at), session.subarray(part.end, whole.end)];
      return Buffer.concat([session.subarray(0, begin), ...sequenceOf(...rest)]);
    }
    at = part.end;
  }
  return session;
}

function beginOf(session: Buffer): number {
  const length = HOST_BEFORE_IT.length;
  const isHostKnown = session.length >= length + 2 && session.subarray(0, length).equals(HOST_BEFORE_IT);
  return isHostKnown ? length + 2 + session.readUInt16BE(length) : 0;
}

interface Element {
  tag: number;
  /** Of its contents. */
  start: number;
  end: number;
}

/** DER (ITU-T X.690 §8.1, §10.1), of tags and lengths as small as they are here; else undefined. */
function elementAt(octets: Buffer, at: number): Element | undefined {
  const [tag, first] = [octets[at], octets[at + 1]];
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return undefined;
  if (first < 0x80) return { tag, start: at + 2, end: at + 2 + first };
  const digits = first & 0x7f;
  const start = at + 2 + digits;
  if (digits < 1 || digits > 3 || start > octets.length) return undefined;
  return { tag, start, end: start + octets.readUIntBE(at + 2, digits) };
}

function sequenceOf(...parts: Buffer[]): Buffer[] {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return [header(length), ...parts];
}

function header(length: number): Buffer {
  if (length < 0x80) return Buffer.of(SEQUENCE, length);
  const digits = length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
  const octets = Buffer.of(SEQUENCE, 0x80 | digits, ...Buffer.alloc(digits));
  octets.writeUIntBE(length, 2, digits);
  return octets;
}
