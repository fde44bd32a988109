import type { DetailedPeerCertificate, PeerCertificate } from 'node:tls';

/** What of a certificate a person needs in order to find out where it comes from. */
export interface PresentedCertificate {
  subject: string;
  issuer: string;
  names: string[];
  validFrom: Date;
  validTo: Date;
}

const MOST_CERTIFICATES = 10;

/** The chain as far as Node could follow it, the server's own certificate first; empty if it showed none. */
export function presentedChain(own: DetailedPeerCertificate): PresentedCertificate[] {
  const chain: PresentedCertificate[] = [];
  const seen = new Set<string>();
  let next: DetailedPeerCertificate | undefined = own;
  // A self-signed certificate is its own issuer.
  while (next?.fingerprint256 && !seen.has(next.fingerprint256) && chain.length < MOST_CERTIFICATES) {
    seen.add(next.fingerprint256);
    chain.push(described(next));
    next = next.issuerCertificate;
  }
  return chain;
}

function described({ subject, issuer, subjectaltname, valid_from, valid_to }: PeerCertificate): PresentedCertificate {
  return {
    subject: nameOf(subject),
    issuer: nameOf(issuer),
    names: (subjectaltname ?? '').split(', ').flatMap((each) => /^(?:DNS|IP Address):(.+)$/.exec(each)?.[1] ?? []),
    validFrom: new Date(valid_from),
    validTo: new Date(valid_to),
  };
}

function nameOf(name: PeerCertificate['subject'] | undefined): string {
  const { CN, O } = (name ?? {}) as Record<string, string | string[] | undefined>;
  const organisation = [O ?? []].flat()[0];
  const common = [CN ?? []].flat()[0];
  if (common && organisation && common !== organisation) return `${common} (${organisation})`;
  return common ?? organisation ?? 'somebody without a name';
}

/** OpenSSL's verification results, in its words (openssl-verification-options(1)). */
const VERIFICATION_WORDS: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'self-signed certificate in certificate chain',
  UNABLE_TO_GET_ISSUER_CERT: 'unable to get issuer certificate',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unable to get local issuer certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unable to verify the first certificate',
  CERT_HAS_EXPIRED: 'certificate has expired',
  CERT_NOT_YET_VALID: 'certificate is not yet valid',
  CERT_REVOKED: 'certificate revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: "Hostname/IP does not match certificate's altnames",
};

/** @param error a TLSSocket's `authorizationError`: typed as an Error, but at run time OpenSSL's code as a string */
export function whyUntrusted(error: unknown): { code: string; message: string } {
  const code = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error);
  return { code, message: VERIFICATION_WORDS[code] ?? code };
}
