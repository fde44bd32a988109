import type { Trouble } from '../failure/failure.ts';
import type { Envelope } from '../mail/message.ts';
import { parseReply, type Reply, type Stage } from '../mail/reply.ts';
import { troubleOf } from './connection.ts';
import { dotStuffed, endOfData } from './dot-stuffing.ts';
import { mailParameters, missingExtension } from './extensions.ts';
import type { Session } from './session.ts';

export interface Transaction {
  envelope: Envelope;
  /** The whole message, CRLF line ends, sent as it is save for dot-stuffing. */
  mime: Buffer;
  /**
   * Called once the server has said 354 and, unless it goes in one write with the final dot, the message is written. If
   * it rejects, the dot is not sent. What it resolves to is announced along with the dot if it can be (RFC 2920 §3.1 lets
   * a group of commands begin with the end of a message).
   *
   * @param refused at RCPT TO: whatever becomes of the dot, they do not get the message by it
   */
  beforeDot: (refused: Refused[]) => Promise<Upcoming | undefined>;
  /** Its commands up to DATA left with the final dot of the transaction before. */
  isAnnounced?: boolean;
}

/** The next transaction of the same session. */
export interface Upcoming {
  envelope: Envelope;
  /** Of its message. */
  octets: number;
  /** Called when its commands leave. */
  said(): void;
}

/** What one SMTP transaction came to, recipient by recipient. A reply is data here, never an exception. */
export interface TransactionResult {
  /** How far it came. `after-dot` from the moment the final dot may have left. */
  stage: Stage;
  /** Covered by a 250 after the final dot. */
  accepted: string[];
  /** Refused at RCPT TO, each with its own reply. */
  refused: Refused[];
  /** The 250 after the final dot. */
  reply?: Reply;
  /** What ended the transaction for everybody who is in neither list. */
  trouble?: Trouble;
  /** May the connection carry another transaction? */
  reusable: boolean;
}

interface Refused {
  address: string;
  trouble: Trouble;
}

/** How far a transaction has come. */
interface Progress {
  stage: Stage;
  taken: string[];
  refused: Refused[];
}

/** From MAIL FROM to the end of the body; a large body gets more by its size. */
const BEFORE_DOT_MILLISECONDS = 180_000;
const BYTES_PER_SECOND_AT_LEAST = 20_000;
/** RFC 5321 §4.5.3.2.6: the server may need ten minutes to answer the final dot. Giving up earlier makes duplicates. */
const AFTER_DOT_MILLISECONDS = 600_000;
const RESET_MILLISECONDS = 5_000;
/**
 * A message of up to this many octets waits for the leave to send the dot and goes with it: one record of TLS and one
 * write instead of two. It would hardly be on its way sooner.
 */
const WITH_DOT_BYTES = 12_288;

/**
 * Runs MAIL FROM, RCPT TO, DATA and the final dot (RFC 5321 §3.3) in an open session, within one overall deadline; in
 * one write up to DATA where the server offers PIPELINING (RFC 2920), or none where they left with the dot before.
 *
 * @returns what happened; never throws
 */
export async function runTransaction(session: Session, transaction: Transaction): Promise<TransactionResult> {
  const { envelope, mime } = transaction;
  const impossible = impossibility(session, envelope, mime.length);
  session.ahead = 0;
  if (impossible) return { stage: 'mail', accepted: [], refused: [], trouble: impossible, reusable: true };
  const progress: Progress = { stage: 'mail', taken: [], refused: [] };
  const deadline = startDeadline(session, mime.length);
  try {
    const refusal =
      (await announce(session, transaction, progress)) ??
      (await sendBody(session, transaction, progress, deadline.dotLeaves));
    if (refusal) return await ended(session, progress, refusal);
    const reply = await hear(session, 'after-dot');
    if (!isPositive(reply)) return await ended(session, progress, troubleIn(reply));
    const { taken: accepted, refused } = progress;
    return { stage: 'after-dot', accepted, refused, reply: reply as Reply, reusable: session.isOpen() };
  } catch (error) {
    return brokenOff(session, progress, error);
  } finally {
    deadline.stop();
  }
}

/**
 * MAIL FROM, RCPT TO for each recipient, and DATA.
 *
 * @returns undefined once the server has said 354 to DATA, for the recipients in `progress.taken`
 */
async function announce(
  session: Session,
  { envelope, mime, isAnnounced }: Transaction,
  progress: Progress,
): Promise<Trouble | undefined> {
  const [mail, ...paths] = commandsOf(session, envelope, mime.length);
  const isPipelined = session.offers('PIPELINING');
  if (isPipelined && !isAnnounced) session.say(mail, ...paths, 'DATA');
  const ask = (command: string, stage: Stage) => {
    if (!isPipelined) session.say(command);
    return hear(session, stage);
  };

  const toMail = await ask(mail, 'mail');
  if (!isPositive(toMail)) return isPipelined ? withdraw(session, paths.length, toMail) : troubleIn(toMail);
  for (const [index, command] of paths.entries()) {
    progress.stage = 'rcpt';
    const reply = await ask(command, 'rcpt');
    if (isGoodbye(reply)) return troubleIn(reply);
    const address = envelope.recipients[index] as string;
    if (isPositive(reply)) progress.taken.push(address);
    else progress.refused.push({ address, trouble: troubleIn(reply) });
  }
  if (progress.taken.length === 0) return nobodyLeft(session, isPipelined, progress);
  progress.stage = 'data';
  const toData = await ask('DATA', 'data');
  return isGoAhead(toData) ? undefined : troubleIn(toData);
}

/** MAIL FROM, and RCPT TO for each recipient. */
function commandsOf(session: Session, envelope: Envelope, octets: number): [mail: string, ...rcpt: string[]] {
  const mail = `MAIL FROM:<${envelope.reversePath}>${mailParameters(session, envelope, octets)}`;
  return [mail, ...envelope.recipients.map((address) => `RCPT TO:<${address}>`)];
}

/** Reads the replies to what was sent along with a MAIL FROM that was refused; none of them says anything new. */
async function withdraw(session: Session, recipients: number, refusal: Heard): Promise<Trouble> {
  if (isGoodbye(refusal)) return troubleIn(refusal);
  for (let left = recipients; left > 0; left--) if (isGoodbye(await hear(session, 'rcpt'))) return troubleIn(refusal);
  // Whoever refuses the sender and takes the data all the same cannot be trusted with an empty message either.
  if (isGoAhead(await hear(session, 'data'))) session.close();
  return troubleIn(refusal);
}

/** All were refused: the refusal that may pass decides, else the last one. */
async function nobodyLeft(session: Session, isPipelined: boolean, { refused }: Progress): Promise<Trouble> {
  // RFC 2920 §3.1: a server may take the data for nobody; it gets none.
  if (isPipelined && isGoAhead(await hear(session, 'data'))) {
    session.say('.');
    await hear(session, 'after-dot');
  }
  const troubles = refused.map(({ trouble }) => trouble);
  const passing = troubles.find((trouble) => trouble.via === 'smtp' && trouble.reply.code < 500);
  return (passing ?? troubles.at(-1)) as Trouble;
}

/** Not sent, because the leave to send the dot was not given: the worker had lost the message or could not mark it. */
export class Abandoned extends Error {
  override name = 'Abandoned';
}

/** @returns undefined once the final dot may have left */
async function sendBody(
  session: Session,
  { mime, beforeDot }: Transaction,
  progress: Progress,
  dotLeaves: () => void,
): Promise<Trouble | undefined> {
  const isSmall = mime.length <= WITH_DOT_BYTES;
  if (!isSmall)
    for (const octets of dotStuffed(mime)) {
      // The server has had enough, and says so without having seen the end (RFC 5321 §4.2.5 lets it).
      if (session.hasNews()) break;
      await session.write(octets);
    }
  const upcoming = session.hasNews() ? undefined : await beforeDot(progress.refused).catch(abandon);
  if (session.hasNews()) {
    const early = await hear(session, 'data');
    session.close();
    return troubleIn(early);
  }
  progress.stage = 'after-dot';
  dotLeaves();
  const end = [...(isSmall ? dotStuffed(mime) : []), endOfData(mime), ...announcement(session, upcoming)];
  await session.write(end.length > 1 ? Buffer.concat(end) : endOfData(mime));
  return undefined;
}

/** The next transaction's commands up to DATA, to leave now; none where it cannot or must not be announced like this. */
function announcement(session: Session, upcoming: Upcoming | undefined): Buffer[] {
  if (!upcoming || !session.offers('PIPELINING')) return [];
  const { envelope, octets } = upcoming;
  if (impossibility(session, envelope, octets)) return [];
  const commands = [...commandsOf(session, envelope, octets), 'DATA'];
  session.ahead = commands.length;
  upcoming.said();
  return [Buffer.from(`${commands.join('\r\n')}\r\n`)];
}

function abandon(cause: unknown): never {
  throw new Abandoned('The final dot was not sent: no leave to send it', { cause });
}

/** A reply, or what a server said that is none. */
type Heard = Reply | { odd: string; stage: Stage };

async function hear(session: Session, stage: Stage): Promise<Heard> {
  const text = await session.hear();
  return parseReply(text, stage) ?? { odd: text, stage };
}

function isPositive(heard: Heard): boolean {
  return 'code' in heard && heard.code < 300;
}

/** 354; some servers are known to say 250 (RFC 5321 §4.1.1.4 knows no other than 354). */
function isGoAhead(heard: Heard): boolean {
  return 'code' in heard && heard.code < 400;
}

/** RFC 5321 §3.8: the server closes the connection, whatever it was asked. */
function isGoodbye(heard: Heard): boolean {
  return !('code' in heard) || heard.code === 421;
}

function troubleIn(heard: Heard): Trouble {
  if ('code' in heard) return { via: 'smtp', reply: heard };
  const message = `Unexpected Response: ${heard.odd.slice(0, 200)}`;
  return { via: 'client', code: 'EPROTOCOL', command: 'CONN', message, stage: heard.stage };
}

async function ended(session: Session, progress: Progress, trouble: Trouble): Promise<TransactionResult> {
  // After what was announced the server may wait for a message's octets, and would take a command for them.
  const isOver = trouble.via !== 'smtp' || trouble.reply.code === 421 || session.ahead > 0;
  if (isOver) session.close();
  const stage = trouble.via === 'smtp' ? trouble.reply.stage : progress.stage;
  const reusable = session.isOpen() && (await reset(session));
  return { stage, accepted: [], refused: progress.refused, trouble, reusable };
}

function brokenOff(session: Session, { stage, refused }: Progress, error: unknown): TransactionResult {
  const trouble: Trouble =
    error instanceof Abandoned
      ? { via: 'client', code: 'ABANDONED', message: error.message, stage: 'data' }
      : troubleOf(error, stage);
  session.close();
  return { stage, accepted: [], refused, trouble, reusable: false };
}

/** Clears what a refused transaction left (RFC 5321 §4.1.1.5): a second MAIL FROM without it is out of sequence. */
async function reset(session: Session): Promise<boolean> {
  const timer = setTimeout(() => session.close(), RESET_MILLISECONDS);
  try {
    session.say('RSET');
    return isPositive(await hear(session, 'mail')) && session.isOpen();
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

function startDeadline(session: Session, octets: number) {
  const expire = () => session.close(Object.assign(new Error('Timeout'), { code: 'ETIMEDOUT', command: 'CONN' }));
  const upload = (octets / BYTES_PER_SECOND_AT_LEAST) * 1000;
  let timer = setTimeout(expire, BEFORE_DOT_MILLISECONDS + upload);
  return {
    dotLeaves() {
      clearTimeout(timer);
      timer = setTimeout(expire, AFTER_DOT_MILLISECONDS + upload);
    },
    stop: () => clearTimeout(timer),
  };
}

/** Why the server need not even be asked. */
function impossibility(session: Session, envelope: Envelope, octets: number): Trouble | undefined {
  return missingExtension(session, envelope.needs) ?? tooLarge(session, octets) ?? unsafePath(envelope);
}

function tooLarge({ maxMessageBytes }: Session, octets: number): Trouble | undefined {
  if (maxMessageBytes === undefined || octets <= maxMessageBytes) return undefined;
  const message = `Message size larger than allowed ${maxMessageBytes}`;
  return { via: 'client', code: 'EMESSAGE', command: 'MAIL FROM', message, stage: 'mail' };
}

/** Addresses are checked where they come in; this is the last place at which one could become a command. */
function unsafePath({ reversePath, recipients }: Envelope): Trouble | undefined {
  const unsafe = [reversePath, ...recipients].find((path) => /[\0-\x20<>\x7f]/.test(path));
  if (unsafe === undefined) return undefined;
  const message = `Invalid recipient or sender ${JSON.stringify(unsafe)}`;
  return { via: 'client', code: 'EENVELOPE', command: 'API', message, stage: 'mail' };
}
