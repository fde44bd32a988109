import { exampleOf, type ReplyId } from '../failure/replies.ts';
import type { Aftermath } from './answer.ts';
import { type Session, signedByBackEnd } from './session.ts';

/** When a scenario plays: as an answer to this command, in the middle of the body, or as the answer to the final dot. */
export type ScenarioStage = 'mail' | 'rcpt' | 'data' | 'body' | 'message';

/**
 * One way for a message to go otherwise than well, chosen by the local part of an address: `throttled@anything.example`,
 * also with a tag (`throttled+order-17@…`) and, where `number` is given, with a number (`throttled-3@…`).
 */
export interface Scenario {
  localPart: string;
  stage: ScenarioStage;
  /** What happens, for the table that people read. */
  what: string;
  /** Which known reply it is answered with. */
  reply?: ReplyId;
  /** Words that no list has. */
  words?: (session: Session, messageId: string) => string;
  afterwards?: Aftermath;
  /** The message is in the inbox afterwards, though the client is not told. */
  keeps?: true;
  /** What the number after the local part means, and its value where there is none. */
  number?: { means: 'times' | 'milliseconds' | 'octets'; fallback: number };
}

const TWICE = { means: 'times', fallback: 2 } as const;
const ONCE = { means: 'times', fallback: 1 } as const;

/** Played by the local part of a recipient; those of stage `message` also by that of the sender. */
export const RECIPIENT_SCENARIOS = [
  { localPart: 'unknown', stage: 'rcpt', reply: 'rcpt-550-5.1.1', what: 'The recipient does not exist.' },
  {
    localPart: 'denied',
    stage: 'rcpt',
    reply: 'rcpt-550-5.4.1',
    what: 'The recipient’s domain lets no such address in.',
  },
  { localPart: 'invalid', stage: 'rcpt', reply: 'rcpt-501-5.1.3', what: 'The recipient is called invalid.' },
  { localPart: 'reserved', stage: 'rcpt', reply: 'rcpt-550-5.1.4-reserved', what: 'The domain is called reserved.' },
  { localPart: 'one-too-many', stage: 'rcpt', reply: 'rcpt-452-4.5.3', what: 'Too many recipients, says the server.' },
  {
    localPart: 'greylisted',
    stage: 'rcpt',
    reply: 'data-451-4.7.x',
    number: ONCE,
    what: 'The recipient is refused for now, n times (1), then accepted.',
  },
  {
    localPart: 'recipient-busy',
    stage: 'rcpt',
    reply: 'data-432-4.3.2-recipient',
    what: 'The recipient is refused for now, every time.',
  },
  {
    localPart: 'slow-rcpt',
    stage: 'rcpt',
    number: { means: 'milliseconds', fallback: 2_000 },
    what: 'The recipient is accepted after n milliseconds (2000).',
  },
  {
    localPart: 'drop-at-rcpt',
    stage: 'rcpt',
    afterwards: 'drop',
    what: 'The connection is dropped when the recipient is named.',
  },
  { localPart: 'refused-at-data', stage: 'data', reply: 'mail-452-4.3.1', what: 'DATA is refused for now.' },
  {
    localPart: 'drop-at-data',
    stage: 'data',
    afterwards: 'drop',
    what: 'The connection is dropped instead of the 354.',
  },
  {
    localPart: 'drop-in-body',
    stage: 'body',
    afterwards: 'drop',
    number: { means: 'octets', fallback: 1 },
    what: 'The connection is dropped in the middle of the message, after n octets (1).',
  },
  {
    localPart: 'throttled',
    stage: 'message',
    reply: 'data-432-4.3.2-msglimit',
    number: TWICE,
    what: 'Throttled after the dot, n times (2) per message, then accepted.',
  },
  {
    localPart: 'concurrent',
    stage: 'message',
    reply: 'data-432-4.3.2-concurrent',
    number: ONCE,
    what: 'Too many connections, says the server, n times (1) per message, then accepted.',
  },
  {
    localPart: 'busy',
    stage: 'message',
    reply: 'data-451-4.7.0',
    number: TWICE,
    what: 'A temporary server error, n times (2) per message, then accepted.',
  },
  {
    localPart: 'always-busy',
    stage: 'message',
    reply: 'data-451-4.7.0',
    what: 'A temporary server error, every time.',
  },
  { localPart: 'mailbox-full', stage: 'message', reply: 'data-554-5.2.2-full', what: 'The sending mailbox is full.' },
  {
    localPart: 'quota',
    stage: 'message',
    reply: 'data-554-5.2.0-quota',
    what: 'The sending mailbox has used up its recipients of the day.',
  },
  {
    localPart: 'send-as-denied',
    stage: 'message',
    reply: 'data-554-5.2.252',
    what: 'The mailbox may not send as this sender.',
  },
  {
    localPart: 'sender-throttled',
    stage: 'message',
    reply: 'data-550-5.2.252',
    what: 'The whole mailbox is throttled because of earlier send-as errors.',
  },
  {
    localPart: 'no-permission',
    stage: 'message',
    reply: 'data-430-4.2.0-logon',
    what: 'The application has no rights on the mailbox: login works, the message fails.',
  },
  {
    localPart: 'spam',
    stage: 'message',
    reply: 'data-554-5.2.0-spam-suspend',
    what: 'The sender is suspended for spam.',
  },
  { localPart: 'blocked', stage: 'message', reply: 'data-550-5.1.8', what: 'The sender is blocked.' },
  { localPart: 'banned', stage: 'message', reply: 'data-550-5.7.5xx-ban', what: 'The tenant or address is banned.' },
  { localPart: 'too-large', stage: 'message', reply: 'data-554-5.2.0-toobig', what: 'The message is too large.' },
  {
    localPart: 'rejected',
    stage: 'message',
    reply: 'data-550-5.7.1-rule',
    what: 'A rule of the organisation rejects the content.',
  },
  { localPart: 'corrupt', stage: 'message', reply: 'data-554-5.6.0', what: 'The content is called corrupt.' },
  {
    localPart: 'closing',
    stage: 'message',
    reply: 'data-421-any',
    what: 'Refused for now, and the server closes the connection.',
  },
  {
    localPart: 'unheard-of-4xx',
    stage: 'message',
    reply: 'after-data-4xx-unknown',
    what: 'A temporary refusal that no list knows.',
  },
  {
    localPart: 'unheard-of-5xx',
    stage: 'message',
    reply: 'after-data-5xx-unknown',
    what: 'A permanent refusal that no list knows.',
  },
  {
    localPart: 'html',
    stage: 'message',
    words: htmlRefusal,
    what: 'A permanent refusal with HTML and a script in its text.',
  },
  { localPart: 'long', stage: 'message', words: longRefusal, what: 'A permanent refusal of 60 lines.' },
  {
    localPart: 'garbage',
    stage: 'message',
    words: () => 'this is not an SMTP reply',
    afterwards: 'drop',
    keeps: true,
    what: 'Kept, and answered with something that is no reply at all.',
  },
  {
    localPart: 'multi-line',
    stage: 'message',
    words: multiLine,
    keeps: true,
    what: 'Accepted, with a reply of three lines.',
  },
  {
    localPart: 'bare-250',
    stage: 'message',
    words: () => '250',
    keeps: true,
    what: 'Accepted, with nothing but the number.',
  },
  {
    localPart: 'slow',
    stage: 'message',
    number: { means: 'milliseconds', fallback: 2_000 },
    what: 'Accepted, n milliseconds (2000) after the dot.',
  },
  {
    localPart: 'lost-after-dot',
    stage: 'message',
    afterwards: 'drop',
    what: 'The connection is dropped after the dot, and the message is not kept.',
  },
  {
    localPart: 'kept-after-dot',
    stage: 'message',
    afterwards: 'drop',
    keeps: true,
    what: 'The connection is dropped after the dot, though the message is kept.',
  },
  {
    localPart: 'reset-after-dot',
    stage: 'message',
    afterwards: 'reset',
    keeps: true,
    what: 'The same by a TCP reset.',
  },
  {
    localPart: 'hang',
    stage: 'message',
    afterwards: 'hang',
    what: 'Silence after the dot, and the message is not kept.',
  },
  {
    localPart: 'hang-kept',
    stage: 'message',
    afterwards: 'hang',
    keeps: true,
    what: 'Silence after the dot, though the message is kept.',
  },
] as const satisfies readonly Scenario[];

/** Played by the local part of the reverse-path. */
export const SENDER_SCENARIOS = [
  {
    localPart: 'drop-at-mail',
    stage: 'mail',
    afterwards: 'drop',
    what: 'The connection is dropped when the sender is named.',
  },
  { localPart: 'hang-at-mail', stage: 'mail', afterwards: 'hang', what: 'Silence when the sender is named.' },
  {
    localPart: 'closing-at-mail',
    stage: 'mail',
    reply: 'conn-421-4.4.2-rate',
    what: 'MAIL gets a 421 and the server closes the connection.',
  },
  { localPart: 'busy-at-mail', stage: 'mail', reply: 'conn-451-4.7.0', what: 'MAIL is refused for now.' },
  {
    localPart: 'refused-at-mail',
    stage: 'mail',
    reply: 'mail-501-5.1.7',
    what: 'The sender’s address is called invalid.',
  },
  {
    localPart: 'too-large-at-mail',
    stage: 'mail',
    reply: 'mail-552-5.3.4',
    what: 'The announced size is called too large.',
  },
  {
    localPart: 'slow-mail',
    stage: 'mail',
    number: { means: 'milliseconds', fallback: 2_000 },
    what: 'The sender is accepted after n milliseconds (2000).',
  },
] as const satisfies readonly Scenario[];

function htmlRefusal(session: Session): string {
  return signedByBackEnd('550 5.7.1 <h1>Refused</h1><img src=x onerror="alert(1)"><script>alert(2)</script>', session);
}

function longRefusal(session: Session): string {
  const lines = Array.from(
    { length: 59 },
    (_, n) => `550-5.7.1 Line ${n + 1} of a refusal that says far more than anyone asked for`,
  );
  return [...lines, signedByBackEnd('550 5.7.1 and ends here', session)].join('\n');
}

function multiLine(session: Session, messageId: string): string {
  return ['250-2.0.0 OK', `250-${messageId}`, signedByBackEnd('250 2.0.0 Queued', session)].join('\n');
}

/** The table as people and programs read it. */
export interface ScenarioRow {
  /** `throttled[-n]@…` */
  address: string;
  by: 'recipient' | 'sender';
  what: string;
  /** The reply it gives, if it gives one. */
  reply?: string;
}

export function scenarioTable(): ScenarioRow[] {
  const row = (by: ScenarioRow['by']) => (scenario: Scenario) => ({
    address: `${scenario.localPart}${scenario.number ? '[-n]' : ''}@…`,
    by,
    what: scenario.what,
    ...(scenario.reply && { reply: exampleOf(scenario.reply).replace(/ \[[^[\]]*\]$/, '') }),
  });
  return [...RECIPIENT_SCENARIOS.map(row('recipient')), ...SENDER_SCENARIOS.map(row('sender'))];
}
