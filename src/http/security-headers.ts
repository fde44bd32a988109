/**
 * For every answer. A plain table, and no more than these: computing them anew for each request, as the usual plugin
 * does, took a third of the time that the whole request takes. No Strict-Transport-Security: this server speaks plain
 * HTTP, where RFC 6797 §7.2 forbids it; whatever ends TLS before it must add it.
 */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/**
 * For Swagger UI: its own scripts, its inline styles and its pictures, and requests to this service alone. No
 * `upgrade-insecure-requests`: over plain HTTP it would leave the page white.
 */
export const DOCS_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
