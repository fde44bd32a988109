import { characterUnfitForLine, characterUnfitForName, invisibleCharacter, quote } from './characters.ts';
import { parseDomain } from './domain.ts';

/** One mailbox of RFC 5322 §3.4, already checked by `parseAddress`. */
export interface Address {
  /** The addr-spec, domain in lower-case ASCII (IDNA A-labels), for example `billing@contoso.com`. */
  address: string;
  /** Display name, unencoded; absent where there is none. */
  name?: string;
}

/** What a caller may write for an address. */
export type AddressInput = string | { address: string; name?: string | undefined };

export type ParsedAddress = { ok: true; address: Address } | { ok: false; problem: string };

/** RFC 5321 §4.5.3.1.3: a path is at most 256 octets, its angle brackets included. */
const MAX_ADDRESS_OCTETS = 254;
/** RFC 5321 §4.5.3.1.1. */
const MAX_LOCAL_PART_OCTETS = 64;
/** UTF-16 units; ours. Longer names are folded wrongly by some clients and read by nobody. */
export const MAX_NAME_LENGTH = 256;
/** A whole `"name" <address>` with every character of the name escaped; looked at before any pattern is. */
const MAX_INPUT_LENGTH = 2 * MAX_NAME_LENGTH + MAX_ADDRESS_OCTETS + 10;

/** RFC 5322 §3.2.3 dot-atom-text, less `%` and `!`, which some servers still read as a route. */
const LOCAL_PART = /^[a-z0-9#$&'*+\-/=?^_`{|}~]+(?:\.[a-z0-9#$&'*+\-/=?^_`{|}~]+)*$/i;
/** What nearly every address looks like, and what `parseAddrSpec` leaves as it is but for the domain's case. */
const USUAL = /^[a-z0-9_+-]{1,30}(?:\.[a-z0-9_+-]{1,30})?@(?:[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?\.){1,4}[a-z]{2,30}$/i;
/**
 * The same with letters, marks and digits of any script (RFC 6531 §3.3, which would allow more); such an address needs
 * a server with SMTPUTF8. Characters that compatibility makes into others, such as full-width ones, are refused:
 * programs that do so would read another address.
 */
const UTF8_LOCAL_PART =
  /^[a-z0-9#$&'*+\-/=?^_`{|}~\p{L}\p{M}\p{Nd}]+(?:\.[a-z0-9#$&'*+\-/=?^_`{|}~\p{L}\p{M}\p{Nd}]+)*$/iu;
/** RFC 5322 §3.2.3 specials, less the dot of `John Q. Public`: a name that has one must be quoted. */
const NAME_SPECIALS = /[()<>[\]:;@\\,"]/;
const ENCODED_WORD = /=\?[^?]*\?[bq]\?[^?]*\?=/i;

/**
 * Reads exactly one address: `a@b.example`, `Name <a@b.example>`, `"Quoted, Name" <a@b.example>`, or an object of its
 * two parts. Deliberately narrower than RFC 5322: whatever two programs could read as two different addresses
 * (comments, groups, routes, quoted local parts, `%`, `!`) is refused, so that what we judged is what is sent to.
 *
 * @returns the address in its one canonical form, or one sentence for the caller: what is wrong, and the fix
 */
export function parseAddress(input: AddressInput): ParsedAddress {
  if (typeof input !== 'string') return fromParts(input.name, input.address);
  if (isUsual(input)) return usual(input);
  if (input.length > MAX_INPUT_LENGTH)
    return wrong('The address is too long; it may have 254 characters, its name 256');
  const spaced = input.replaceAll('\t', ' ');
  const unfit = characterUnfitForLine(spaced);
  if (unfit) return wrong(`${quote(input)} contains ${unfit}; remove it`);
  const text = trimSpaces(spaced);
  if (!text.endsWith('>')) return fromParts(undefined, text);
  return text.startsWith('"') ? fromQuotedName(text) : fromPlainName(text);
}

/** Labels that may be encoded (`xn--`) are for `parseDomain` to judge. */
function isUsual(text: string): boolean {
  return USUAL.test(text) && !text.includes('--');
}

function usual(text: string): ParsedAddress {
  const at = text.indexOf('@');
  return { ok: true, address: { address: text.slice(0, at) + text.slice(at).toLowerCase() } };
}

/** The part after the `@`, of a parsed address. */
export function domainOf(address: Address | string): string {
  const text = typeof address === 'string' ? address : address.address;
  return text.slice(text.lastIndexOf('@') + 1);
}

/**
 * A rule for From and Reply-To: a display name that contains an `@` may contain only the very address it stands for,
 * because many clients show the name alone (`"ceo@corp.example" <someone@else.example>`).
 *
 * @returns undefined if the name is fine, else one sentence for the caller
 */
export function nameImpersonates(address: Address): string | undefined {
  if (address.name === undefined) return undefined;
  const shown = address.name.normalize('NFKC').replace(/\p{Default_Ignorable_Code_Point}/gu, '');
  const addresses = shown.split(/[\s<>()[\]{},;:"'«»“”„‘’]+/u).filter((word) => word.includes('@'));
  if (addresses.every((word) => word.toLowerCase() === address.address.toLowerCase())) return undefined;
  return `The name ${quote(address.name)} shows another address than ${address.address}; leave addresses out of the name.`;
}

/**
 * The rules for From: no Microsoft 365 mailbox has an address outside ASCII, and one that merely looks like another
 * must not pass where a whole domain may send; and the name must not impersonate.
 *
 * @returns undefined if it may be a sender, else one sentence for the caller
 */
export function senderProblem(address: Address): string | undefined {
  if (!/[^\0-\x7f]/.test(address.address)) return nameImpersonates(address);
  return `${quote(address.address)} has non-ASCII characters before the @, which no Microsoft 365 mailbox can send as.`;
}

/** `String.trim` would also drop characters that do not belong there, such as U+FEFF. */
function trimSpaces(text: string): string {
  let start = 0;
  let end = text.length;
  while (text[start] === ' ') start++;
  while (end > start && text[end - 1] === ' ') end--;
  return text.slice(start, end);
}

/** `"Name" <address>`: the quoted string of RFC 5322 §3.2.4, then only white space and the address. */
function fromQuotedName(text: string): ParsedAddress {
  let name = '';
  let at = 1;
  for (; at < text.length && text[at] !== '"'; at++) {
    if (text[at] === '\\') at++;
    name += text[at] ?? '';
  }
  const rest = text.slice(at + 1).trimStart();
  if (!rest.startsWith('<')) return wrong(`${quote(text)} must have the form "Name" <name@contoso.com>`);
  return fromParts(name, rest.slice(1, -1));
}

function fromPlainName(text: string): ParsedAddress {
  const bracket = text.indexOf('<');
  if (bracket < 0) return wrong(`${quote(text)} has a ">" without a "<"; write Name <name@contoso.com>`);
  const name = text.slice(0, bracket).trim();
  if (name === '') return wrong(`Write ${quote(text)} without the angle brackets`);
  const special = NAME_SPECIALS.exec(name)?.[0];
  if (special)
    return wrong(
      `The name in ${quote(text)} contains ${quote(special)}; put the name in double quotes, or give {"name", "address"}`,
    );
  return fromParts(name, text.slice(bracket + 1, -1));
}

function fromParts(name: string | undefined, address: string): ParsedAddress {
  const problem = name === undefined ? undefined : nameProblem(name);
  if (problem) return wrong(problem);
  const parsed = parseAddrSpec(address);
  const trimmed = name?.trim();
  return parsed.ok && trimmed ? { ok: true, address: { ...parsed.address, name: trimmed } } : parsed;
}

function nameProblem(name: string): string | undefined {
  if (name.length > MAX_NAME_LENGTH) return `The name is longer than ${MAX_NAME_LENGTH} characters; shorten it`;
  const unfit = characterUnfitForName(name);
  if (unfit) return `The name ${quote(name)} contains ${unfit}; remove it`;
  if (ENCODED_WORD.test(name)) return `The name ${quote(name)} is already encoded; write it in plain Unicode`;
  return undefined;
}

function parseAddrSpec(text: string): ParsedAddress {
  const problem = addrSpecProblem(text);
  if (problem) return wrong(problem);
  const at = text.indexOf('@');
  const parsed = parseDomain(text.slice(at + 1));
  if (!parsed.ok) return parsed;
  const address = `${text.slice(0, at).normalize('NFC')}@${parsed.domain}`;
  if (Buffer.byteLength(address) > MAX_ADDRESS_OCTETS)
    return wrong(`The address is longer than ${MAX_ADDRESS_OCTETS} characters`);
  return { ok: true, address: { address } };
}

/** What is wrong with the text as a whole or with its local part; the domain is judged by `parseDomain`. */
function addrSpecProblem(text: string): string | undefined {
  if (text.length > MAX_ADDRESS_OCTETS) return `The address is longer than ${MAX_ADDRESS_OCTETS} characters`;
  if (text.trim() === '') return 'The address is empty; write it as in name@contoso.com';
  const unfit = characterUnfitForName(text) ?? invisibleCharacter(text);
  if (unfit) return `${quote(text)} contains ${unfit}; remove it`;
  return syntaxProblem(text) ?? localPartProblem(text, text.slice(0, text.indexOf('@')));
}

function syntaxProblem(text: string): string | undefined {
  for (const [pattern, problem] of SYNTAX_PROBLEMS) {
    if (pattern.test(text)) return `${quote(text)} ${problem}`;
  }
  return undefined;
}

/** Each names what the caller probably meant, the most telling first. */
const SYNTAX_PROBLEMS: readonly (readonly [RegExp, string])[] = [
  [/["\\]/, 'has quotes or a backslash in its address; quoted local parts are not supported'],
  [/[()]/, 'has a comment in parentheses; leave it out'],
  [/[,;]/, 'has a comma or semicolon; give exactly one address here, several as separate items of the array'],
  [/[<>]/, 'has angle brackets in the wrong place; write Name <name@contoso.com>'],
  [/[[\]]/, 'has an address literal in brackets; use a domain name'],
  [/:/, 'contains a colon; groups, routes and ports are not supported, give one plain address'],
  [/\s/, 'contains white space; remove it'],
  [/^[^@]*$/, 'has no @; write it as in name@contoso.com'],
  [/@.*@/, 'has more than one @; give exactly one address'],
];

function localPartProblem(text: string, local: string): string | undefined {
  if (local === '') return `${quote(text)} has nothing before the @; write it as in name@contoso.com`;
  if (Buffer.byteLength(local) > MAX_LOCAL_PART_OCTETS)
    return `${quote(text)} has more than ${MAX_LOCAL_PART_OCTETS} characters (octets) before the @`;
  if (/[%!]/.test(local)) return `${quote(text)} has a % or ! before the @; source routes are not supported`;
  if (local.includes('=?')) return `${quote(text)} looks like an encoded word; write the plain address`;
  if (/^\.|\.\.|\.$/.test(local)) return `${quote(text)} has a misplaced dot before the @; remove it`;
  const isPlain =
    LOCAL_PART.test(local) || (UTF8_LOCAL_PART.test(local) && local.normalize('NFKC') === local.normalize());
  return isPlain ? undefined : `${quote(text)} has a character that an address cannot have`;
}

function wrong(problem: string): ParsedAddress {
  return { ok: false, problem: `${problem}.` };
}
