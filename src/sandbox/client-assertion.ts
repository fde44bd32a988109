import { constants, createHash, createPublicKey, type KeyObject, verify, X509Certificate } from 'node:crypto';

/** Whose workloads may log in as the application: a federated identity credential of its registration. */
export interface FederatedCredential {
  issuer: string;
  subject: string;
  /** Default `api://AzureADTokenExchange`. */
  audience?: string;
  /** PEM. Entra ID fetches the issuer's keys from its discovery document; the stand-in is told one. */
  publicKey: string;
}

/** What the application has registered to prove who it is, besides its secret. */
export interface Registrations {
  clientId: string;
  /** PEM. */
  clientCertificates: readonly string[];
  federatedCredentials: readonly FederatedCredential[];
  /** Milliseconds. */
  now: () => number;
}

/** Why an assertion is refused: the AADSTS number and its sentence. */
export interface AssertionFault {
  code: number;
  sentence: string;
}

/** @returns undefined for an assertion that is good */
export type AssertionJudge = (type: string | null, assertion: string, tokenUrl: string) => AssertionFault | undefined;

const TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const EXCHANGE = 'api://AzureADTokenExchange';
/** Entra ID lets clocks differ by five minutes. */
const TOLERATED_SECONDS = 300;

/**
 * Checks client assertions (RFC 7523 §3) as Entra ID does: those that the application signed with a registered
 * certificate, and those of a registered foreign issuer.
 */
export function assertionJudge(registrations: Registrations): AssertionJudge {
  const used = new Map<string, number>();
  return (type, assertion, tokenUrl) => {
    const jwt = type === TYPE ? parse(assertion) : undefined;
    if (!jwt) return { code: 50027, sentence: 'JWT token is invalid or malformed.' };
    const seconds = registrations.now() / 1_000;
    const fault = isOurOwn(jwt)
      ? judgeOwn(jwt, tokenUrl, registrations, seconds)
      : judgeFederated(jwt, registrations, seconds);
    return fault ?? (isOurOwn(jwt) ? judgeReuse(jwt, used, seconds) : undefined);
  };
}

interface Jwt {
  header: Record<string, unknown>;
  claims: Record<string, unknown>;
  signed: Buffer;
  signature: Buffer;
}

function parse(assertion: string): Jwt | undefined {
  const [header, claims, signature, ...more] = assertion.split('.');
  if (!header || !claims || !signature || more.length > 0) return undefined;
  try {
    return {
      header: jsonObject(header),
      claims: jsonObject(claims),
      signed: Buffer.from(`${header}.${claims}`),
      signature: Buffer.from(signature, 'base64url'),
    };
  } catch {
    return undefined;
  }
}

function jsonObject(part: string): Record<string, unknown> {
  const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  if (typeof value !== 'object' || value === null) throw new Error('Not an object');
  return value as Record<string, unknown>;
}

/** One that names a certificate is the application's own. */
function isOurOwn({ header }: Jwt): boolean {
  return 'x5t#S256' in header || 'x5t' in header;
}

/** learn.microsoft.com, "Microsoft identity platform certificate credentials", read 2026-11. */
function judgeOwn(jwt: Jwt, tokenUrl: string, { clientId, clientCertificates }: Registrations, seconds: number) {
  const { header, claims } = jwt;
  if (![claims.iss, claims.sub].every((each) => String(each).toLowerCase() === clientId))
    return fault(700021, "Client assertion application identifier doesn't match 'client_id' parameter.");
  const certificate = clientCertificates
    .map((pem) => new X509Certificate(pem))
    .find((each) => thumbprintOf(each) === header['x5t#S256']);
  if (!certificate) return badSignature('The key was not found.', header);
  if (Date.parse(certificate.validTo) < seconds * 1_000) return badSignature('The key used is expired.', header);
  if (!isSignedBy(certificate.publicKey, jwt))
    return badSignature('The provided signature value did not match the expected signature value.', header);
  if (claims.aud !== tokenUrl) return fault(700023, 'Client assertion audience claim does not match Realm issuer.');
  return judgeTime(claims, seconds);
}

function thumbprintOf(certificate: X509Certificate): string {
  return createHash('sha256').update(certificate.raw).digest('base64url');
}

/** learn.microsoft.com, "Workload identity federation", read 2026-11; compared with their case since 2024. */
function judgeFederated(jwt: Jwt, { federatedCredentials }: Registrations, seconds: number) {
  const { iss, sub, aud } = jwt.claims;
  const ofIssuer = federatedCredentials.filter(({ issuer }) => issuer === iss);
  if (ofIssuer.length === 0) return noRecord(700211, `issuer '${String(iss)}'`);
  const ofSubject = ofIssuer.filter(({ subject }) => subject === sub);
  if (ofSubject.length === 0) return noRecord(700213, `subject '${String(sub)}'`);
  const record = ofSubject.find(({ audience = EXCHANGE }) => [aud].flat().includes(audience));
  if (!record) return noRecord(700212, `audience '${String(aud)}'`);
  if (!isSignedBy(createPublicKey(record.publicKey), jwt))
    return badSignature('The provided signature value did not match the expected signature value.', jwt.header);
  return judgeTime(jwt.claims, seconds);
}

function noRecord(code: number, what: string): AssertionFault {
  return fault(
    code,
    `No matching federated identity record found for presented assertion ${what}. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.`,
  );
}

/** RS256 and PS256 (RFC 7518 §3.3, §3.5). */
function isSignedBy(key: KeyObject, { header, signed, signature }: Jwt): boolean {
  if (key.asymmetricKeyType !== 'rsa') return false;
  if (header.alg === 'RS256') return verify('sha256', signed, key, signature);
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  return header.alg === 'PS256' && verify('sha256', signed, { key, ...padding }, signature);
}

function judgeTime({ nbf, exp }: Record<string, unknown>, seconds: number): AssertionFault | undefined {
  const isBegun = nbf === undefined || Number(nbf) <= seconds + TOLERATED_SECONDS;
  if (typeof exp === 'number' && isBegun && exp > seconds - TOLERATED_SECONDS) return undefined;
  const time = (value: unknown) => new Date(Number(value) * 1_000 || 0).toISOString();
  return fault(
    700024,
    `Client assertion is not within its valid time range. Current time: ${time(seconds)}, assertion valid from ${time(nbf)}, expiry time of assertion ${time(exp)}.`,
  );
}

/** Stricter than Entra ID is known to be, so that a client that signs once and repeats itself is found out. */
function judgeReuse({ claims }: Jwt, used: Map<string, number>, seconds: number): AssertionFault | undefined {
  const { jti, exp } = claims;
  for (const [id, until] of used) if (until < seconds) used.delete(id);
  if (typeof jti !== 'string' || used.has(jti)) return fault(50027, 'JWT token is invalid: its jti was used before.');
  used.set(jti, Number(exp) + TOLERATED_SECONDS);
  return undefined;
}

function badSignature(reason: string, header: Record<string, unknown>): AssertionFault {
  const thumbprint = String(header['x5t#S256'] ?? header.x5t ?? header.kid ?? '');
  return fault(
    700027,
    `Client assertion failed signature validation. [Reason - ${reason}, Thumbprint of key used by client: '${thumbprint}'].`,
  );
}

function fault(code: number, sentence: string): AssertionFault {
  return { code, sentence };
}
