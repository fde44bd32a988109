import type { SecureContext } from 'node:tls';
import { type Answer, accepts } from './answer.ts';
import { type Session, signed } from './session.ts';
import { askCredentials } from './smtp-auth.ts';
import type { Mechanism, SmtpPolicy } from './smtp-policy.ts';
import { isAscii, isHelloName, isMailboxAddress, type Path, parseCommand, parsePath } from './smtp-syntax.ts';
import type { Body, Wire } from './wire.ts';

/** Only AUTH carries more (a token); RFC 5321 §4.5.3.1.4 promises 512 octets plus what the extensions add. */
const MAX_COMMAND_LENGTH = 2_048;
/** A client that talks nonsense is hung up on after so many refused commands. */
const MAX_STRIKES = 50;

/** What the handlers of commands work with. */
export interface Talk {
  wire: Wire;
  session: Session;
  policy: SmtpPolicy;
  secureContext: SecureContext;
  maxBodyBytes: () => number;
  strikes: number;
}

type Handler = (talk: Talk, argument: string) => Promise<boolean>;

const HANDLERS: Record<string, Handler> = {
  EHLO: (talk, name) => hello(talk, name, true),
  HELO: (talk, name) => hello(talk, name, false),
  STARTTLS: startTls,
  AUTH: auth,
  MAIL: mail,
  RCPT: rcpt,
  DATA: data,
  RSET: reset,
  NOOP: (talk) => talk.wire.answer({ say: '250 2.0.0 OK' }),
  VRFY: (talk) => talk.wire.answer({ say: '252 2.1.5 Cannot VRFY user' }),
  HELP: (talk) =>
    talk.wire.answer({ say: '214 This is the Postroom sandbox, not Microsoft 365. Nothing leaves this machine.' }),
  QUIT: (talk) => talk.wire.answer({ say: '221 2.0.0 Service closing transmission channel', afterwards: 'close' }),
};

/** Carries out one command. @returns whether the conversation goes on */
export async function obey(talk: Talk, line: string, isTurnedAway: boolean): Promise<boolean> {
  const { verb, argument } = parseCommand(line);
  if (line.length > MAX_COMMAND_LENGTH && verb !== 'AUTH') return await refuseLine(talk, 'tooLong');
  if (isTurnedAway && verb !== 'QUIT') return await strike(talk, '503 5.5.1 Bad sequence of commands');
  const handler = Object.hasOwn(HANDLERS, verb) ? HANDLERS[verb] : undefined;
  if (!handler) return await strike(talk, `500 5.3.3 Unrecognized command '${printable(verb)}'`);
  return await handler(talk, argument);
}

function printable(verb: string): string {
  return verb.replace(/[^\x21-\x7e]/g, '?').slice(0, 32);
}

const LINE_FAULTS = {
  tooLong: '500 5.5.2 Line too long',
  notCrlf: '500 5.5.2 Lines must end with CRLF',
  controlCharacter: '500 5.5.2 Control character in a command',
  notUtf8: '500 5.5.2 Command is not UTF-8',
} as const;

/** @returns whether the conversation goes on */
export function refuseLine(talk: Talk, fault: keyof typeof LINE_FAULTS): Promise<boolean> {
  return strike(talk, LINE_FAULTS[fault]);
}

/** Says that the command was wrong; hangs up on a client that gets nothing right. */
async function strike(talk: Talk, reply: string): Promise<boolean> {
  talk.strikes += 1;
  const isEnough = talk.strikes > MAX_STRIKES;
  if (isEnough)
    return await talk.wire.answer({ say: '421 4.7.0 Too many errors on this connection', afterwards: 'close' });
  return await talk.wire.answer({ say: signed(reply, talk.session) });
}

async function hello(talk: Talk, name: string, extended: boolean): Promise<boolean> {
  const { session } = talk;
  if (!isHelloName(name)) return await strike(talk, '501 5.5.4 Invalid domain name');
  const answer = talk.policy.hello(session, name, extended);
  if (accepts(answer)) {
    // RFC 5321 §4.1.4: EHLO also resets.
    session.hello = name;
    delete session.envelope;
  }
  return await talk.wire.answer(answer);
}

async function startTls(talk: Talk, argument: string): Promise<boolean> {
  const { session, wire } = talk;
  if (argument) return await strike(talk, '501 5.5.4 Invalid arguments');
  if (session.isSecure) return await strike(talk, '503 5.5.2 Already secured');
  const answer = talk.policy.startTls(session);
  if (!accepts(answer) || answer.say === undefined) return await wire.answer(answer);
  if (answer.delayMs && !(await wire.answer({ delayMs: answer.delayMs }))) return false;
  if (!(await wire.startTls(talk.secureContext, answer.say))) return false;
  // RFC 3207 §4.2: what was said before TLS is forgotten.
  session.isSecure = true;
  delete session.hello;
  delete session.envelope;
  return answer.afterwards === undefined || (await wire.answer({ afterwards: answer.afterwards }));
}

async function auth(talk: Talk, argument: string): Promise<boolean> {
  const { session, wire, policy } = talk;
  const [name = '', initial, ...rest] = argument.split(' ');
  const mechanism = name.toUpperCase();
  const refusal = policy.refuseMechanism(session, mechanism);
  if (refusal) return await wire.answer(refusal);
  if (!session.hello) return await strike(talk, '503 5.5.2 Send hello first');
  if (session.mailbox || session.envelope) return await strike(talk, '503 5.5.2 Already authenticated');
  if (rest.length > 0) return await strike(talk, '501 5.5.4 Invalid arguments');
  const credentials = await askCredentials(wire, session, mechanism as Mechanism, initial);
  if (!credentials) return false;
  const answer = 'mechanism' in credentials ? policy.authenticate(session, credentials) : credentials;
  if (answer.say?.startsWith('334 ')) return await challenge(talk, answer);
  return await wire.answer(answer);
}

/** RFC 7628 §3.2.3, and Google's XOAUTH2 before it: the error is a challenge, which the client must answer once. */
async function challenge(talk: Talk, answer: Answer): Promise<boolean> {
  if (!(await talk.wire.answer(answer))) return false;
  if (!(await talk.wire.readLine())) return false;
  return await talk.wire.answer({ say: signed('535 5.7.3 Authentication unsuccessful', talk.session) });
}

const MAIL_PARAMETERS = ['SIZE', 'BODY', 'SMTPUTF8', 'AUTH', 'RET', 'ENVID'];
const RCPT_PARAMETERS = ['NOTIFY', 'ORCPT'];

async function mail(talk: Talk, argument: string): Promise<boolean> {
  const { session } = talk;
  if (!session.hello) return await strike(talk, '503 5.5.2 Send hello first');
  if (session.envelope) return await strike(talk, '503 5.5.2 Sender already specified');
  const path = /^FROM:/i.test(argument) ? parsePath(argument.slice('FROM:'.length)) : undefined;
  if (!path) return await strike(talk, '501 5.5.4 Invalid arguments');
  const fault = unknownParameter(path, MAIL_PARAMETERS) ?? mailFault(path);
  if (fault) return await strike(talk, fault);
  const answer = talk.policy.mail(session, path.address, Number(path.parameters.SIZE ?? 0));
  if (accepts(answer)) {
    session.envelope = { reversePath: path.address, recipients: [], smtpUtf8: 'SMTPUTF8' in path.parameters };
  }
  return await talk.wire.answer(answer);
}

function mailFault({ address, parameters }: Path): string | undefined {
  const { SIZE, BODY, SMTPUTF8, RET } = parameters;
  if (SIZE !== undefined && !/^\d{1,20}$/.test(SIZE)) return '501 5.5.4 Invalid arguments';
  if (BODY !== undefined && !/^(7BIT|8BITMIME)$/i.test(BODY)) return '501 5.5.4 Unsupported BODY';
  if (RET !== undefined && !/^(FULL|HDRS)$/i.test(RET)) return '501 5.5.4 Invalid arguments';
  if (SMTPUTF8) return '501 5.5.4 Invalid arguments';
  return address === '' ? undefined : addressFault(address, SMTPUTF8 !== undefined, '501 5.1.7 Invalid address');
}

async function rcpt(talk: Talk, argument: string): Promise<boolean> {
  const { envelope } = talk.session;
  if (!envelope) return await strike(talk, '503 5.5.2 Need mail command');
  const path = /^TO:/i.test(argument) ? parsePath(argument.slice('TO:'.length)) : undefined;
  if (!path) return await strike(talk, '501 5.5.4 Invalid arguments');
  const fault =
    unknownParameter(path, RCPT_PARAMETERS) ??
    addressFault(path.address, envelope.smtpUtf8, '501 5.1.3 Invalid address');
  if (fault) return await strike(talk, fault);
  const answer = talk.policy.rcpt(talk.session, envelope, path.address);
  if (accepts(answer)) envelope.recipients.push(path.address);
  return await talk.wire.answer(answer);
}

/** RFC 5321 §4.1.1.11: 555 for a parameter that is not ours. */
function unknownParameter({ parameters }: Path, known: string[]): string | undefined {
  const unknown = Object.keys(parameters).find((keyword) => !known.includes(keyword));
  return unknown && `555 5.5.4 Unsupported option: ${printable(unknown)}`;
}

/** RFC 6531 §3.5: 553 where the address needs SMTPUTF8 and the client did not ask for it. */
function addressFault(address: string, smtpUtf8: boolean, otherwise: string): string | undefined {
  if (!smtpUtf8 && !isAscii(address)) return '553 5.6.7 Address requires SMTPUTF8';
  return isMailboxAddress(address, smtpUtf8) ? undefined : otherwise;
}

async function data(talk: Talk, argument: string): Promise<boolean> {
  const { session, wire, policy } = talk;
  if (argument) return await strike(talk, '501 5.5.4 Invalid arguments');
  const { envelope } = session;
  if (!envelope) return await strike(talk, '503 5.5.2 Need mail command');
  if (envelope.recipients.length === 0) return await strike(talk, '503 5.5.2 Need rcpt command');
  const leave = policy.data(session, envelope);
  if (!(await wire.answer(leave))) return false;
  if (!accepts(leave)) return true;
  const body = await wire.readBody(talk.maxBodyBytes(), (received) => policy.duringBody(session, envelope, received));
  if (!body) return false;
  if (!isBody(body)) return await wire.answer({ afterwards: 'drop', ...body });
  delete session.envelope;
  return await wire.answer(await policy.message(session, envelope, body.raw, body.tooBig));
}

function isBody(body: Body | Answer): body is Body {
  return 'raw' in body;
}

async function reset(talk: Talk): Promise<boolean> {
  delete talk.session.envelope;
  return await talk.wire.answer(talk.policy.reset(talk.session));
}
