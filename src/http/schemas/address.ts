import { z } from 'zod';
import { type Address, type AddressInput, nameImpersonates, parseAddress, senderProblem } from '../../mail/address.ts';
import { wrongType } from './wrong-type.ts';

/** More entries than this are refused here; the mailbox's own limit is the gateway's to check. */
export const MAX_RECIPIENTS = 1_000;

const addressObject = z
  .strictObject({
    address: z.string().meta({ description: 'The address alone.', example: 'ada@fabrikam.com' }),
    name: z.string().optional().meta({ description: 'Display name, in plain Unicode.', example: 'Ada Lovelace' }),
  })
  .meta({ id: 'Address', description: 'An address with its display name.' });

export const ADDRESS_FIELDS = Object.keys(addressObject.shape);

const ADDRESS =
  'This has the wrong type; write an address as "Ada <ada@fabrikam.com>" or {"name": "Ada", "address": "ada@fabrikam.com"}.';

const addressInput = z
  .union([z.string().meta({ description: '`ada@fabrikam.com` or `Ada Lovelace <ada@fabrikam.com>`' }), addressObject], {
    error: wrongType(ADDRESS),
  })
  .meta({ id: 'AddressInput', description: 'One address, as a string or as an object.' });

const oneAddress = addressInput.transform((input, context) => {
  const parsed = parseAddress(input);
  if (parsed.ok) return parsed.address;
  context.addIssue({ code: 'custom', path: faultyPart(input), message: asSentence(parsed.problem) });
  return z.NEVER;
});

/** Parsed senders by what was written: a service has few, each of them sends again and again, and judging takes time. */
const recentSenders = new Map<string, Readonly<Address>>();
const MAX_RECENT_SENDERS = 500;

export const senderAddress = addressInput.transform((input, context): Address => {
  const known = typeof input === 'string' ? recentSenders.get(input) : undefined;
  if (known) return known;
  const parsed = parseAddress(input);
  const problem = parsed.ok ? senderProblem(parsed.address) : asSentence(parsed.problem);
  if (parsed.ok && problem === undefined) return remembered(input, parsed.address);
  context.addIssue({ code: 'custom', path: parsed.ok ? [] : faultyPart(input), message: problem ?? '' });
  return z.NEVER;
});

function remembered(input: AddressInput, address: Address): Address {
  if (typeof input !== 'string') return address;
  if (recentSenders.size >= MAX_RECENT_SENDERS) recentSenders.clear();
  recentSenders.set(input, Object.freeze(address));
  return address;
}

/** Who bounces go to. */
export const envelopeSender = oneAddress;

const oneOrSeveral = z
  .union([oneAddress, z.array(oneAddress).max(MAX_RECIPIENTS)], {
    error: wrongType(`${ADDRESS.slice(0, -1)}, or a list of these.`),
  })
  .meta({ id: 'AddressList', description: 'One address, or a list of at most 1,000.' });

/** One address or several; always a list once parsed. */
export const addressList = oneOrSeveral.transform((given) => (Array.isArray(given) ? given : [given]));

/** The same for Reply-To, where as in From a name that shows another address would mislead. */
export const replyAddressList = oneOrSeveral.transform((given, context) => {
  const addresses = Array.isArray(given) ? given : [given];
  for (const [index, address] of addresses.entries()) {
    const message = nameImpersonates(address);
    if (message) context.addIssue({ code: 'custom', path: Array.isArray(given) ? [index] : [], message });
  }
  return addresses;
});

/** Of an object, the member that is at fault: if the address alone is right, it is the name. */
function faultyPart(input: AddressInput): PropertyKey[] {
  if (typeof input === 'string') return [];
  return parseAddress({ address: input.address }).ok ? ['name'] : ['address'];
}

function asSentence(problem: string): string {
  return /[.?!]$/.test(problem) ? problem : `${problem}.`;
}
