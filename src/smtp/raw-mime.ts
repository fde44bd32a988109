import type { RawMessage } from '../mail/raw-message.ts';
import { field } from './field.ts';
import type { Fixed } from './mime.ts';

/** The octets of a message that its caller made, with the Message-ID and the Date that it lacks before all else. */
export function rawMime({ messageId, hasDate, head, body }: RawMessage, fixed: Fixed): Buffer {
  const added = [
    messageId === undefined ? field('Message-ID', [fixed.messageId]) : '',
    hasDate ? '' : field('Date', [fixed.date.toUTCString().replace('GMT', '+0000')]),
  ].join('');
  const header = Buffer.from(`${added}${head}\r\n`, 'latin1');
  return Buffer.concat([header, body], header.length + body.length);
}
