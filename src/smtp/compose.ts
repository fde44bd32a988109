import { randomUUID } from 'node:crypto';
import type { Submission } from '../mail/message.ts';
import { composeMime, type Fixed } from './mime.ts';

/**
 * The MIME octets of a message, made once; every attempt sends the same. Their length is what a server's SIZE limit
 * (RFC 1870) is compared with, save for dot stuffing, of which our own text never needs any.
 *
 * @throws if a string in the submission was not checked before (see `mail/`)
 */
export async function composeMessage(submission: Submission, fixed: Fixed): Promise<Buffer> {
  return composeMime(submission, fixed, randomUUID().replaceAll('-', ''));
}
