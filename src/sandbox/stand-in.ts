import type { Departures, Rule, RuleStage } from './behaviour.ts';
import type { Entra } from './entra.ts';
import type { Inbox } from './inbox.ts';
import type { Limits } from './limits.ts';
import type { MailboxState } from './mailboxes.ts';
import type { Session, SmtpEnvelope } from './session.ts';
import type { Counters } from './stats.ts';

/** What a caller's hook sees before the stand-in answers. */
export interface Moment {
  stage: RuleStage;
  session: Readonly<Session>;
  envelope?: Readonly<SmtpEnvelope>;
  /** At `rcpt`. */
  recipient?: string;
  /** At `body`: octets so far. */
  received?: number;
  /** At `message`. */
  raw?: Buffer;
}

/** All that the stand-in decides by. */
export interface StandIn {
  /** By address in lower case. */
  mailboxes: Map<string, MailboxState>;
  entra: Entra;
  inbox: Inbox;
  limits: () => Limits;
  departures: Departures;
  counters: Counters;
  /** Asked before everything else; undefined: the ordinary thing. */
  onReply?: ((moment: Moment) => Rule | undefined) | undefined;
  onError: (error: unknown) => void;
}

/** The hook speaks first, and after it the rules laid down at run time. */
export function ruleFor(standIn: StandIn, moment: Moment): Rule | undefined {
  const { stage, session, received } = moment;
  return standIn.onReply?.(moment) ?? standIn.departures.take(stage, session.mailbox, received);
}
