import { generate } from 'selfsigned';

/** A server's private key and certificate, both PEM. */
export interface Certificate {
  key: string;
  cert: string;
  /** What a client must trust to accept the certificate. The certificate signs itself, so this is `cert`. */
  caPem: string;
}

export interface CertificateOptions {
  /** DNS names and IP addresses the certificate is for. */
  names?: string[];
  notBefore?: Date;
  notAfter?: Date;
}

const DAY_MS = 24 * 60 * 60 * 1_000;
const DEFAULT_NAMES = ['localhost', '127.0.0.1', '::1'];

/**
 * Makes a fresh, self-signed server certificate with its own key.
 *
 * @param options other names or other dates make the certificates that a careful client must refuse: expired, not
 *   yet valid, for somebody else
 */
export async function makeCertificate(options: CertificateOptions = {}): Promise<Certificate> {
  const names = options.names ?? DEFAULT_NAMES;
  // A day of grace, for clients whose clock runs behind ours.
  const notBefore = options.notBefore ?? new Date(Date.now() - DAY_MS);
  const notAfter = options.notAfter ?? new Date(Date.now() + 365 * DAY_MS);
  const made = await generate([{ name: 'commonName', value: names[0] ?? 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: notBefore,
    notAfterDate: notAfter,
    extensions: [
      // Both a CA and a server certificate: OpenSSL then accepts it as its own trust anchor.
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: names.map(alternativeName) },
    ],
  });
  return { key: made.private, cert: made.cert, caPem: made.cert };
}

function alternativeName(name: string): { type: 2; value: string } | { type: 7; ip: string } {
  const isAddress = /^[0-9.]+$/.test(name) || name.includes(':');
  return isAddress ? { type: 7, ip: name } : { type: 2, value: name };
}
