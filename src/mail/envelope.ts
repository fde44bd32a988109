import type { Envelope, Submission } from './message.ts';

type Parts = Pick<Submission, 'from' | 'to' | 'cc' | 'bcc'> & Partial<Pick<Submission, 'replyTo' | 'raw' | 'envelope'>>;

/**
 * Who the message really goes to and comes from (RFC 5321 §2.3.1), built from parsed addresses only: never from a
 * header that we did not parse. Each recipient once, in the order to, cc, bcc; local parts are compared exactly
 * (RFC 5321 §2.4), domains are in lower case already.
 */
export function envelopeOf(submission: Parts): Envelope {
  const { from, to, cc, bcc, envelope } = submission;
  const recipients = (envelope?.to ?? [...to, ...cc, ...bcc]).map(({ address }) => address);
  const reversePath = envelope?.from?.address ?? from.address;
  const needs = needsOf(submission, [reversePath, ...recipients]);
  return { reversePath, recipients: [...new Set(recipients)], ...(needs.length > 0 && { needs }) };
}

/** Addresses outside ASCII need SMTPUTF8 in the envelope and in the header alike (RFC 6531 §3.4, RFC 6532 §3.2). */
function needsOf({ from, to, cc, replyTo = [], raw }: Parts, paths: string[]): NonNullable<Envelope['needs']> {
  const isForeign = (address: string) => /[^\0-\x7f]/.test(address);
  const shown = raw ? [] : [from, ...to, ...cc, ...replyTo].map(({ address }) => address);
  const needsUtf8 = raw?.needsUtf8 || paths.some(isForeign) || shown.some(isForeign);
  return [...(needsUtf8 ? (['SMTPUTF8'] as const) : []), ...(raw?.isEightBit ? (['8BITMIME'] as const) : [])];
}
