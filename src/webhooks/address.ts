import ipaddr from 'ipaddr.js';
import type { WebhookPolicy } from './policy.ts';

/** What a range is called to a person; the others are told as `not public`. */
const WORDS: Record<string, string> = {
  unspecified: 'unspecified (0.0.0.0/8 or ::)',
  loopback: 'loopback (this machine)',
  private: 'private (RFC 1918)',
  uniqueLocal: 'private (unique local, RFC 4193)',
  linkLocal: 'link-local (where clouds keep their metadata)',
  carrierGradeNat: 'carrier-grade NAT (RFC 6598)',
  multicast: 'multicast',
  broadcast: 'broadcast',
};

/** RFC 4291 §2.4 and IANA: all that is given out as global unicast so far. What is outside cannot be meant. */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3');
/** Azure's WireServer, in public space; learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16, read 2026-11-23. */
const METADATA = ['168.63.129.16'];

/**
 * Why this address may not be called; undefined if it may. Only what is public for certain is let through, so that a
 * range that nobody thought of is refused. An IPv4 address inside an IPv6 one is judged as the IPv4 address it reaches.
 */
export function whyNotAddress(text: string, { ranges }: Pick<WebhookPolicy, 'ranges'>): string | undefined {
  if (!ipaddr.isValid(text)) return 'not an IP address';
  // RFC 4007 §11: a zone picks an interface of this machine.
  if (text.includes('%')) return 'bound to an interface of this machine';
  const address = ipaddr.process(text);
  if (ranges.some((range) => isIn(address, range))) return undefined;
  const range = address.range();
  if (range !== 'unicast') return WORDS[range] ?? 'not public';
  if (METADATA.includes(address.toString())) return 'a metadata service';
  if (address.kind() === 'ipv6' && !isIn(address, GLOBAL_UNICAST)) return 'not public';
  return undefined;
}

function isIn(address: ipaddr.IPv4 | ipaddr.IPv6, [network, bits]: [ipaddr.IPv4 | ipaddr.IPv6, number]): boolean {
  return address.kind() === network.kind() && address.match(network as never, bits);
}
