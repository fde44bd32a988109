import { domainToASCII, domainToUnicode } from 'node:url';
import { quote } from './characters.ts';

export type ParsedDomain = { ok: true; domain: string } | { ok: false; problem: string };

/** RFC 1035 §2.3.4, without the root's dot. */
const MAX_DOMAIN_OCTETS = 253;
const MAX_LABEL_OCTETS = 63;

/** Letters, digits, hyphen (RFC 5321 §4.1.2 `sub-domain`). */
const LDH_LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
/** What a U-label may be made of before IDNA has its say: letters, marks, digits, hyphen, and the dots of Catalan and Katakana. */
const U_LABEL = /^[\p{L}\p{M}\p{Nd}\u00b7\u30fb-]+$/u;
const ASCII = /^[\0-\x7f]*$/;

/**
 * Reads the domain of an address into lower-case A-labels (RFC 5890 §2.3.2.1).
 *
 * `domainToASCII` follows the URL standard and so silently decodes `%41`, cuts at `/`, `?`, `#` and `\`, drops tabs
 * and soft hyphens, and turns full-width letters and dots into others. A domain that it would change in any other way
 * than by case is refused: two programs would read it as two domains.
 */
export function parseDomain(text: string): ParsedDomain {
  if (text.length > MAX_DOMAIN_OCTETS) return wrong(`The domain is longer than ${MAX_DOMAIN_OCTETS} characters`);
  const labels = text.split('.').map(toLabel);
  if (labels.includes('')) return wrong(emptyLabelProblem(text));
  if (labels.includes(undefined)) return wrong(`${quote(text)} is not a valid domain name; write it as in contoso.com`);
  const domain = labels.join('.');
  if (domain.length > MAX_DOMAIN_OCTETS) return wrong(`The domain is longer than ${MAX_DOMAIN_OCTETS} characters`);
  const top = labels.at(-1) ?? '';
  if (labels.length < 2) return wrong(`The domain ${quote(text)} has no dot; write it in full, as in contoso.com`);
  if (/^\d+$/.test(top))
    return wrong(`${quote(text)} ends in a number and is no domain name; write one as in contoso.com`);
  return { ok: true, domain };
}

/** The label in A-form; undefined if it is none, empty if it is empty. */
function toLabel(text: string): string | undefined {
  if (text === '') return text;
  const label = ASCII.test(text) ? asciiLabel(text.toLowerCase()) : aLabelOf(text);
  return label !== undefined && label.length <= MAX_LABEL_OCTETS && LDH_LABEL.test(label) ? label : undefined;
}

/**
 * An `xn--` label must be the very encoding of something; any other ASCII label stands for itself. What is no encoding reads
 * as nothing in some versions of Node, and as itself in others (24).
 */
function asciiLabel(label: string): string | undefined {
  if (!label.startsWith('xn--')) return label;
  const written = domainToUnicode(label);
  return !ASCII.test(written) && domainToASCII(written) === label ? label : undefined;
}

function aLabelOf(text: string): string | undefined {
  const lower = Array.from(text.normalize('NFC'), (character) => character.toLowerCase()).join('');
  if (ASCII.test(lower) || !U_LABEL.test(lower)) return undefined;
  const label = domainToASCII(lower);
  return domainToUnicode(label) === lower.normalize('NFC') ? label : undefined;
}

function emptyLabelProblem(text: string): string {
  if (text.endsWith('.')) return `The domain ${quote(text)} ends in a dot; leave the dot out`;
  return `The domain ${quote(text)} has nothing before, between or after its dots; write it as in contoso.com`;
}

function wrong(problem: string): ParsedDomain {
  return { ok: false, problem: `${problem}.` };
}
