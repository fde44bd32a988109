import { tmpdir } from 'node:os';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Acceptance, Api, Idempotency } from '../gateway/api.ts';
import type { Submission } from '../mail/message.ts';
import { callerOf } from './auth.ts';
import { type BodyMemory, held } from './body-memory.ts';
import { idempotencyKeyOf, refuseKey } from './idempotency.ts';
import { refuseEncoding } from './json-body.ts';
import { Spool, type SpooledFile, tooLarge } from './spool.ts';
import { readUpload } from './upload.ts';
import type { Validated } from './validation.ts';

/** Of the octets that are sent: the MIME, once, and what is on its way. Measured at 1.3 to 2 for 34 to 150 MB. */
const UPLOAD_COST = 2;
/** Boundaries and part headers around the files. */
const FORM_BYTES = 1024 * 1024;

export interface UploadTools {
  api: Pick<Api, 'replay' | 'accept'>;
  /** Judges one send body. */
  check: (body: unknown) => Validated;
  memory: BodyMemory;
  /** The most that any mailbox may send, after encoding. */
  messageBytes: number;
  answer: (reply: FastifyReply, acceptance: Acceptance) => FastifyReply | Promise<FastifyReply>;
}

/**
 * A `preValidation` hook that takes `multipart/form-data` all the way: files wait on disk while they arrive, and only
 * then, when there is room for it, is the message put together in memory, once.
 */
export function acceptUploads(tools: UploadTools) {
  return (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
    if (request.isMultipart()) takeForm(request, reply, tools).catch(done);
    else done();
  };
}

async function takeForm(request: FastifyRequest, reply: FastifyReply, tools: UploadTools): Promise<FastifyReply> {
  refuseEncoding(request);
  const key = idempotencyKeyOf(request);
  if (key === 'refused') return refuseKey(reply);
  if (Number(request.headers['content-length'] ?? 0) > tools.messageBytes + FORM_BYTES)
    throw tooLarge(tools.messageBytes);
  return tools.answer(reply, await spooled(request, reply, key?.value, tools));
}

async function spooled(
  request: FastifyRequest,
  reply: FastifyReply,
  key: string | undefined,
  tools: UploadTools,
): Promise<Acceptance> {
  const spool = await Spool.open(tmpdir(), tools.messageBytes);
  try {
    return await acceptUpload(request, reply, spool, key, tools);
  } finally {
    // What of a refused upload is still to come is read and dropped, within the time that a request may take.
    request.raw.unpipe();
    request.raw.resume();
    await spool[Symbol.asyncDispose]();
  }
}

async function acceptUpload(
  request: FastifyRequest,
  reply: FastifyReply,
  spool: Spool,
  key: string | undefined,
  { api, check, memory }: UploadTools,
): Promise<Acceptance> {
  const { body, files, fingerprint } = await readUpload(request, spool);
  const caller = callerOf(request);
  const idempotency: Idempotency | undefined = key === undefined ? undefined : { key, fingerprint };
  const replayed = idempotency && (await api.replay(caller, idempotency));
  if (replayed) return replayed;
  const checked = check(body);
  if ('error' in checked) throw checked.error;
  await held(memory, reply, UPLOAD_COST * spool.octets);
  return api.accept(caller, withFiles(checked.value as Submission, files), idempotency);
}

/** The files are the last of the attachments, in the order in which they came. */
function withFiles(submission: Submission, files: readonly SpooledFile[]): Submission {
  const first = submission.attachments.length - files.length;
  const attachments = submission.attachments.map((attachment, index) => {
    const spooled = files[index - first];
    return spooled ? { ...attachment, spooled } : attachment;
  });
  return { ...submission, attachments };
}
