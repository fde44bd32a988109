import { isAscii, isUtf8 } from 'node:buffer';
import { type Address, nameImpersonates, senderProblem } from './address.ts';
import { parseAddressField } from './address-field.ts';
import { characterUnfitForLine, quote } from './characters.ts';
import { decodeWords } from './encoded-word.ts';
import { MESSAGE_ID, ownPrefix } from './header.ts';
import { longestLine, withCrlf } from './line-ends.ts';

/** A whole message as a caller made it (RFC 5322), checked, ready to be sent save for what is fixed at acceptance. */
export interface RawMessage {
  from: Address;
  to: Address[];
  cc: Address[];
  /** Of the Bcc field, which is not sent. */
  bcc: Address[];
  /** Decoded. */
  subject: string;
  /** With angle brackets; absent: one is to be added. */
  messageId?: string;
  hasDate: boolean;
  /** The header fields that are sent, each with its CRLF; latin1 stands for octets. */
  head: string;
  /** All that follows the header and the empty line; CRLF line ends. */
  body: Buffer;
  /** The header has UTF-8 (RFC 6532). */
  needsUtf8: boolean;
  /** The body has octets above 127 (RFC 6152). */
  isEightBit: boolean;
}

export type ParsedRawMessage = { ok: true; message: RawMessage } | { ok: false; problem: string };

/** RFC 5322 §2.1.1. */
const MAX_LINE_OCTETS = 998;
/** Exchange refuses more with 552 5.3.4 (service description, 2021). */
const MAX_HEADER_OCTETS = 256 * 1024;
const MAX_FIELDS = 500;
/** As for a composed message: what Exchange Online keeps of a subject. */
const MAX_SUBJECT_LENGTH = 255;

const BYTE_ORDER_MARK = Buffer.from('\ufeff');

interface Field {
  /** In lower case. */
  key: string;
  /** As received, folded, with its last CRLF; latin1 stands for octets. */
  text: string;
  /** Unfolded, in characters. */
  value: string;
}

/** RFC 5322 §3.6 and RFC 2045 §3: no message has two of these. */
const ONCE = [
  'from',
  'sender',
  'reply-to',
  'to',
  'cc',
  'bcc',
  'message-id',
  'in-reply-to',
  'references',
  'subject',
  'date',
  'mime-version',
  'content-type',
  'content-transfer-encoding',
];

/** Would tell recipients or servers what is not theirs to read, or is theirs to write. */
const REMOVED = new Set(['bcc', 'return-path', 'delivered-to', 'x-clientproxiedby']);

/**
 * Reads a whole message and judges its header. Line ends become CRLF. Bcc is taken out; so are the fields that the
 * final server writes (Return-Path, Delivered-To) and those that Exchange's header firewall removes. Received and the
 * signatures of other servers stay, since they tell the truth about the way the message came (RFC 5321 §4.4).
 *
 * @returns the message, or one sentence for the caller: what is wrong, and the fix
 */
export function parseRawMessage(octets: Buffer): ParsedRawMessage {
  const content = withCrlf(octets);
  const end = content.indexOf('\r\n\r\n');
  const problem = octetsProblem(content, end);
  if (problem) return wrong(problem);
  const fields = fieldsOf(content.subarray(0, end + 2));
  if (typeof fields === 'string') return wrong(fields);
  return readFields(fields, content.subarray(end + 4));
}

function octetsProblem(content: Buffer, end: number): string | undefined {
  if (content.length === 0) return 'is empty';
  if (content.indexOf(BYTE_ORDER_MARK) === 0) return 'begins with a byte order mark (octets EF BB BF); leave it out';
  if (content.indexOf('From ') === 0) return 'begins with the "From " line of a mailbox file; leave that line out';
  if (content.indexOf('\r\n') === 0) return 'begins with an empty line, so it has no header; begin with the From field';
  if (end < 0) return 'has no empty line between header and body';
  if (end > MAX_HEADER_OCTETS) return `has more than ${MAX_HEADER_OCTETS} octets of header; Microsoft 365 refuses that`;
  if (content.indexOf(0) >= 0) return 'contains a NUL octet; send attachments in base64';
  if (longestLine(content) > MAX_LINE_OCTETS)
    return `has a line of more than ${MAX_LINE_OCTETS} octets; use quoted-printable or base64`;
  return undefined;
}

function fieldsOf(header: Buffer): Field[] | string {
  if (!isUtf8(header)) return 'has a header that is not UTF-8; use encoded words (RFC 2047)';
  const fields: Field[] = [];
  for (const text of header.toString('latin1').split(/(?<=\r\n)(?![ \t])/)) {
    const [, name = '', raw = ''] = /^([!-9;-~]{1,76}):(.*)\r\n$/s.exec(text) ?? [];
    if (name === '') return `has the header line ${quote(text.trim())}, which is no "Name: value"`;
    if (fields.length >= MAX_FIELDS) return `has more than ${MAX_FIELDS} header fields`;
    const value = Buffer.from(raw, 'latin1')
      .toString('utf8')
      .replace(/\r\n(?=[ \t])/g, '')
      .replaceAll('\t', ' ')
      .trim();
    const unfit = characterUnfitForLine(value);
    if (unfit) return `has ${unfit} in its ${name} field; remove it`;
    if (/\r\n[ \t]+\r\n/.test(text)) return `has a line of white space alone in its ${name} field; remove it`;
    fields.push({ key: name.toLowerCase(), text, value });
  }
  return fields;
}

function readFields(fields: readonly Field[], body: Buffer): ParsedRawMessage {
  const lookUp = (key: string) => fields.find((field) => field.key === key)?.value;
  const problem = structureProblem(fields, lookUp);
  if (problem) return wrong(problem);
  const lists: Record<string, Address[]> = {};
  for (const key of ['from', 'to', 'cc', 'bcc', 'reply-to', 'sender']) {
    const parsed = parseAddressField(lookUp(key) ?? '');
    if (!parsed.ok) return wrong(`has a wrong ${nameOf(key)} field: ${parsed.problem.replace(/\.$/, '')}`);
    lists[key] = parsed.addresses;
  }
  const { from = [], to = [], cc = [], bcc = [], sender = [] } = lists;
  const [author] = from;
  if (!author || from.length > 1) return wrong('must have exactly one address in its From field');
  if (sender.length > 0 && (sender.length > 1 || sender[0]?.address !== author.address))
    return wrong(`has a Sender other than its From; leave Sender out, or set it to ${author.address}`);
  const misleading = senderProblem(author) ?? (lists['reply-to'] ?? []).map(nameImpersonates).find((each) => each);
  if (misleading) return wrong(`has a wrong From or Reply-To field: ${misleading.replace(/\.$/, '')}`);
  const subject = decodeWords(lookUp('subject') ?? '');
  const subjectFault = subjectProblem(subject);
  if (subjectFault) return wrong(subjectFault);
  const messageId = lookUp('message-id');
  const head = fields.flatMap(({ key, text }) => (isRemoved(key) ? [] : [text])).join('');
  const message = { from: author, to, cc, bcc, subject, head, body, hasDate: lookUp('date') !== undefined };
  return {
    ok: true,
    message: {
      ...message,
      ...(messageId !== undefined && { messageId }),
      needsUtf8: /[^\0-\x7f]/.test(head),
      isEightBit: !isAscii(body),
    },
  };
}

function structureProblem(fields: readonly Field[], lookUp: (key: string) => string | undefined): string | undefined {
  const twice = ONCE.find((key) => fields.filter((field) => field.key === key).length > 1);
  if (twice) return `has more than one ${nameOf(twice)} field`;
  if (lookUp('from') === undefined) return 'has no From field';
  const resent = fields.find(({ key }) => key.startsWith('resent-'));
  if (resent) return 'has Resent- fields, which are not supported; send it as a new message';
  const messageId = lookUp('message-id');
  if (messageId !== undefined && (!MESSAGE_ID.test(messageId) || messageId.length > 250))
    return `has the Message-ID ${quote(messageId)}; write it as in <id@contoso.com>, or leave it out`;
  const date = lookUp('date');
  if (date !== undefined && !(DATE.test(date) && !Number.isNaN(Date.parse(date.replace(/\s*\(.*$/, '')))))
    return `has the Date ${quote(date)}; write it as in Sat, 31 Jan 2026 09:30:00 +0000, or leave it out`;
  return undefined;
}

/** RFC 5322 §3.3, with the zones of §4.3 that are met. */
const DATE =
  /^(?:[A-Za-z]{3}, {0,2})?\d{1,2} [A-Za-z]{3} \d{4} \d{2}:\d{2}(?::\d{2})? (?:[+-]\d{4}|UTC?|GMT|Z)(?: ?\([^()]*\))?$/;

function subjectProblem(subject: string): string | undefined {
  if (subject.length > MAX_SUBJECT_LENGTH) return `has a Subject of more than ${MAX_SUBJECT_LENGTH} characters`;
  const unfit = characterUnfitForLine(subject);
  return unfit && `has ${unfit} in its Subject; remove it`;
}

function isRemoved(key: string): boolean {
  return REMOVED.has(key) || key.startsWith('x-ms-exchange-') || ownPrefix(key);
}

/** `Message-ID` of `message-id`. */
function nameOf(key: string): string {
  if (key === 'message-id') return 'Message-ID';
  return key.replace(/(?:^|-)[a-z]/g, (start) => start.toUpperCase()).replace('Mime', 'MIME');
}

function wrong(problem: string): ParsedRawMessage {
  return { ok: false, problem: `The message ${problem}.` };
}
