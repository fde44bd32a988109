import ipaddr from 'ipaddr.js';

/** Where webhooks may go beside public addresses by https. */
export interface WebhookPolicy {
  allowHttp: boolean;
  /** Host names, in lower case, whose addresses are not looked at. */
  hosts: string[];
  /** Addresses that may be reached although they are not public. */
  ranges: [ipaddr.IPv4 | ipaddr.IPv6, number][];
}

/** @param allow host names, addresses and CIDR ranges, each checked by `faultOfAllowance` */
export function webhookPolicy(allow: readonly string[], allowHttp: boolean): WebhookPolicy {
  const entries = allow.map((each) => each.toLowerCase());
  const ranges = entries.flatMap((each) => {
    const range = rangeOf(each);
    return range ? [range] : [];
  });
  return { allowHttp, ranges, hosts: entries.filter((each) => !rangeOf(each)) };
}

/** What is wrong with an entry of the list of exceptions; undefined if nothing is. */
export function faultOfAllowance(entry: string): string | undefined {
  if (rangeOf(entry) || /^(?!.*\.\.)[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9])?$/i.test(entry)) return undefined;
  return 'is neither a host name nor an address nor a CIDR range such as 10.0.0.0/8';
}

function rangeOf(entry: string): [ipaddr.IPv4 | ipaddr.IPv6, number] | undefined {
  if (ipaddr.isValidCIDR(entry)) return ipaddr.parseCIDR(entry);
  if (!ipaddr.IPv4.isValidFourPartDecimal(entry) && !ipaddr.IPv6.isValid(entry)) return undefined;
  const address = ipaddr.parse(entry);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}
