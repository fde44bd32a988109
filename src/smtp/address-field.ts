import type { Address } from '../mail/address.ts';
import { addressList, field, fold } from './field.ts';

/**
 * A field of addresses. Those outside ASCII are written in UTF-8 (RFC 6532 §3.2), as octets in latin1; there is no
 * other way, and such a message is sent only where SMTPUTF8 is offered. All else in it stays ASCII.
 */
export function addressField(name: string, addresses: readonly Address[]): string {
  const tokens = addressList(addresses);
  if (addresses.every(({ address }) => !/[^\0-\x7f]/.test(address))) return field(name, tokens);
  if (tokens.some((token) => /\p{Cc}/u.test(token)))
    throw new Error(`The header field ${name} has a control character`);
  const octets = tokens.map((token) => Buffer.from(token, 'utf8').toString('latin1'));
  return `${fold(name, octets)}\r\n`;
}
