import { characterUnfitForLine, quote } from './characters.ts';

/** Two names of the same field have the same key: RFC 5322 §1.2.2 compares them without regard to case. */
export function headerKey(name: string): string {
  return name.toLowerCase();
}

const MAX_NAME_LENGTH = 76;
/** RFC 5322 §2.1.1, for the value alone: it is folded when it does not fit beside its name. */
const MAX_VALUE_OCTETS = 998;
/** A word without a space cannot be folded; with the space before it, it must stay within a line. */
const MAX_WORD_OCTETS = 900;

/** RFC 5322 §2.2 allows every visible character save the colon; these are the ones that every mail program takes. */
const NAME = /^[a-z0-9._-]+$/i;
/** RFC 5322 §3.6.4, as it is met in the wild: visible ASCII without the characters that end or hide one. */
export const MESSAGE_ID = /^<[^<>@\s()"\\,;]+@[^<>@\s()"\\,;]+>$/;

/**
 * The fields a caller may set besides `X-…`, and how they are written. `text` is free text that readers decode
 * (RFC 2047 §5); `token` is read by programs, so it must be ASCII and is sent as it stands; `ids` is a list of
 * message identifiers.
 */
const ALLOWED = {
  'archived-at': 'token',
  'auto-submitted': 'token',
  'feedback-id': 'token',
  importance: 'token',
  'in-reply-to': 'ids',
  'list-archive': 'token',
  'list-help': 'token',
  'list-id': 'token',
  'list-owner': 'token',
  'list-post': 'token',
  'list-subscribe': 'token',
  'list-unsubscribe': 'token',
  'list-unsubscribe-post': 'token',
  precedence: 'token',
  priority: 'token',
  references: 'ids',
  sensitivity: 'token',
  'thread-index': 'token',
  comments: 'text',
  keywords: 'text',
  organization: 'text',
  'thread-topic': 'text',
  'user-agent': 'text',
} as const satisfies Record<string, 'text' | 'token' | 'ids'>;

const ELSEWHERE = 'is set by Postroom';
const SERVERS = 'is written by mail servers';
const FIREWALL = 'is reserved for mail servers; Microsoft 365 removes it or acts on it';

/** Why a field is refused, and what to use instead, for those that callers are likely to try. */
const REFUSED: Readonly<Record<string, string>> = {
  from: 'use the from field',
  to: 'use the to field',
  cc: 'use the cc field',
  bcc: 'use the bcc field',
  'reply-to': 'use the replyTo field',
  subject: 'use the subject field',
  sender: 'is not supported; set from to the address that sends',
  'return-path': 'is not supported; bounces go to the from address',
  'errors-to': 'is not supported; bounces go to the from address',
  'message-id': `${ELSEWHERE}; read internetMessageId of the answer`,
  date: `${ELSEWHERE} when the message is accepted`,
  'mime-version': `${ELSEWHERE}; use text, html and attachments`,
  received: SERVERS,
  'delivered-to': SERVERS,
  'authentication-results': SERVERS,
  'received-spf': SERVERS,
  'dkim-signature': `${SERVERS}; Microsoft 365 signs for your domain`,
  'disposition-notification-to': 'use the readReceipt field',
  'return-receipt-to': 'is not supported; readReceipt asks the reader, and whether a server took it the record says',
  'x-clientproxiedby': FIREWALL,
};

/** The same for whole families. Exchange's header firewall: learn.microsoft.com, "Header firewall", 2021. */
const REFUSED_PREFIXES: readonly (readonly [string, string])[] = [
  ['content-', `${ELSEWHERE}; use text, html and attachments`],
  ['resent-', 'is not supported; send a new message'],
  ['arc-', SERVERS],
  ['dkim-', SERVERS],
  ['x-ms-', FIREWALL],
  ['x-microsoft-', FIREWALL],
  ['x-forefront-', FIREWALL],
  ['x-originating-', FIREWALL],
  ['x-postroom-', `${ELSEWHERE}; use another prefix`],
];

/**
 * Whether a caller may set this header field to this value. That a name is not used twice in other spellings is for
 * the caller to see to (`headerKey`).
 *
 * @returns undefined if so, else one sentence: what is wrong, and the fix
 */
export function checkHeader(name: string, value: string): string | undefined {
  const problem = nameProblem(name) ?? valueProblem(name, value);
  return problem === undefined ? undefined : `${problem}.`;
}

/**
 * What is wrong with a message's header fields together, each of which `checkHeader` has passed. RFC 8058 §3.1: a field
 * List-Unsubscribe-Post means nothing without a List-Unsubscribe that has an HTTPS URI.
 *
 * @returns undefined if nothing is, else the name of the field at fault as it was given, and a sentence
 */
export function checkHeadersTogether(
  fields: Readonly<Record<string, string>>,
): { name: string; message: string } | undefined {
  const given = (key: string) => Object.keys(fields).find((name) => headerKey(name) === key);
  const name = given('list-unsubscribe-post');
  if (name === undefined) return undefined;
  const target = given('list-unsubscribe');
  const example = 'as in <https://contoso.com/leave/4711> (RFC 8058)';
  if (target === undefined) return { name, message: `${name} needs a List-Unsubscribe beside it, ${example}.` };
  if (/<https:[^<>]+>/i.test(fields[target] ?? '')) return undefined;
  return { name: target, message: `With ${name}, the value of ${target} must have an HTTPS address, ${example}.` };
}

/** How the composer must write the field: free text may be encoded (RFC 2047), all else is sent as it stands. */
export function isFreeText(name: string): boolean {
  return kindOf(headerKey(name)) === 'text';
}

/** Fields that only Postroom writes. */
export function ownPrefix(key: string): boolean {
  return key.startsWith('x-postroom-');
}

function nameProblem(name: string): string | undefined {
  if (name.length > MAX_NAME_LENGTH)
    return `The header name ${quote(name)} is longer than ${MAX_NAME_LENGTH} characters`;
  if (!NAME.test(name))
    return `The header name ${quote(name)} may contain only letters, digits, dots, underscores and hyphens`;
  const key = headerKey(name);
  const refused = own(REFUSED, key) ?? REFUSED_PREFIXES.find(([prefix]) => key.startsWith(prefix))?.[1];
  if (refused) return `The header ${name} cannot be set here: ${refused.startsWith('use') ? refused : `it ${refused}`}`;
  if (kindOf(key)) return undefined;
  return `The header ${name} cannot be set here; X-… headers and ${Object.keys(ALLOWED).length} standard ones can (see the API document)`;
}

function valueProblem(name: string, value: string): string | undefined {
  if (value.length > MAX_VALUE_OCTETS || Buffer.byteLength(value) > MAX_VALUE_OCTETS) {
    return `The value of ${name} is longer than ${MAX_VALUE_OCTETS} octets`;
  }
  const unfit = characterUnfitForLine(value);
  if (unfit) return `The value of ${name} contains ${unfit}; remove it`;
  if (value.trim() === '') return `The value of ${name} is empty; leave the header out`;
  const kind = kindOf(headerKey(name));
  return kind === 'text'
    ? undefined
    : (tokenProblem(name, value) ?? (kind === 'ids' ? idsProblem(name, value) : undefined));
}

function tokenProblem(name: string, value: string): string | undefined {
  if (/[^\x20-\x7e]/.test(value))
    return `The value of ${name} is read by programs and may contain only ASCII characters`;
  const tooLong = value.split(' ').some((word) => word.length > MAX_WORD_OCTETS);
  if (tooLong) return `The value of ${name} has more than ${MAX_WORD_OCTETS} characters without a space`;
  const isPost = headerKey(name) === 'list-unsubscribe-post';
  return isPost && value !== 'List-Unsubscribe=One-Click'
    ? `${name} must be "List-Unsubscribe=One-Click" (RFC 8058)`
    : undefined;
}

function idsProblem(name: string, value: string): string | undefined {
  const wrong = value.split(' ').find((word) => word !== '' && !MESSAGE_ID.test(word));
  return wrong === undefined
    ? undefined
    : `${quote(wrong)} in ${name} is not a message identifier; write it as in <id@contoso.com>`;
}

function kindOf(key: string): 'text' | 'token' | 'ids' | undefined {
  return own<'text' | 'token' | 'ids'>(ALLOWED, key) ?? (/^x-./.test(key) ? 'text' : undefined);
}

/** A caller chooses the key: `constructor` must not find what every object has. */
function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
