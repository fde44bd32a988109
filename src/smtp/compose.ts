import { randomUUID } from 'node:crypto';
import type { Submission } from '../mail/message.ts';
import { composeMime, type Fixed, layMime } from './mime.ts';
import { rawMime } from './raw-mime.ts';

const MOST_SEEDS = 36 ** 6;
const ofProcess = randomUUID().replaceAll('-', '');
let seeds = 0;

/** Another one each time. No content can end its part even if it guesses it (see `composeMime`). */
function newSeed(): string {
  seeds = (seeds + 1) % MOST_SEEDS;
  return ofProcess + seeds.toString(36).padStart(6, '0');
}

/**
 * The MIME octets of a message, made once; every attempt sends the same. Their length is what a server's SIZE limit
 * (RFC 1870) is compared with, save for dot stuffing, of which our own text never needs any.
 *
 * @throws if a string in the submission was not checked before (see `mail/`)
 */
export async function composeMessage(submission: Submission, fixed: Fixed): Promise<Buffer> {
  if (submission.raw) return rawMime(submission.raw, fixed);
  const seed = newSeed();
  if (!submission.attachments.some(({ spooled }) => spooled)) return composeMime(submission, fixed, seed);
  const { mime, holes } = layMime(submission, fixed, seed);
  for (const { at, file } of holes) await file.copyTo(mime, at);
  return mime;
}
