import PostalMime, { decodeWords } from 'postal-mime';
import { EVIL_DOMAIN, type HostileSubmission, type Received } from './hostile.ts';

/** One transaction as the receiving SMTP server saw it. */
export interface SeenMail {
  reversePath: string;
  recipients: readonly string[];
  /** From the first header to the last octet before the final dot, dots unstuffed. */
  raw: Buffer;
}

/** Header fields that Postroom or a receiving server writes; all others must have been asked for. */
const OUR_FIELDS = new Set(
  'from to cc reply-to subject message-id date mime-version content-type content-transfer-encoding received return-path delivered-to'.split(
    ' ',
  ),
);
const ONCE = ['from', 'to', 'cc', 'reply-to', 'subject', 'message-id', 'date', 'mime-version', 'content-type'];

/** What is wrong with a mail that came of an accepted hostile submission; nothing, if all is well. */
export async function faultsOfReceived(received: Received, body: unknown, mail: SeenMail): Promise<string[]> {
  const { from, headers = {} } = body as { from?: string | { address: string }; headers?: Record<string, string> };
  const raw = mail.raw.toString('latin1');
  const sender = typeof from === 'string' ? from.replace(/^.*<|>.*$/g, '') : (from?.address ?? received.reversePath);
  return [
    ...differs('the reverse path', mail.reversePath, sender),
    ...differs('the recipients', mail.recipients.toSorted(), received.recipients.toSorted()),
    ...fieldFaults(raw, Object.keys(headers)),
    ...(/(?<!\r)\n|\r(?!\n)/.test(raw) ? ['a bare CR or LF'] : []),
    ...(raw.split('\r\n').some((line) => line.length > 998) ? ['a line over 998 octets'] : []),
    ...(await contentFaults(received, mail.raw)),
  ];
}

/** Whether a mail has anything to do with whom no mail may go to. */
export function isEvil({ reversePath, recipients }: SeenMail): boolean {
  return [reversePath, ...recipients].some((address) => address.toLowerCase().endsWith(EVIL_DOMAIN));
}

/** Whether a refusal names the field: one of its `errors[].pointer` is this pointer or below it. */
export function namesField(
  pointers: readonly string[],
  { refusedAt }: Extract<HostileSubmission, { refusedAt: string }>,
) {
  return pointers.some((pointer) => pointer === refusedAt || pointer.startsWith(`${refusedAt}/`) || refusedAt === '');
}

/** Read off the octets, not by a parser that may be forgiving. */
function fieldFaults(raw: string, asked: string[]): string[] {
  const head = raw.slice(0, raw.indexOf('\r\n\r\n') + 2);
  const names = head
    .split(/\r\n(?![ \t])/)
    .filter((line) => line !== '')
    .map((line) => line.slice(0, line.indexOf(':')));
  const allowed = new Set([...OUR_FIELDS, ...asked.map((name) => name.toLowerCase())]);
  return [
    ...names.filter((name) => !allowed.has(name.toLowerCase())).map((name) => `an unexpected header: ${name}`),
    ...ONCE.filter((once) => names.filter((name) => name.toLowerCase() === once).length > 1).map(
      (name) => `two of ${name}`,
    ),
  ];
}

async function contentFaults(received: Received, raw: Buffer): Promise<string[]> {
  const email = await PostalMime.parse(raw);
  const { subject, fromName, text, headers = {}, files } = received;
  const value = (name: string) =>
    email.headers.filter(({ key }) => key === name.toLowerCase()).map((h) => decodeWords(h.value));
  const found = email.attachments.map(({ filename, content }) => ({
    filename,
    content: Buffer.from(content as ArrayBuffer).toString(),
  }));
  return [
    ...(subject === undefined ? [] : differs('the subject', email.subject, subject)),
    ...(fromName === undefined ? [] : differs('the name of from', email.from?.name, fromName)),
    ...(text === undefined ? [] : differs('the text', email.text?.replaceAll('\r\n', '\n').replace(/\n+$/, ''), text)),
    ...Object.entries(headers).flatMap(([name, wanted]) => differs(`the header ${name}`, value(name), [wanted])),
    ...(files === undefined ? [] : differs('the attachments', found, files)),
  ];
}

function differs(what: string, found: unknown, wanted: unknown): string[] {
  const [is, should] = [JSON.stringify(found), JSON.stringify(wanted)];
  return is === should ? [] : [`${what}: ${is}, not ${should}`];
}
