import { createHash, createPrivateKey, subtle, type webcrypto, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as oauth from 'oauth4webapi';

/** A certificate that is registered with the application, and its private key; both PEM, one of each. */
export interface ClientCertificate {
  certificate: string;
  /** RSA, unencrypted. */
  privateKey: string;
}

/** The three ways in which an application proves to Entra ID who it is. */
export type ClientCredential =
  | { clientSecret: string; clientCertificate?: never; federatedTokenFile?: never }
  | { clientSecret?: never; clientCertificate: ClientCertificate; federatedTokenFile?: never }
  /** A file that holds an assertion of another issuer, which whoever runs us (Kubernetes, for one) renews. */
  | { clientSecret?: never; clientCertificate?: never; federatedTokenFile: string };

/** The form fields that carry a credential: nothing that they hold may be told to anybody. */
export const CREDENTIAL_FIELDS = ['client_secret', 'client_assertion'] as const;

/** What the token request is authenticated with (RFC 6749 §2.3, RFC 7523 §2.2). */
export function clientAuthentication(credential: ClientCredential): oauth.ClientAuth {
  if (credential.clientSecret !== undefined) return oauth.ClientSecretPost(credential.clientSecret);
  if (credential.clientCertificate) return byCertificate(credential.clientCertificate);
  return byFederatedToken(credential.federatedTokenFile);
}

/** Entra ID advises 5 to 10 minutes, and a clock that differs from its own by a minute must not matter. */
const ASSERTION_LIFETIME_SECONDS = 300;

/**
 * `private_key_jwt` as Entra ID wants it: PS256, the certificate named by its SHA-256 thumbprint, the token endpoint as
 * the audience (learn.microsoft.com, "Microsoft identity platform certificate credentials", read 2026-11).
 */
function byCertificate({ certificate, privateKey }: ClientCertificate): oauth.ClientAuth {
  let ready: Promise<oauth.ClientAuth> | undefined;
  return async (server, client, body, headers) => {
    ready ??= prepare(certificate, privateKey, server.token_endpoint);
    return (await ready)(server, client, body, headers);
  };
}

async function prepare(certificate: string, privateKey: string, audience: string | undefined) {
  const thumbprint = createHash('sha256').update(new X509Certificate(certificate).raw).digest('base64url');
  return oauth.PrivateKeyJwt(await importKey(privateKey), {
    [oauth.modifyAssertion]: (header, payload) => {
      Object.assign(header, { typ: 'JWT', 'x5t#S256': thumbprint });
      Object.assign(payload, { aud: audience, exp: Number(payload.iat) + ASSERTION_LIFETIME_SECONDS });
    },
  });
}

/** Node reads PKCS #1 and PKCS #8 alike; Web Crypto takes the latter, and RSA-PSS is what makes it PS256. */
function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const pkcs8 = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  return subtle.importKey('pkcs8', pkcs8, { name: 'RSA-PSS', hash: 'SHA-256' }, false, ['sign']);
}

/** RFC 7523 §2.2 with an assertion that we did not make. It is read anew for every request: it is replaced while we run. */
function byFederatedToken(path: string): oauth.ClientAuth {
  return async (_server, client, body) => {
    body.set('client_id', client.client_id);
    body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
    body.set('client_assertion', await readAssertion(path));
  };
}

/** There is no assertion to show. The message tells the path, never what the file holds. */
export class AssertionFileError extends Error {
  readonly code = 'EASSERTIONFILE';
}

async function readAssertion(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new AssertionFileError(`The federated token file cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  });
  if (!looksLikeAssertion(text)) throw new AssertionFileError(`The federated token file holds no JWT: ${path}`);
  return text.trim();
}

/** A JWT in its compact form (RFC 7515 §7.1): three parts of base64url. */
export function looksLikeAssertion(text: string): boolean {
  return text.length < 65_536 && /^\s*[\w-]+\.[\w-]+\.[\w-]+\s*$/.test(text);
}
