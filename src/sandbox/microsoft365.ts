import { type Answer, accepts } from './answer.ts';
import { type Advertised, byRule } from './behaviour.ts';
import type { Limits } from './limits.ts';
import { calledBy, firstCalled, PlayCount, pairOf, perform, stillPlays } from './scenario-play.ts';
import { type Session, type SmtpEnvelope, signed } from './session.ts';
import type { Credentials, SmtpPolicy } from './smtp-policy.ts';
import { type Moment, ruleFor, type StandIn } from './stand-in.ts';
import { submit } from './submission.ts';
import { saying, wordsOf } from './words.ts';

/** 150 MiB, which smtp.office365.com announces whatever the mailbox's own limit is (captured sessions, 2025). */
const ADVERTISED_BYTES = 157_286_400;

/** What smtp.office365.com says and decides, as far as it is known from captured sessions of 2025 and 2026. */
export function microsoft365(standIn: StandIn): SmtpPolicy {
  const { counters, departures, limits } = standIn;
  const plays = new PlayCount();

  /** The ordinary answer, unless the hook or a rule has another. */
  const decide = (moment: Moment, ordinary: () => Answer): Answer => {
    const rule = ruleFor(standIn, moment);
    return rule ? byRule(rule, moment.session, ordinary) : ordinary();
  };
  const advertised = (): Advertised => departures.current.advertise ?? {};

  return {
    greet(session) {
      counters.connections.total += 1;
      counters.connections.now += 1;
      counters.connections.peak = Math.max(counters.connections.peak, counters.connections.now);
      return decide({ stage: 'greeting', session }, () => ({ say: banner(session) }));
    },

    hello: (session, _name, extended) =>
      decide({ stage: 'hello', session }, () => ({ say: helloReply(session, extended, advertised()) })),

    startTls: (session) => decide({ stage: 'startTls', session }, () => ({ say: '220 2.0.0 SMTP server ready' })),

    refuseMechanism(session, mechanism) {
      counters.authAttempts += 1;
      if (!session.isSecure) {
        counters.cleartextAuthAttempts += 1;
        counters.authFailures += 1;
        return saying(wordsOf('mail-530-5.7.0-starttls', session));
      }
      if (mechanismsOf(advertised()).includes(mechanism)) return undefined;
      counters.authFailures += 1;
      return saying(wordsOf('auth-504-5.7.4', session));
    },

    authenticate(session, credentials) {
      const mailbox = credentials.user.toLowerCase();
      const rule = ruleFor(standIn, { stage: 'auth', session: { ...session, mailbox } });
      const ordinary = () => authenticate(standIn, session, credentials);
      const answer = rule ? byRule(rule, session, ordinary) : ordinary();
      if (!accepts(answer)) {
        counters.authFailures += 1;
        if (answer.say) session.authFailure = answer.say;
      }
      return answer;
    },

    mail(session, reversePath, declaredBytes) {
      counters.mailCommands += 1;
      if (!session.isSecure) return saying(wordsOf('mail-530-5.7.0-starttls', session));
      if (!session.mailbox) return notAuthenticated(session);
      return decide({ stage: 'mail', session }, () => mail(session, reversePath, declaredBytes));
    },

    rcpt: (session, envelope, recipient) =>
      decide({ stage: 'rcpt', session, envelope, recipient }, () =>
        rcpt(session, envelope, recipient, limits(), plays),
      ),

    data(session, envelope) {
      const ordinary = { say: '354 Start mail input; end with <CRLF>.<CRLF>' };
      const called = firstCalled(envelope, 'data');
      return decide({ stage: 'data', session, envelope }, () =>
        called ? perform(called, session, '', ordinary) : ordinary,
      );
    },

    duringBody(session, envelope, received) {
      const rule = ruleFor(standIn, { stage: 'body', session, envelope, received });
      if (rule) return byRule({ afterwards: 'drop', ...rule }, session, () => ({}));
      const called = firstCalled(envelope, 'body');
      return called && received >= called.number ? perform(called, session, '', {}) : undefined;
    },

    async message(session, envelope, raw, tooBig) {
      const answer = await submit(standIn, plays, { session, envelope, raw, tooBig }).catch((error: unknown) => {
        // Most likely the inbox's disk is full: a server says so, and the message was not accepted.
        standIn.onError(error);
        return saying(wordsOf('data-431-4.3.1', session));
      });
      const code = answer.say?.slice(0, 3) ?? 'none';
      counters.repliesAfterDot[code] = (counters.repliesAfterDot[code] ?? 0) + 1;
      return answer;
    },

    reset: (session) => decide({ stage: 'reset', session }, () => ({ say: '250 2.0.0 Resetting' })),

    closed(session) {
      counters.connections.now -= 1;
      if (session.mailbox) standIn.mailboxes.get(session.mailbox)?.leave(session);
    },
  };
}

/** As captured in 2025: `220 <host> Microsoft ESMTP MAIL Service ready at <date> [<session>]`. */
function banner(session: Session): string {
  const date = new Date().toUTCString().replace('GMT', '+0000');
  return `220 ${session.frontEnd} Microsoft ESMTP MAIL Service ready at ${date} [${session.id}]`;
}

function mechanismsOf(advertised: Advertised): string[] {
  return advertised.mechanisms ?? ['LOGIN', 'XOAUTH2'];
}

/** As captured in 2025, without BINARYMIME and CHUNKING (see smtp-server.ts). AUTH is offered over TLS only. */
function helloReply(session: Session, extended: boolean, advertised: Advertised): string {
  const hello = `${session.frontEnd} Hello [${session.remoteAddress}]`;
  if (!extended) return `250 ${hello}`;
  const mechanisms = mechanismsOf(advertised);
  const security = session.isSecure
    ? mechanisms.length > 0 && `AUTH ${mechanisms.join(' ')}`
    : advertised.startTls !== false && 'STARTTLS';
  const lines = [
    hello,
    `SIZE ${advertised.bytes ?? ADVERTISED_BYTES}`,
    'PIPELINING',
    'DSN',
    'ENHANCEDSTATUSCODES',
    ...(security ? [security] : []),
    ...(advertised.eightBitMime === false ? [] : ['8BITMIME']),
    ...(advertised.smtpUtf8 === false ? [] : ['SMTPUTF8']),
  ];
  return lines.map((line, at) => `250${at === lines.length - 1 ? ' ' : '-'}${line}`).join('\n');
}

/** Which words for which mistake: a 5.7.139 sentence for a password, the bare 5.7.3 for a token (captured logs, 2026). */
function authenticate(standIn: StandIn, session: Session, credentials: Credentials): Answer {
  const state = standIn.mailboxes.get(credentials.user.toLowerCase());
  if (credentials.mechanism === 'LOGIN') {
    if (state?.mailbox.password !== credentials.password) {
      return saying(wordsOf('auth-535-5.7.139-credentials', session));
    }
  } else if (!state || !standIn.entra.isValidForSmtp(credentials.token)) {
    return saying(wordsOf('auth-535-5.7.3-oauth', session));
  }
  if (!state) return saying(wordsOf('auth-535-5.7.139-credentials', session));
  session.mailbox = state.mailbox.address.toLowerCase();
  session.usesToken = credentials.mechanism === 'XOAUTH2';
  state.enter(session);
  return { say: '235 2.7.0 Authentication successful' };
}

/** A client that goes on after a refused AUTH is reminded of it (captured log, 2026). */
function notAuthenticated(session: Session): Answer {
  if (!session.authFailure) return saying(wordsOf('mail-530-5.7.57', session));
  const failure = session.authFailure.replace(/ \[[^[\]]*\]$/, '');
  return { say: signed(`530 5.7.57 Client not authenticated to send mail. Error: ${failure}`, session) };
}

function mail(session: Session, reversePath: string, declaredBytes: number): Answer {
  if (declaredBytes > ADVERTISED_BYTES) return saying(wordsOf('mail-552-5.3.4', session));
  const ordinary = { say: '250 2.1.0 Sender OK' };
  const called = calledBy(reversePath);
  return called?.scenario.stage === 'mail' ? perform(called, session, '', ordinary) : ordinary;
}

function rcpt(session: Session, envelope: SmtpEnvelope, recipient: string, limits: Limits, plays: PlayCount): Answer {
  // Documented for MX connections and by RFC 5321 §4.5.3.1.10; what client submission answers is not published.
  if (envelope.recipients.length >= limits.recipientsPerMessage) return saying(wordsOf('rcpt-452-4.5.3', session));
  const ordinary = { say: '250 2.1.5 Recipient OK' };
  const called = calledBy(recipient);
  if (called?.scenario.stage !== 'rcpt') return ordinary;
  if (!stillPlays(called, pairOf(envelope, recipient), plays)) return ordinary;
  return perform(called, session, '', ordinary);
}
