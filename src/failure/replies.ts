import type { KnownReply } from './known-reply.ts';
import { CLIENT_ERRORS } from './replies-client.ts';
import { NDR_DIAGNOSTICS } from './replies-ndr.ts';
import { SMTP_REPLIES } from './replies-smtp.ts';
import { TOKEN_REPLIES } from './replies-token.ts';

export type { KnownReply } from './known-reply.ts';
export { CLIENT_ERRORS, NDR_DIAGNOSTICS, SMTP_REPLIES, TOKEN_REPLIES };

/** Everything we know to be said, of whatever kind. */
export const KNOWN_REPLIES: readonly KnownReply[] = [
  ...SMTP_REPLIES,
  ...TOKEN_REPLIES,
  ...CLIENT_ERRORS,
  ...NDR_DIAGNOSTICS,
];

/** The name of an entry; a misspelt one does not compile. */
export type ReplyId = (
  | (typeof SMTP_REPLIES)[number]
  | (typeof TOKEN_REPLIES)[number]
  | (typeof CLIENT_ERRORS)[number]
  | (typeof NDR_DIAGNOSTICS)[number]
)['id'];

const EXAMPLES = new Map(KNOWN_REPLIES.map((known) => [known.id, known.example]));

/**
 * A known reply as it arrives, whole: for an SMTP reply the codes and the sentence, one line.
 *
 * @throws Error if there is no entry of that name
 */
export function exampleOf(id: ReplyId): string {
  const example = EXAMPLES.get(id);
  if (example === undefined) throw new Error(`No known reply is called ${id}`);
  return example;
}
