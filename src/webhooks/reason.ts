/** Why there was no answer, by Node's and OpenSSL's codes. */
const REASONS: Record<string, string> = {
  ECONNREFUSED: 'The connection was refused: nothing listens there.',
  ECONNRESET: 'The connection broke before there was an answer.',
  EPIPE: 'The connection broke before there was an answer.',
  ETIMEDOUT: 'The host could not be reached in time.',
  EHOSTUNREACH: 'There is no route to the host.',
  ENETUNREACH: 'There is no route to the host.',
  CERT_HAS_EXPIRED: 'Its certificate has expired.',
  CERT_NOT_YET_VALID: 'Its certificate is not valid yet.',
  ERR_TLS_CERT_ALTNAME_INVALID: 'Its certificate is for another name.',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'Its certificate is self-signed, and not trusted here.',
  SELF_SIGNED_CERT_IN_CHAIN: 'Its certificate comes from an authority that is not trusted here.',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'Its certificate chain is incomplete, or its authority is not trusted here.',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'Its certificate chain is incomplete, or its authority is not trusted here.',
  HPE_HEADER_OVERFLOW: 'It answered with headers that are too large.',
  ERR_SSL_WRONG_VERSION_NUMBER: 'It does not speak TLS on this port.',
};

/** A sentence for the endpoint's owner. Messages of errors name addresses, which are not told. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  if (code?.startsWith('HPE_')) return REASONS[code] ?? `It did not answer in HTTP (${code}).`;
  return (code && REASONS[code]) ?? `The connection failed${code ? ` (${code})` : ''}.`;
}

/** Where several addresses were tried, the first one's code. */
function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : undefined;
}
