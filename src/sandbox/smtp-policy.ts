import type { Answer } from './answer.ts';
import type { Session, SmtpEnvelope } from './session.ts';

export type Mechanism = 'LOGIN' | 'XOAUTH2';

/** What a client gave to be let in, decoded and not yet checked. */
export type Credentials =
  | { mechanism: 'LOGIN'; user: string; password: string }
  | { mechanism: 'XOAUTH2'; user: string; token: string };

/** What a server decides; `smtp-server.ts` asks it and keeps to the protocol. An answer of 2xx or 3xx means yes. */
export interface SmtpPolicy {
  greet(session: Session): Answer;
  /** @param extended EHLO rather than HELO */
  hello(session: Session, name: string, extended: boolean): Answer;
  startTls(session: Session): Answer;
  /** May this mechanism be tried now? An answer refuses it before any secret has been asked for. */
  refuseMechanism(session: Session, mechanism: string): Answer | undefined;
  /** Also sets `session.mailbox` where it accepts. */
  authenticate(session: Session, credentials: Credentials): Answer;
  mail(session: Session, reversePath: string, declaredBytes: number): Answer;
  rcpt(session: Session, envelope: SmtpEnvelope, recipient: string): Answer;
  data(session: Session, envelope: SmtpEnvelope): Answer;
  /** Asked while the message arrives; an answer ends the connection's reading of it. */
  duringBody(session: Session, envelope: SmtpEnvelope, received: number): Answer | undefined;
  /** @param raw empty if `tooBig` */
  message(session: Session, envelope: SmtpEnvelope, raw: Buffer, tooBig: boolean): Promise<Answer>;
  reset(session: Session): Answer;
  closed(session: Session): void;
}
