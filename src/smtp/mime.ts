import { isComposite } from '../mail/attachment.ts';
import type { Calendar } from '../mail/calendar.ts';
import { isFreeText } from '../mail/header.ts';
import type { Attachment, Spooled, Submission } from '../mail/message.ts';
import { addressField } from './address-field.ts';
import { encodedWords, field, freeText, parameter, verbatim } from './field.ts';
import { base64Length, encodeText, makeRoom, writeBase64 } from './transfer.ts';

/** What is fixed at acceptance, so that every attempt sends the same bytes. */
export interface Fixed {
  /** With angle brackets (RFC 5322 §3.6.4). */
  messageId: string;
  date: Date;
}

/** Octets as they are sent, or those of a file that is put into base64 only when the room for it is there. */
type Chunk = string | Buffer | { file: Buffer } | { spooled: Spooled };

export interface Hole {
  at: number;
  file: Spooled;
}

/** A MIME entity (RFC 2045 §2.4): its own header fields, and the octets after the empty line without a last line end. */
interface Entity {
  head: string;
  body: readonly Chunk[];
}

/**
 * The octets of a message (RFC 5322, RFC 2045–2049): ASCII, CRLF line ends only. No Bcc field.
 *
 * @param seed letters and digits for the boundaries. They begin with `=_`, which no line of a body can have after its
 *   `--` (see `encodeText`), so that no content can end its part, whoever guesses the seed.
 */
export function composeMime(submission: Submission, fixed: Fixed, seed: string): Buffer {
  return layMime(submission, fixed, seed).mime;
}

/** Of one message at a time: nothing of it is left in here when `layMime` returns. */
const room = makeRoom();

/** The same, with the places that files on disk are still to be copied to. */
export function layMime(submission: Submission, fixed: Fixed, seed: string): { mime: Buffer; holes: Hole[] } {
  room.used = 0;
  const { head, body } = entityOf(submission, (part) => `=_${seed}_${part}`);
  const message: Chunk[] = [`${header(submission, fixed)}${head}\r\n`];
  for (const chunk of body) message.push(chunk);
  if (!endsLine(body)) message.push('\r\n');
  return joined(message);
}

function header(submission: Submission, fixed: Fixed): string {
  const { from, to, cc, replyTo, subject, headers } = submission;
  let fields = addressField('From', [from]);
  if (to.length > 0) fields += addressField('To', to);
  if (cc.length > 0) fields += addressField('Cc', cc);
  if (replyTo.length > 0) fields += addressField('Reply-To', replyTo);
  if (subject !== '') fields += field('Subject', freeText(subject));
  fields += field('Message-ID', [fixed.messageId]);
  fields += field('Date', [fixed.date.toUTCString().replace('GMT', '+0000')]);
  for (const name of Object.keys(headers)) {
    const value = headers[name] ?? '';
    fields += field(name, isFreeText(name) ? freeText(value) : verbatim(value));
  }
  return `${fields}MIME-Version: 1.0\r\n`;
}

/**
 * mixed( alternative( text, related( html, inline parts ), calendar ), attachments ), without the levels that would
 * hold one part (RFC 2046 §5.1.3–5.1.4, RFC 2387). The calendar is the last alternative, the one that a reader who
 * knows it prefers: so Exchange and Google take it for an invitation (RFC 6047 §2.4). It is not attached as a file
 * besides, which Exchange would show as a second one.
 */
function entityOf(submission: Submission, boundary: (part: string) => string): Entity {
  const { text = '', html = '', attachments, calendar } = submission;
  const inline = attachments.filter((attachment) => html !== '' && belongsToHtml(attachment));
  const rich = html === '' ? [] : [related(textEntity('html', html), inline, boundary('related'))];
  const invitation = calendar ? [calendarEntity(calendar)] : [];
  const needsNone = rich.length > 0 || (attachments.length > 0 && !calendar);
  const plain = text === '' && needsNone ? [] : [textEntity('plain', text)];
  const body = grouped('alternative', [...plain, ...rich, ...invitation], boundary('alternative'));
  if (attachments.length === 0 && body) return body;
  const files = attachments.filter((attachment) => html === '' || !belongsToHtml(attachment)).map(fileEntity);
  return files.length === 0 && body ? body : multipart('mixed', [...(body ? [body] : []), ...files], boundary('mixed'));
}

/** Shown within the HTML by a `cid:` reference, rather than beside it. */
function belongsToHtml(attachment: Attachment): boolean {
  return attachment.disposition === 'inline' && attachment.contentId !== undefined;
}

function related(html: Entity, inline: readonly Attachment[], boundary: string): Entity {
  return inline.length === 0
    ? html
    : multipart('related', [html, ...inline.map(fileEntity)], boundary, 'type="text/html"');
}

function grouped(kind: string, entities: readonly Entity[], boundary: string): Entity | undefined {
  return entities.length > 1 ? multipart(kind, entities, boundary) : entities[0];
}

function multipart(kind: string, entities: readonly Entity[], boundary: string, type?: string): Entity {
  const tokens = [`multipart/${kind};`, ...(type ? [`${type};`] : []), `boundary="${boundary}"`];
  const parts: Chunk[] = [];
  let before = `--${boundary}`;
  for (const { head, body } of entities) {
    parts.push(`${before}\r\n${head}\r\n`);
    for (const chunk of body) parts.push(chunk);
    before = `\r\n--${boundary}`;
  }
  parts.push(`${before}--`);
  return { head: field('Content-Type', tokens), body: parts };
}

function textEntity(kind: 'plain' | 'html', text: string): Entity {
  const { encoding, body } = encodeText(text, room);
  const head = `Content-Type: text/${kind}; charset=utf-8\r\nContent-Transfer-Encoding: ${encoding}\r\n`;
  return { head, body: [body] };
}

/** RFC 6047 §2.4: the method must be that of the object, and the charset be named. */
function calendarEntity({ method, content }: Calendar): Entity {
  const { encoding, body } = encodeText(content, room);
  const type = field('Content-Type', ['text/calendar;', `method=${method};`, 'charset=utf-8']);
  return { head: `${type}Content-Transfer-Encoding: ${encoding}\r\n`, body: [body] };
}

function fileEntity({ filename, contentType, contentId, disposition, content, spooled }: Attachment): Entity {
  const head = [
    field('Content-Type', [`${mediaType(contentType)};`, ...nameParameter(filename)]),
    field('Content-Transfer-Encoding', ['base64']),
    field('Content-Disposition', [`${disposition};`, ...parameter('filename', filename)]),
    contentId === undefined ? '' : field('Content-ID', [`<${contentId.replace(/[^!-~]|[<>]/gu, '_')}>`]),
  ];
  return { head: head.join(''), body: [spooled ? { spooled } : { file: content }] };
}

/** An attachment of a composite type must not be in base64 (RFC 2045 §6.4), and one that is no type at all would break the field. */
function mediaType(contentType: string): string {
  const valid = /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/i.test(contentType) && !isComposite(contentType);
  return valid ? contentType : 'application/octet-stream';
}

/** For clients that do not know RFC 2231 or look only here; an encoded word is what they expect, against RFC 2047 §5. */
function nameParameter(filename: string): string[] {
  const [first = '', ...others] = parameter('name', filename);
  if (others.length === 0 && first.startsWith('name=')) return [first];
  return `name="${encodedWords(filename).join(' ')}"`.split(' ');
}

function endsLine(body: readonly Chunk[]): boolean {
  const last = body.at(-1);
  if (typeof last === 'string') return last.endsWith('\r\n');
  return Buffer.isBuffer(last) && last.subarray(-2).equals(CRLF);
}

const CRLF = Buffer.from('\r\n');

/** One allocation for the whole message. */
function joined(chunks: readonly Chunk[]): { mime: Buffer; holes: Hole[] } {
  let length = 0;
  for (const chunk of chunks) length += lengthOf(chunk);
  const mime = Buffer.allocUnsafe(length);
  const holes: Hole[] = [];
  let at = 0;
  for (const chunk of chunks) {
    if (typeof chunk === 'object' && 'spooled' in chunk) holes.push({ at, file: chunk.spooled });
    else write(chunk, mime, at);
    at += lengthOf(chunk);
  }
  return { mime, holes };
}

function lengthOf(chunk: Chunk): number {
  if (typeof chunk === 'string' || Buffer.isBuffer(chunk)) return chunk.length;
  return 'spooled' in chunk ? chunk.spooled.octets : base64Length(chunk.file.length);
}

function write(chunk: Exclude<Chunk, { spooled: Spooled }>, out: Buffer, at: number): void {
  if (typeof chunk === 'string') out.write(chunk, at, 'latin1');
  else if (Buffer.isBuffer(chunk)) chunk.copy(out, at);
  else writeBase64(chunk.file, out, at);
}
