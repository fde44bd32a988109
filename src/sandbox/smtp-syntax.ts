import { isIPv4, isIPv6 } from 'node:net';

/** RFC 5321 §4.1.1: the verb in capitals and the rest of the line after one space. */
export interface Command {
  verb: string;
  argument: string;
}

/** A path of RFC 5321 §4.1.2 with its parameters, keywords in capitals. `address` is empty for the null reverse-path. */
export interface Path {
  address: string;
  parameters: Record<string, string>;
}

export function parseCommand(line: string): Command {
  const space = line.indexOf(' ');
  if (space < 0) return { verb: line.toUpperCase(), argument: '' };
  return { verb: line.slice(0, space).toUpperCase(), argument: line.slice(space + 1).trimEnd() };
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
const UTF8_LABEL = /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}-]{0,61}[\p{L}\p{M}\p{N}])?$/u;

/** A domain name or an address literal, as EHLO wants it (RFC 5321 §4.1.1.1). */
export function isHelloName(name: string): boolean {
  return name.length <= 255 && (isAddressLiteral(name) || name.split('.').every((label) => LABEL.test(label)));
}

function isAddressLiteral(text: string): boolean {
  if (!text.startsWith('[') || !text.endsWith(']')) return false;
  const inside = text.slice(1, -1);
  return isIPv4(inside) || (/^IPv6:/i.test(inside) && isIPv6(inside.slice(5)));
}

// Bounded by the length of a command line; every alternative begins with another character, so none backtracks.
const PATH = /^<((?:"(?:[^"\\]|\\.)*"|[^"<>\s])*)>((?: [^ ]+)*)$/u;
const PARAMETER = /^([a-z0-9][a-z0-9-]*)(?:=([^=]+))?$/i;

/**
 * Reads `<address> KEY=value …` as MAIL FROM: and RCPT TO: carry it.
 *
 * @returns undefined if it is not one. Source routes (`<@a,@b:user@c>`) are not taken: RFC 5321 §4.1.2 deprecates them.
 */
export function parsePath(text: string): Path | undefined {
  const found = PATH.exec(text);
  if (!found) return undefined;
  const parameters: Record<string, string> = Object.create(null);
  for (const word of (found[2] ?? '').split(' ').filter(Boolean)) {
    const parameter = PARAMETER.exec(word);
    const keyword = parameter?.[1]?.toUpperCase();
    if (!keyword || keyword in parameters) return undefined;
    parameters[keyword] = parameter?.[2] ?? '';
  }
  return { address: found[1] ?? '', parameters };
}

const ATOM = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+$/i;
const UTF8_ATOM = /^[^\s\p{C}()<>[\]:;@\\,."]+$/u;
const QUOTED = /^"(?:[^"\\]|\\.)*"$/u;

/**
 * A mailbox of RFC 5321 §4.1.2, or of RFC 6531 §3.3 where the transaction is SMTPUTF8. The lengths are those of
 * RFC 5321 §4.5.3.1, in octets.
 */
export function isMailboxAddress(address: string, smtpUtf8: boolean): boolean {
  const at = address.lastIndexOf('@');
  if (at < 1 || Buffer.byteLength(address) > 254 || Buffer.byteLength(address.slice(0, at)) > 64) return false;
  return isLocalPart(address.slice(0, at), smtpUtf8) && isDomain(address.slice(at + 1), smtpUtf8);
}

function isLocalPart(text: string, smtpUtf8: boolean): boolean {
  if (!smtpUtf8 && !isAscii(text)) return false;
  if (QUOTED.test(text)) return true;
  return text.split('.').every((atom) => (smtpUtf8 ? UTF8_ATOM : ATOM).test(atom));
}

function isDomain(text: string, smtpUtf8: boolean): boolean {
  if (isAddressLiteral(text)) return true;
  return text.split('.').every((label) => (smtpUtf8 ? UTF8_LABEL : LABEL).test(label));
}

export function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

/** `billing+tag@contoso.com` → `billing`; quotes are kept as they are. */
export function localPartWithoutTag(address: string): string {
  const local = address.slice(0, Math.max(0, address.lastIndexOf('@')));
  return (local.split('+')[0] ?? '').toLowerCase();
}
