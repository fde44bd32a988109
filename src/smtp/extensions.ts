import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { Trouble } from '../failure/failure.ts';
import type { Envelope } from '../mail/message.ts';

/** What nodemailer keeps to itself: it tells what the server offers only to a login of one's own. */
interface Insides {
  _supportedExtensions?: readonly string[];
  _sendCommand(command: string, shown?: string): void;
}

/** Set where the server does not offer what the message needs; nothing has been said to it then. */
export function missingExtension(connection: SMTPConnection, needs: Envelope['needs'] = []): Trouble | undefined {
  if (needs.length === 0) return undefined;
  const offered = (connection as unknown as Insides)._supportedExtensions ?? [];
  const missing = needs.find((each) => !offered.includes(each));
  if (!missing) return undefined;
  const message = `The server does not offer ${missing}, which the message needs`;
  return { via: 'client', code: 'EEXTENSION', command: 'MAIL FROM', message, stage: 'mail' };
}

/**
 * The parameters of MAIL FROM for what the message needs (RFC 6531 §3.4, RFC 6152 §3). nodemailer adds SMTPUTF8 by
 * itself for an envelope outside ASCII; a header that has UTF-8 needs it too, also when the addresses of its recipients
 * that are left are plain.
 */
export function parametersFor(connection: SMTPConnection, { reversePath, recipients, needs = [] }: Envelope) {
  if (needs.length === 0) return {};
  const seen = [reversePath, ...recipients].some((address) => /[^\0-\x7f]/.test(address));
  if (needs.includes('SMTPUTF8') && !seen) addToNextMail(connection as unknown as Insides, ' SMTPUTF8');
  return { use8BitMime: true };
}

function addToNextMail(connection: Insides, parameter: string): void {
  const send = connection._sendCommand;
  connection._sendCommand = (command, shown) => {
    connection._sendCommand = send;
    send.call(connection, command.startsWith('MAIL FROM:') ? command + parameter : command, shown);
  };
}
