import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { whyNotAddress } from './address.ts';
import { fewAtATime } from './few-at-a-time.ts';
import type { WebhookPolicy } from './policy.ts';

export interface ResolvedAddress {
  address: string;
  family: number;
}

/** All addresses of a name, as the machine's own resolver says. */
export type Resolve = (host: string) => Promise<ResolvedAddress[]>;

/** Where a call goes: a URL and the addresses that were checked for it, at least one. */
export type Destination = { url: URL; addresses: ResolvedAddress[] } | { refused: string };

/**
 * The system's resolver waits in one of libuv's four threads, for as long as a name server keeps it waiting. The names
 * are callers' to choose, and the other threads are for everything else that this process resolves, reads or hashes.
 */
const LOOKUPS_AT_A_TIME = 2;
const LOOKUP_MILLISECONDS = 5_000;

export const resolveBySystem: Resolve = fewAtATime(
  (host) => lookup(host, { all: true }),
  LOOKUPS_AT_A_TIME,
  LOOKUP_MILLISECONDS,
);

const MAX_URL_LENGTH = 2_048;

/**
 * Decides where a call may go. The name is resolved here, every address of it is checked, and the caller connects to
 * these and no others: a name that says something else a moment later changes nothing.
 *
 * @returns the checked addresses, or why not, in a sentence that does not tell what an inside name resolves to
 */
export async function destinationOf(text: string, policy: WebhookPolicy, resolve: Resolve): Promise<Destination> {
  const objection = whyNotUrl(text, policy);
  if (objection) return { refused: objection };
  const url = new URL(text);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const literal = isIP(host);
  const addresses = literal ? [{ address: host, family: literal }] : await addressesOf(host, resolve);
  if (!addresses) return { refused: `The host ${host} could not be looked up in the DNS just now; try again.` };
  if (addresses.length === 0) return { refused: `The host ${host} has no address that could be found in the DNS.` };
  if (!literal && policy.hosts.includes(host.toLowerCase().replace(/\.$/, ''))) return { url, addresses };
  const why = addresses.map(({ address }) => whyNotAddress(address, policy)).find((each) => each !== undefined);
  if (!why) return { url, addresses };
  const what = literal ? `The address ${host} is` : `The host ${host} has an address that is`;
  return { refused: `${what} ${why}; only public ones may be called, unless an operator allows more.` };
}

/** What is wrong with the URL itself. The URL parser has made `0x7f.1`, `2130706433` and the like plain by then. */
function whyNotUrl(text: string, { allowHttp }: WebhookPolicy): string | undefined {
  if (text.length > MAX_URL_LENGTH) return `The URL is longer than ${MAX_URL_LENGTH} characters.`;
  if (!URL.canParse(text)) return 'This is not a URL; it must look like https://example.com/hooks.';
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(allowHttp && url.protocol === 'http:')) return 'The URL must begin with https://.';
  if (url.username || url.password)
    return 'The URL must not contain a user name or a password; the signature proves who calls.';
  if (!mayUsePort(url)) return `Port ${url.port} may not be called: use the usual one, or one above 1023.`;
  return undefined;
}

/** Below 1024 are other services' ports, which an https request could only disturb. */
function mayUsePort({ port }: URL): boolean {
  return port === '' || Number(port) > 1023;
}

/** @returns undefined where nobody can say whether it has any */
async function addressesOf(host: string, resolve: Resolve): Promise<ResolvedAddress[] | undefined> {
  try {
    return await resolve(host);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOTFOUND' || code === 'ENODATA' ? [] : undefined;
  }
}
