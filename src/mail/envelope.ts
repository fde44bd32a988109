import type { Envelope, Submission } from './message.ts';

/**
 * Who the message really goes to and comes from (RFC 5321 §2.3.1), built from parsed addresses only: never from a
 * header. Each recipient once, in the order to, cc, bcc; local parts are compared exactly (RFC 5321 §2.4), domains are
 * in lower case already.
 */
export function envelopeOf(submission: Pick<Submission, 'from' | 'to' | 'cc' | 'bcc'>): Envelope {
  const recipients = [...submission.to, ...submission.cc, ...submission.bcc].map(({ address }) => address);
  return { reversePath: submission.from.address, recipients: [...new Set(recipients)] };
}
