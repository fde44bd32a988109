import { rootCertificates as BUILT_IN_ROOTS, createSecureContext, type SecureContext } from 'node:tls';
import { type TlsSessions, tlsSessions } from './tls-sessions.ts';

/** What a server's certificate is verified against. */
export interface Trust {
  context: SecureContext;
  /** Those that connections left which trust the same. */
  sessions: TlsSessions;
}

const trusts = new Map<string | undefined, Trust>();

/**
 * TLS 1.2 or newer, trusting the built-in roots and `ca`. Kept, since to read all the roots takes tens of milliseconds
 * in which nothing else runs. Node uses `ca` instead of its built-in roots, so both are named.
 */
export function trusting(ca: string | undefined): Trust {
  const known = trusts.get(ca);
  if (known) return known;
  const context = createSecureContext({ minVersion: 'TLSv1.2', ...(ca && { ca: [ca, ...BUILT_IN_ROOTS] }) });
  const trust = { context, sessions: tlsSessions() };
  trusts.set(ca, trust);
  return trust;
}
