import { Readable } from 'node:stream';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { Trouble } from '../failure/failure.ts';
import type { Envelope } from '../mail/message.ts';
import { parseReply, type Reply, type Stage } from '../mail/reply.ts';
import { troubleOf } from './connection.ts';
import { missingExtension, parametersFor } from './extensions.ts';

export interface Transaction {
  envelope: Envelope;
  /** The whole message, CRLF line ends, sent as it is save for dot-stuffing. */
  mime: Buffer;
  /** Called once the server has said 354 and all but the final dot is written. If it rejects, the dot is not sent. */
  beforeDot: () => Promise<void>;
  signal?: AbortSignal;
}

/** What one SMTP transaction came to, recipient by recipient. A reply is data here, never an exception. */
export interface TransactionResult {
  /** How far it came. `after-dot` from the moment the final dot may have left. */
  stage: Stage;
  /** Covered by a 250 after the final dot. */
  accepted: string[];
  /** Refused at RCPT TO, each with its own reply. */
  refused: { address: string; trouble: Trouble }[];
  /** The 250 after the final dot. */
  reply?: Reply;
  /** What ended the transaction for everybody who is in neither list. */
  trouble?: Trouble;
  /** May the connection carry another transaction? */
  reusable: boolean;
}

/** From MAIL FROM to the end of the body; a large body gets more by its size. */
const BEFORE_DOT_MILLISECONDS = 180_000;
const BYTES_PER_SECOND_AT_LEAST = 20_000;
/** RFC 5321 §4.5.3.2.6: the server may need ten minutes to answer the final dot. Giving up earlier makes duplicates. */
const AFTER_DOT_MILLISECONDS = 600_000;
const RESET_MILLISECONDS = 5_000;

/**
 * Runs MAIL FROM, RCPT TO, DATA and the final dot on an open connection, within one overall deadline.
 * nodemailer says `CONN` for every broken connection, so how far we had come is read off the body, which it starts to
 * read after the 354 and which ends just before the dot.
 *
 * @returns what happened; never throws
 */
export async function runTransaction(connection: SMTPConnection, transaction: Transaction): Promise<TransactionResult> {
  const missing = missingExtension(connection, transaction.envelope.needs);
  if (missing) return { stage: 'mail', accepted: [], refused: [], trouble: missing, reusable: true };
  const body = new Body(transaction.mime, transaction.beforeDot);
  const deadline = startDeadline(connection, body, transaction);
  try {
    const info = await send(connection, transaction, body);
    const refused = (info.rejectedErrors ?? []).map((error) => refusal(error, error));
    const reply = parseReply(info.response, 'after-dot', 250);
    return {
      stage: 'after-dot',
      accepted: info.accepted,
      refused,
      ...(reply && { reply }),
      reusable: !connection.destroyed,
    };
  } catch (error) {
    const result = brokenOff(error, body.stage, connection, deadline.expired());
    return { ...result, reusable: result.reusable && (await reset(connection)) };
  } finally {
    deadline.stop();
    body.destroy();
  }
}

interface SendInfo {
  accepted: string[];
  rejectedErrors?: RecipientError[] | undefined;
  response: string;
}
type RecipientError = Error & { recipient?: unknown; code?: string; response?: unknown };

function send(connection: SMTPConnection, { envelope, mime }: Transaction, body: Body): Promise<SendInfo> {
  return new Promise((resolve, reject) => {
    // A connection that we close ourselves, at the deadline or on abort, never calls back: `end` tells.
    const ended = () =>
      setImmediate(() => reject(Object.assign(new Error('Connection closed unexpectedly'), { code: 'ECONNECTION' })));
    connection.once('end', ended);
    const parameters = parametersFor(connection, envelope);
    const parts = { from: envelope.reversePath, to: envelope.recipients, size: mime.length, ...parameters };
    connection.send(parts, body, (error, info) => {
      connection.off('end', ended);
      if (error || !info) reject(error ?? new Error('No result'));
      else resolve(info as SendInfo);
    });
  });
}

function refusal(error: RecipientError, shown: unknown): { address: string; trouble: Trouble } {
  return { address: String(error.recipient ?? ''), trouble: troubleOf(shown, 'rcpt') };
}

function brokenOff(error: unknown, stage: Stage, connection: SMTPConnection, late: boolean): TransactionResult {
  const { rejectedErrors } = error as { rejectedErrors?: RecipientError[] };
  const refused = (rejectedErrors ?? []).map((each) => refusal(each, each));
  const observed = late ? Object.assign(new Error('Timeout'), { code: 'ETIMEDOUT', command: 'CONN' }) : error;
  const trouble = error instanceof Abandoned ? abandoned(error) : troubleOf(observed, stage);
  const reached = trouble.via === 'smtp' ? trouble.reply.stage : stage;
  const reusable = trouble.via === 'smtp' && trouble.reply.code !== 421 && !connection.destroyed;
  return { stage: reached, accepted: [], refused, trouble, reusable };
}

/** Clears what a refused transaction left (RFC 5321 §4.1.1.5): a second MAIL FROM without it is out of sequence. */
function reset(connection: SMTPConnection): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), RESET_MILLISECONDS);
    const settle = (done: boolean) => {
      clearTimeout(timer);
      connection.off('end', ended);
      resolve(done);
    };
    const ended = () => settle(false);
    connection.once('end', ended);
    connection.reset((error) => settle(!error));
  });
}

/** Not sent, because the leave to send the dot was not given: the worker had lost the message or could not mark it. */
export class Abandoned extends Error {
  override name = 'Abandoned';
}

function abandoned(error: Abandoned): Trouble {
  return { via: 'client', code: 'ABANDONED', message: error.message, stage: 'data' };
}

function startDeadline(connection: SMTPConnection, body: Body, { mime, signal }: Transaction) {
  let expired = false;
  const expire = () => {
    expired = true;
    connection.close();
  };
  const uploadSeconds = mime.length / BYTES_PER_SECOND_AT_LEAST;
  let timer = setTimeout(expire, BEFORE_DOT_MILLISECONDS + uploadSeconds * 1000);
  body.onDot = () => {
    clearTimeout(timer);
    timer = setTimeout(expire, AFTER_DOT_MILLISECONDS + uploadSeconds * 1000);
  };
  const abort = () => body.stage !== 'after-dot' && connection.close();
  signal?.addEventListener('abort', abort, { once: true });
  const stop = () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  };
  return { expired: () => expired, stop };
}

const CHUNK_BYTES = 64 * 1024;

/** The message as a stream that knows how far it was read, and that ends only with leave. */
class Body extends Readable {
  stage: Stage = 'mail';
  onDot: () => void = () => undefined;
  readonly #mime: Buffer;
  readonly #beforeDot: () => Promise<void>;
  #offset = 0;

  constructor(mime: Buffer, beforeDot: () => Promise<void>) {
    super({ highWaterMark: CHUNK_BYTES });
    this.#mime = mime;
    this.#beforeDot = beforeDot;
  }

  override _read(): void {
    this.stage = 'data';
    if (this.#offset < this.#mime.length) {
      this.push(this.#mime.subarray(this.#offset, this.#offset + CHUNK_BYTES));
      this.#offset += CHUNK_BYTES;
      return;
    }
    this.#beforeDot().then(
      () => this.#end(),
      (cause) => this.destroy(new Abandoned('The final dot was not sent: no leave to send it', { cause })),
    );
  }

  #end(): void {
    if (this.destroyed) return;
    this.stage = 'after-dot';
    this.onDot();
    this.push(null);
  }
}
