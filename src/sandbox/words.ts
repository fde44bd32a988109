import { exampleOf, KNOWN_REPLIES, type ReplyId } from '../failure/replies.ts';
import type { Answer } from './answer.ts';
import { type Session, signed, signedByBackEnd } from './session.ts';

const SIGNATURE = / \[[^[\]]* \d{4}-\d\d-\d\dT[^[\]]*\]$/;
const BACK_END_SIGNATURE = / \[Hostname=[^[\]]*\]$/;
const IDS: ReadonlySet<string> = new Set(KNOWN_REPLIES.filter((known) => known.via === 'smtp').map(({ id }) => id));

/** Microsoft's words, signed by this session's own servers as Microsoft's would. */
export function wordsOf(id: ReplyId, session: Session): string {
  const example = exampleOf(id);
  if (BACK_END_SIGNATURE.test(example)) return signedByBackEnd(example.replace(BACK_END_SIGNATURE, ''), session);
  if (SIGNATURE.test(example)) return signed(example.replace(SIGNATURE, ''), session);
  return example;
}

export function isSmtpReplyId(text: string): text is ReplyId {
  return IDS.has(text);
}

/** An answer of these words. After a 421 the server closes (RFC 5321 §3.8). */
export function saying(say: string): Answer {
  return say.startsWith('421') ? { say, afterwards: 'close' } : { say };
}
