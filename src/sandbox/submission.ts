import type { Answer } from './answer.ts';
import { byRule, type Rule } from './behaviour.ts';
import { type HeaderSummary, summarizeHeader } from './inbox.ts';
import type { MailboxState } from './mailboxes.ts';
import { firstCalled, type PlayCount, pairOf, perform, stillPlays } from './scenario-play.ts';
import { type Session, type SmtpEnvelope, signedByBackEnd } from './session.ts';
import { ruleFor, type StandIn } from './stand-in.ts';
import { saying, wordsOf } from './words.ts';

/** A message of which the final dot has arrived. */
interface Submission {
  state: MailboxState;
  session: Session;
  envelope: SmtpEnvelope;
  raw: Buffer;
  /** `raw` is then empty. */
  tooBig: boolean;
  header: HeaderSummary | 'tooLarge';
  /** With angle brackets. */
  messageId: string;
  accepted: Answer;
}

/** The whole of what happens after the final dot: a rule, or the limits, a scenario, and Exchange's own checks. */
export async function submit(
  standIn: StandIn,
  counts: PlayCount,
  arrived: Pick<Submission, 'session' | 'envelope' | 'raw' | 'tooBig'>,
): Promise<Answer> {
  const { session, envelope, raw } = arrived;
  const state = standIn.mailboxes.get(session.mailbox ?? '');
  if (!state) return saying(wordsOf('mail-530-5.7.57', session));
  state.noteSubmission();
  const header = await summarizeHeader(raw);
  const messageId = messageIdOf(header, session);
  const accepted = { say: signedByBackEnd(`250 2.0.0 OK ${messageId}`, session) };
  const submission = { ...arrived, state, header, messageId, accepted };

  const rule = ruleFor(standIn, { stage: 'message', session, envelope, raw });
  if (!rule) return await judge(standIn, counts, submission);
  if (changesOnlyTheManner(rule)) {
    const answer = await judge(standIn, counts, submission);
    return byRule(rule, session, () => answer);
  }
  if (rule.keep) await keep(standIn, counts, submission);
  return byRule(rule, session, () => accepted);
}

/** No words of its own, and yet it answers: later, or and then closes. */
function changesOnlyTheManner(rule: Rule): boolean {
  return rule.reply === undefined && (rule.afterwards === undefined || rule.afterwards === 'close');
}

async function judge(standIn: StandIn, counts: PlayCount, submission: Submission): Promise<Answer> {
  const { session, envelope, messageId, accepted } = submission;
  const throttled = throttle(standIn, submission);
  if (throttled) return throttled;
  const called = firstCalled(envelope, 'message');
  const plays = called && stillPlays(called, messageId, counts);
  if (plays && called.scenario.number?.means !== 'milliseconds') {
    if (called.scenario.keeps) await keep(standIn, counts, submission);
    return perform(called, session, messageId, accepted);
  }
  const answer = refuse(submission) ?? accepted;
  if (answer === accepted) await keep(standIn, counts, submission);
  return plays ? perform(called, session, messageId, answer) : answer;
}

function messageIdOf(header: HeaderSummary | 'tooLarge', session: Session): string {
  const given = header === 'tooLarge' ? '' : header.messageId;
  // Exchange gives a message without a Message-ID one of its own.
  return given || `<${session.id}@${session.backEnd}>`;
}

/** Both limits are answered after the final dot with a 432 (captured logs; the per-minute words are reported only). */
function throttle({ counters }: StandIn, { state, session }: Submission): Answer | undefined {
  const id = state.isOverConnectionLimit(session)
    ? 'data-432-4.3.2-concurrent'
    : !state.takePlace() && 'data-432-4.3.2-msglimit';
  if (!id) return undefined;
  counters.throttleReplies += 1;
  state.throttleReplies += 1;
  return saying(wordsOf(id, session));
}

/** Why Exchange would not take this message from this mailbox, if so. */
function refuse({ session, state, envelope, header, tooBig }: Submission): Answer | undefined {
  if (session.usesToken && state.mailbox.appAccess === false) return saying(wordsOf('data-430-4.2.0-logon', session));
  if (tooBig) return saying(wordsOf('data-554-5.2.0-toobig', session));
  if (header === 'tooLarge') return saying(wordsOf('data-552-5.3.4-header', session));
  if (header.fromFields !== 1 || header.from.length === 0) return saying(wordsOf('data-550-5.7.512', session));
  if (header.from.length > 1 && !header.hasSender) return saying(wordsOf('data-550-5.1.20', session));
  const foreign = [envelope.reversePath, ...header.from].find((address) => address !== '' && !state.maySendAs(address));
  if (foreign) return sendAsDenied(session, state.mailbox.address, foreign);
  if (!state.takeRecipients(envelope.recipients.length)) return saying(wordsOf('data-554-5.2.0-quota', session));
  return undefined;
}

function sendAsDenied(session: Session, login: string, foreign: string): Answer {
  const words = wordsOf('data-554-5.2.252', session);
  return saying(
    words.replace(/\S+ not allowed to send as [^;\s]+/, () => `${login} not allowed to send as ${foreign}`),
  );
}

async function keep({ inbox, counters }: StandIn, counts: PlayCount, submission: Submission): Promise<void> {
  const { state, envelope, raw, header } = submission;
  const summary = header === 'tooLarge' ? undefined : header;
  await inbox.add({
    receivedAt: new Date().toISOString(),
    mailbox: state.mailbox.address,
    envelope: { ...envelope, recipients: [...envelope.recipients] },
    messageId: summary?.messageId ?? '',
    subject: summary?.subject ?? '',
    from: summary?.from.join(', ') ?? '',
    to: summary?.to ?? [],
    raw,
  });
  state.messages += 1;
  counters.messages += 1;
  for (const recipient of envelope.recipients) counts.forget(`greylisted ${pairOf(envelope, recipient)}`);
}
