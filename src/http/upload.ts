import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { quote } from '../mail/characters.ts';
import { fingerprint } from './fingerprint.ts';
import { readJson } from './json-body.ts';
import { withoutNulls } from './null-fields.ts';
import { boundaryOf, PartCounter } from './part-counter.ts';
import { ProblemError } from './problem.ts';
import { MAX_ATTACHMENTS } from './schemas/attachment.ts';
import { sendBody } from './schemas/send-raw.ts';
import type { Spool, SpooledFile } from './spool.ts';

/** Of the part `message`: held in memory, unlike the files. */
const MAX_MESSAGE_PART_BYTES = 1024 * 1024;
const INLINE = 'inline:';
const MAX_PART_HEADERS = 20;

const OTHER_PARTS = 'after message it may only have parts named attachments or inline:<contentId>';
const RAW_ADVICE = 'send a whole message in MIME as application/json instead, {"raw": {"content": "<base64>"}}';

/** A message whose files were sent as parts of their own. */
export interface Upload {
  /** As it would be in JSON, the files among its attachments with no content. */
  body: unknown;
  /** In the order of the parts; the last of `body.attachments`. */
  files: SpooledFile[];
  fingerprint: string;
}

interface FilePart {
  attachment: { filename: string; contentType: string; content: ''; contentId?: string; disposition?: 'attachment' };
  file: SpooledFile;
}

/**
 * Reads `multipart/form-data` (RFC 7578): first a part `message`, then files named `attachments`, or
 * `inline:<contentId>` for those that the HTML shows. Files go to the spool piece by piece.
 *
 * @throws ProblemError for whatever is wrong with the form itself
 */
export async function readUpload(request: FastifyRequest, spool: Spool): Promise<Upload> {
  try {
    return await readParts(request, spool);
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    if (error instanceof Error && 'syscall' in error && !request.raw.destroyed) throw error;
    throw malformed(reasonOf(error), error);
  }
}

async function readParts(request: FastifyRequest, spool: Spool): Promise<Upload> {
  let message: Record<string, unknown> | undefined;
  const files: FilePart[] = [];
  const limits = {
    parts: MAX_ATTACHMENTS + 2,
    files: MAX_ATTACHMENTS + 2,
    fileSize: Number.MAX_SAFE_INTEGER,
    headerPairs: MAX_PART_HEADERS,
  };
  const boundary = boundaryOf(request.headers['content-type'] ?? '');
  if (boundary === undefined) throw malformed('its Content-Type names no boundary of at most 70 characters');
  const counter = new PartCounter(boundary);
  let seen = 0;
  request.raw.on('data', (chunk: Buffer) => counter.see(chunk));
  // Every part is a stream to us, so that nothing is gathered or parsed before we have judged its size.
  for await (const part of request.parts({ limits, preservePath: true, isPartAFile: () => true })) {
    if (!isFile(part)) continue;
    seen++;
    if (message) files.push(await readFile(part, spool));
    else message = await readMessage(part);
    if (files.length > MAX_ATTACHMENTS) throw malformed(`there are more than ${MAX_ATTACHMENTS} files`);
  }
  if (seen !== counter.parts) throw malformed('one of its parts has no usable name; each needs a Content-Disposition');
  if (!message) throw malformed('it has no parts; the first must be named message');
  return uploadOf(message, files);
}

function isFile(part: Multipart): part is MultipartFile {
  return part.type === 'file';
}

/** The part `message`: the same JSON as a body of `application/json`, and bounded in the same way. */
async function readMessage(part: MultipartFile): Promise<Record<string, unknown>> {
  if (part.fieldname !== 'message') throw malformed(firstPartAdvice(part.fieldname));
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of part.file as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_MESSAGE_PART_BYTES) throw messageTooLarge();
    chunks.push(chunk);
  }
  const value = readJson(Buffer.concat(chunks));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('message must be an object');
  return inMessage(value) as Record<string, unknown>;
}

const inMessage = withoutNulls(sendBody);

/** Callers of other gateways send a part for each field, or the MIME as a file. */
function firstPartAdvice(name: string | undefined): string {
  const advice = name === 'raw' ? RAW_ADVICE : `as with curl's -F 'message={"from": …};type=application/json'`;
  const found = name === undefined ? '' : `, not ${quote(name)}`;
  return `its first part must be named message and hold the JSON${found}; ${advice}`;
}

function otherPartAdvice(name: string | undefined): string {
  if (name === 'raw') return `; ${RAW_ADVICE}`;
  if (name === 'message' || name === undefined) return '';
  return '; files go as attachments, all else into the JSON of message';
}

async function readFile(part: MultipartFile, spool: Spool): Promise<FilePart> {
  const { fieldname, mimetype, encoding } = part;
  const filename = (part.filename as string | undefined) ?? '';
  if (/^(?:base64|quoted-printable)$/i.test(encoding))
    throw malformed('its parts must not have a Content-Transfer-Encoding (RFC 7578 §4.7)');
  const attachment = { filename, contentType: mimetype, content: '' as const };
  if (fieldname !== 'attachments' && !(fieldname as string | undefined)?.startsWith(INLINE))
    throw malformed(`${OTHER_PARTS}; it has one named ${quote(String(fieldname))}${otherPartAdvice(fieldname)}`);
  const file = await spool.add(part.file as AsyncIterable<Buffer>);
  if (fieldname === 'attachments') return { file, attachment: { ...attachment, disposition: 'attachment' } };
  return { file, attachment: { ...attachment, contentId: fieldname.slice(INLINE.length) } };
}

function uploadOf(message: Record<string, unknown>, parts: readonly FilePart[]): Upload {
  const files = parts.map(({ file }) => file);
  const named = parts.map(({ attachment, file: { sha256 } }) => ({ ...attachment, sha256 }));
  const digest = fingerprint([message, named]);
  if (message.raw !== undefined && files.length > 0)
    throw malformed('with raw there can be no files beside the message');
  const { attachments = [] } = message;
  // Where it is no list, that is what the caller will be told.
  if (!Array.isArray(attachments) || files.length === 0) return { body: message, files: [], fingerprint: digest };
  const body = { ...message, attachments: [...attachments, ...parts.map(({ attachment }) => attachment)] };
  return { body, files, fingerprint: digest };
}

function messageTooLarge(): ProblemError {
  const detail = `The part message may have at most ${MAX_MESSAGE_PART_BYTES} bytes; send files as parts of their own.`;
  return new ProblemError('body_too_large', { detail });
}

function malformed(reason: string, cause?: unknown): ProblemError {
  const problem = new ProblemError('invalid_multipart', { detail: `The form cannot be read: ${reason}.` });
  return Object.assign(problem, cause === undefined ? {} : { cause });
}

const REASONS: Readonly<Record<string, string>> = {
  FST_PARTS_LIMIT: `it has more than ${MAX_ATTACHMENTS} files`,
  FST_FILES_LIMIT: `it has more than ${MAX_ATTACHMENTS} files`,
  FST_PROTO_VIOLATION: OTHER_PARTS,
  FST_MP_PREMATURE_CLOSE: 'it ended before its last boundary',
};

function reasonOf(error: unknown): string {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  if (/boundary not found/i.test(message)) return 'its Content-Type names no boundary';
  if (/unexpected end|terminated early/i.test(message)) return 'it ended before its last boundary';
  return REASONS[code] ?? 'it is no multipart/form-data (RFC 7578)';
}
