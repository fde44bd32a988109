import type { Envelope, Submission } from './message.ts';

type Parts = Pick<Submission, 'from' | 'to' | 'cc' | 'bcc'> & Partial<Pick<Submission, 'replyTo' | 'raw' | 'envelope'>>;

/**
 * Who the message really goes to and comes from (RFC 5321 §2.3.1), built from parsed addresses only: never from a
 * header that we did not parse. Each recipient once, in the order to, cc, bcc; local parts are compared exactly
 * (RFC 5321 §2.4), domains are in lower case already.
 */
export function envelopeOf(submission: Parts): Envelope {
  const { from, to, cc, bcc, envelope } = submission;
  const recipients = new Set<string>();
  for (const list of envelope?.to ? [envelope.to] : [to, cc, bcc])
    for (const { address } of list) recipients.add(address);
  const reversePath = envelope?.from?.address ?? from.address;
  const paths = [...recipients];
  const needs = needsOf(submission, reversePath, paths);
  return needs.length > 0 ? { reversePath, recipients: paths, needs } : { reversePath, recipients: paths };
}

/** Addresses outside ASCII need SMTPUTF8 in the envelope and in the header alike (RFC 6531 §3.4, RFC 6532 §3.2). */
function needsOf(
  { from, to, cc, replyTo = [], raw }: Parts,
  reversePath: string,
  recipients: readonly string[],
): NonNullable<Envelope['needs']> {
  const needs: NonNullable<Envelope['needs']> = [];
  const shown = raw ? [] : [[from], to, cc, replyTo];
  const foreignShown = () => shown.some((list) => list.some(({ address }) => isForeign(address)));
  if (raw?.needsUtf8 || isForeign(reversePath) || recipients.some(isForeign) || foreignShown()) needs.push('SMTPUTF8');
  if (raw?.isEightBit) needs.push('8BITMIME');
  return needs;
}

function isForeign(address: string): boolean {
  return /[^\0-\x7f]/.test(address);
}
