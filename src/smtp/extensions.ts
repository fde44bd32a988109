import type { Trouble } from '../failure/failure.ts';
import type { Envelope } from '../mail/message.ts';
import type { Session } from './session.ts';

/** Set where the server does not offer what the message needs; nothing has been said to it then. */
export function missingExtension(session: Session, needs: Envelope['needs'] = []): Trouble | undefined {
  const missing = needs.find((each) => !session.offers(each));
  if (!missing) return undefined;
  const message = `The server does not offer ${missing}, which the message needs`;
  return { via: 'client', code: 'EEXTENSION', command: 'MAIL FROM', message, stage: 'mail' };
}

/**
 * The parameters of MAIL FROM, each with a space before it: for what the message needs (RFC 6531 §3.4, RFC 6152 §3), and
 * its size where the server wants to know (RFC 1870 §5).
 */
export function mailParameters(session: Session, { needs = [] }: Envelope, octets: number): string {
  const isForeign = needs.includes('SMTPUTF8');
  // What needs SMTPUTF8 has octets outside ASCII in its header, if nowhere else (RFC 6531 §3.6).
  const isEightBit = needs.length > 0 && session.offers('8BITMIME');
  return `${isForeign ? ' SMTPUTF8' : ''}${isEightBit ? ' BODY=8BITMIME' : ''}${session.offers('SIZE') ? ` SIZE=${octets}` : ''}`;
}
