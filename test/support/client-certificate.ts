import { constants, createHash, generateKeyPairSync, randomUUID, sign, X509Certificate } from 'node:crypto';
import { generate } from 'selfsigned';
import type { FederatedCredential } from '../../src/sandbox/sandbox.ts';

export interface TestCertificate {
  certificate: string;
  privateKey: string;
}

/** A self-signed RSA certificate, as one uploads to an app registration. */
export async function makeClientCertificate(dates: { notAfter?: Date } = {}): Promise<TestCertificate> {
  const made = await generate([{ name: 'commonName', value: 'postroom' }], {
    keySize: 2048,
    algorithm: 'sha256',
    notBeforeDate: new Date('2020-01-01'),
    notAfterDate: dates.notAfter ?? new Date('2120-01-01'),
  });
  return { certificate: made.cert, privateKey: made.private };
}

export interface TestIssuer {
  /** What the application registers. */
  credential: FederatedCredential;
  /** A token as the issuer would put it into the file; good unless changed. */
  assertion(claims?: Record<string, unknown>): string;
}

/** A Kubernetes cluster, as far as federation is concerned. */
export function makeIssuer(subject = 'system:serviceaccount:mail:postroom'): TestIssuer {
  const issuer = 'https://oidc.cluster.example/';
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return {
    credential: { issuer, subject, publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() },
    assertion: (claims) =>
      signJwt(
        { alg: 'RS256', kid: 'cluster' },
        { iss: issuer, sub: subject, aud: ['api://AzureADTokenExchange'], ...times(), ...claims },
        pem,
      ),
  };
}

/** An assertion signed with a certificate, made without any library: Entra's rules as a second hand reads them. */
export function certificateAssertion(
  { certificate, privateKey }: TestCertificate,
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
): string {
  const thumbprint = createHash('sha256').update(new X509Certificate(certificate).raw).digest('base64url');
  const named = { alg: 'PS256', typ: 'JWT', 'x5t#S256': thumbprint, ...header };
  return signJwt(named, { jti: randomUUID(), ...times(), ...claims }, privateKey);
}

function times() {
  const now = Math.floor(Date.now() / 1_000);
  return { iat: now, nbf: now, exp: now + 300 };
}

function signJwt(header: Record<string, unknown>, claims: Record<string, unknown>, key: string): string {
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const padding =
    header.alg === 'PS256'
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
      : { padding: constants.RSA_PKCS1_PADDING };
  return `${signed}.${sign('sha256', Buffer.from(signed), { key, ...padding }).toString('base64url')}`;
}
