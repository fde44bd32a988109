import { domainOf, parseAddress } from '../mail/address.ts';

/** Is an address among these? Rules are addresses in lower case, or `*@domain`, which covers no subdomain. */
export function isAmong(rules: readonly string[], address: string): boolean {
  const lower = address.toLowerCase();
  return rules.includes(lower) || rules.includes(`*@${domainOf(lower)}`);
}

export type ParsedAddressRule = { ok: true; rule: string } | { ok: false; problem: string };

/** Reads what a person wrote for one entry of an allow-list; a display name has no place in it. */
export function parseAddressRule(text: string): ParsedAddressRule {
  const trimmed = text.trim();
  const anyone = trimmed.startsWith('*@');
  const parsed = parseAddress({ address: anyone ? `any${trimmed.slice(1)}` : trimmed });
  if (!parsed.ok) return { ok: false, problem: `${parsed.problem} Write an address, or *@contoso.com for a domain.` };
  const { address } = parsed.address;
  return { ok: true, rule: anyone ? `*@${domainOf(address)}` : address.toLowerCase() };
}
