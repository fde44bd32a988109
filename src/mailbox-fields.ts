import { readFileSync } from 'node:fs';
import type { ReadCredential } from './client-credential.ts';
import { shown } from './environment.ts';
import { domainOf, parseAddress } from './mail/address.ts';
import { type ClientCredentialsAuth, USUAL_AUTHORITY } from './mailbox-config.ts';

/** A certificate tells itself when it ends, a federated token is renewed by others; of a secret only the operator knows. */
export function clientCredentials(
  application: Pick<ClientCredentialsAuth, 'tenantId' | 'clientId' | 'authority' | 'scope'>,
  { ends, ...credential }: ReadCredential,
  secretExpires: string | undefined,
): ClientCredentialsAuth {
  const expires = credential.clientSecret === undefined ? ends : secretExpires;
  return { type: 'clientCredentials', ...application, ...credential, ...(expires && { secretExpires: expires }) };
}

export function addressRule(value: string, name: string, faults: string[]): string {
  const sample = value.startsWith('*@') ? `anybody${value.slice(1)}` : value;
  const parsed = parseAddress({ address: sample });
  if (!parsed.ok) {
    faults.push(`${name}: "${shown(value)}" is neither an address nor *@domain: ${parsed.problem}`);
    return value;
  }
  return value.startsWith('*@') ? `*@${domainOf(parsed.address.address)}` : parsed.address.address.toLowerCase();
}

export function heloName(name: string, value: string, faults: string[]): string {
  const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
  if (value.length > 253 || !new RegExp(`^${label}(?:\\.${label})+$`).test(value))
    faults.push(
      `${name} must be a fully qualified domain name such as mail.contoso.com, not "${shown(value)}" (Microsoft answers 501 5.5.4 to others).`,
    );
  return value;
}

export function authorityUrl(name: string, value: string, faults: string[]): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  // Anywhere else the client secret would cross a network in clear text.
  const local = url && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  if (!url || !(url.protocol === 'https:' || (url.protocol === 'http:' && local)))
    faults.push(`${name} must be an https URL such as ${USUAL_AUTHORITY}, not "${shown(value)}".`);
  return value.replace(/\/+$/, '');
}

/** A day that exists, as in 2027-03-31. */
export function fullDate(name: string, value: string | undefined, faults: string[]): string | undefined {
  if (value === undefined) return undefined;
  const day = /^\d{4}-\d{2}-\d{2}$/.test(value) ? new Date(`${value}T00:00:00Z`) : undefined;
  if (day && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(value)) return value;
  faults.push(`${name} must be a date such as 2027-03-31, not "${shown(value)}".`);
  return undefined;
}

export function caFile(name: string, path: string | undefined, faults: string[]): string | undefined {
  if (!path) return undefined;
  try {
    const pem = readFileSync(path, 'utf8');
    if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem;
    faults.push(`${name} holds no PEM certificate: ${path}`);
  } catch (error) {
    faults.push(`${name} cannot be read: ${(error as Error).message}`);
  }
  return undefined;
}

export function secretFile(name: string, path: string | undefined, faults: string[]): string | undefined {
  if (!path) return undefined;
  try {
    const secret = readFileSync(path, 'utf8').trim();
    if (!secret) faults.push(`${name} names an empty file: ${path}`);
    return secret || undefined;
  } catch (error) {
    faults.push(`${name} cannot be read: ${(error as Error).message}`);
    return undefined;
  }
}
