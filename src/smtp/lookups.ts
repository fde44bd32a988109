import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Trouble } from '../failure/failure.ts';

export type Addresses = { ok: true; ipv4: string[]; ipv6: string[] } | { ok: false; trouble: Trouble };
export type Records = { kind: 'found'; values: string[] } | { kind: 'none' } | { kind: 'unknown'; reason: string };

export interface Lookups {
  addresses(host: string): Promise<Addresses>;
  txt(name: string): Promise<Records>;
  cname(name: string): Promise<Records>;
}

export interface LookupOptions {
  /** Name servers (`address` or `address:port`) instead of this host's; then /etc/hosts is not read either. */
  servers?: string[];
  /** Bound on one lookup, all its tries included. */
  milliseconds?: number;
}

const USUAL_WAIT = 6_000;

/** DNS with a bound on every lookup; nothing rejects. */
export function dnsLookups({ servers, milliseconds = USUAL_WAIT }: LookupOptions = {}): Lookups {
  const resolver = new Resolver({ timeout: Math.ceil(milliseconds / 3), tries: 2 });
  if (servers) resolver.setServers(servers);

  async function records(ask: () => Promise<string[]>): Promise<Records> {
    try {
      const values = await bounded(ask(), milliseconds);
      return values.length > 0 ? { kind: 'found', values } : { kind: 'none' };
    } catch (error) {
      const code = codeOf(error);
      return isAbsence(code) ? { kind: 'none' } : { kind: 'unknown', reason: code };
    }
  }

  async function addresses(host: string): Promise<Addresses> {
    if (isIP(host)) return split([host]);
    try {
      const found = await bounded(servers ? byResolver(resolver, host) : bySystem(host), milliseconds);
      return found.length > 0 ? split(found) : { ok: false, trouble: unresolved(host, 'ENOTFOUND') };
    } catch (error) {
      return { ok: false, trouble: unresolved(host, codeOf(error)) };
    }
  }

  return {
    addresses,
    txt: (name) => records(async () => (await resolver.resolveTxt(name)).map((parts) => parts.join(''))),
    cname: (name) => records(() => resolver.resolveCname(name)),
  };
}

/** As connections resolve it: /etc/hosts and all. */
async function bySystem(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** One family may be absent; a failure of both is told by the first. */
async function byResolver(resolver: Resolver, host: string): Promise<string[]> {
  const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = answers.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
  const failed = answers.find((each) => each.status === 'rejected');
  if (found.length === 0 && failed) throw failed.reason;
  return found;
}

function split(addresses: string[]): Addresses {
  const unique = [...new Set(addresses)];
  return { ok: true, ipv4: unique.filter((each) => isIP(each) === 4), ipv6: unique.filter((each) => isIP(each) === 6) };
}

function unresolved(host: string, code: string): Trouble {
  return { via: 'client', code: `EDNS ${code}`, message: `getaddrinfo ${code} ${host}`, stage: 'connect' };
}

function isAbsence(code: string): boolean {
  return code === 'ENOTFOUND' || code === 'ENODATA';
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}

/** getaddrinfo cannot be called off, and may take a minute over dead name servers. */
async function bounded<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error('No answer'), { code: 'ETIMEOUT' })), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
