import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ClientCertificate, type ClientCredential, looksLikeAssertion } from './smtp/client-authentication.ts';

/** Where an application's credential is configured; one of the first three, the key's file only beside a certificate. */
export interface CredentialSource {
  clientSecret?: string | undefined;
  certificateFile?: string | undefined;
  federatedTokenFile?: string | undefined;
  keyFile?: string | undefined;
}

/** What an operator calls each of them. */
export type CredentialNames = Record<keyof CredentialSource, string>;

/** With the day on which a certificate ends; of a secret it is not known. */
export type ReadCredential = ClientCredential & { ends?: string };

const WAYS = ['clientSecret', 'certificateFile', 'federatedTokenFile'] as const;

/** @returns undefined where none is configured, or where what is configured has a fault, which is then told */
export function readCredential(
  source: CredentialSource,
  names: CredentialNames,
  faults: string[],
): ReadCredential | undefined {
  const ways = WAYS.filter((way) => source[way] !== undefined);
  if (ways.length > 1) {
    faults.push(`${ways.map((way) => names[way]).join(' and ')} are both set; keep one way to log in.`);
    return undefined;
  }
  const { clientSecret, certificateFile, federatedTokenFile, keyFile } = source;
  if (keyFile !== undefined && certificateFile === undefined)
    faults.push(`${names.keyFile} is set without ${names.certificateFile}.`);
  if (clientSecret !== undefined) return { clientSecret };
  if (certificateFile !== undefined) return readCertificate(certificateFile, keyFile, names, faults);
  if (federatedTokenFile !== undefined) return readFederated(federatedTokenFile, names.federatedTokenFile, faults);
  return undefined;
}

/** Tried now, so that a wrong path is told at start; what counts is what it holds when a token is asked for. */
function readFederated(path: string, name: string, faults: string[]): ReadCredential | undefined {
  const text = readText(path, name, faults);
  if (text === undefined) return undefined;
  if (looksLikeAssertion(text)) return { federatedTokenFile: path };
  faults.push(`${name} holds no JWT: ${path}`);
  return undefined;
}

/** A certificate that has ended is no fault: mail is accepted and held until another one is configured. */
function readCertificate(path: string, keyFile: string | undefined, names: CredentialNames, faults: string[]) {
  const text = readText(path, names.certificateFile, faults);
  const keyText = keyFile === undefined ? text : readText(keyFile, names.keyFile, faults);
  if (text === undefined || keyText === undefined) return undefined;
  const certificates = certificatesIn(text, path, names.certificateFile, faults);
  const key = privateKeyIn(keyText, keyFile, names, faults);
  if (!certificates || !key) return undefined;
  const own = certificates.find((each) => each.checkPrivateKey(key));
  if (!own) {
    const whose = keyFile === undefined ? `its certificate` : `the certificate in ${names.certificateFile}`;
    faults.push(`The private key in ${keyNameOf(keyFile, names)} does not belong to ${whose}.`);
    return undefined;
  }
  const clientCertificate: ClientCertificate = {
    certificate: own.toString(),
    privateKey: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
  return { clientCertificate, ends: new Date(own.validTo).toISOString().slice(0, 10) };
}

/** Of a chain the application's own may stand anywhere. */
function certificatesIn(text: string, path: string, name: string, faults: string[]): X509Certificate[] | undefined {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  if (!blocks) {
    faults.push(`${name} holds no PEM certificate: ${path} (of a .pfx file, openssl pkcs12 -nodes makes one).`);
    return undefined;
  }
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    faults.push(`${name} holds a certificate that cannot be read: ${path}`);
    return undefined;
  }
}

const SMALLEST_KEY_BITS = 2048;

function privateKeyIn(
  text: string,
  keyFile: string | undefined,
  names: CredentialNames,
  faults: string[],
): KeyObject | undefined {
  const name = keyNameOf(keyFile, names);
  const [block, kind] = /-----BEGIN ((?:\w+ )?PRIVATE KEY)-----[\s\S]+?-----END \1-----/.exec(text) ?? [];
  const fault = (what: string) => {
    faults.push(`${name} ${what}`);
    return undefined;
  };
  if (!block) {
    const where = keyFile === undefined ? `; put it into the same file, or name its file in ${names.keyFile}` : '';
    return fault(`holds no PEM private key${where}.`);
  }
  if (kind === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type: 4,ENCRYPTED/m.test(block))
    return fault('holds an encrypted private key; only an unencrypted one can be used (openssl pkey makes it).');
  try {
    const key = createPrivateKey(block);
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    // What Entra ID verifies an assertion with: PS256 (learn.microsoft.com, "Certificate credentials", read 2026-11).
    if (key.asymmetricKeyType === 'rsa' && bits >= SMALLEST_KEY_BITS) return key;
    return fault(`must hold an RSA key of ${SMALLEST_KEY_BITS} bits or more: Entra ID takes no other.`);
  } catch {
    return fault('holds a private key that cannot be read.');
  }
}

function keyNameOf(keyFile: string | undefined, names: CredentialNames): string {
  return keyFile === undefined ? names.certificateFile : names.keyFile;
}

function readText(path: string, name: string, faults: string[]): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    faults.push(`${name} cannot be read: ${(error as Error).message}`);
    return undefined;
  }
}
