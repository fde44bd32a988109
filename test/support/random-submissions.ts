import type { Address } from '../../src/mail/address.ts';
import type { Attachment, Submission } from '../../src/mail/message.ts';

/** Submissions of every shape the API lets through, the same ones for the same seed. */
export function randomSubmissions(count: number, seed: number): Submission[] {
  const random = generator(seed);
  return Array.from({ length: count }, () => randomSubmission(random));
}

type Random = () => number;

/** Mulberry32: small, and enough for picking test cases. */
function generator(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function randomSubmission(random: Random): Submission {
  const text = pick(random, [undefined, body, body])?.(random);
  const html = pick(random, [undefined, markup, markup])?.(random);
  return {
    from: person(random),
    to: several(random, 4, person),
    cc: several(random, 3, person),
    bcc: several(random, 3, person),
    replyTo: several(random, 2, person),
    subject: pick(random, SUBJECTS),
    ...(text !== undefined && { text }),
    ...(html !== undefined && { html }),
    attachments: several(random, 4, file),
    headers: Object.fromEntries(several(random, 4, (r) => pick(r, HEADERS))),
    tags: [],
    metadata: {},
    onUnconfirmed: 'hold',
    priority: 'normal',
  };
}

function person(random: Random): Address {
  const name = pick(random, NAMES);
  return { address: pick(random, ADDRESSES), ...(name && { name }) };
}

function file(random: Random, index: number): Attachment {
  const inline = random() < 0.4;
  const size = Math.floor(random() ** 4 * 200_000);
  return {
    filename: pick(random, FILENAMES),
    contentType: pick(random, ['application/pdf', 'image/png', 'application/octet-stream', 'application/zip']),
    content: Buffer.from(Array.from({ length: size }, () => Math.floor(random() * 256))),
    disposition: inline ? 'inline' : 'attachment',
    ...(inline && { contentId: `part${index}.${Math.floor(random() * 1e6)}@contoso.com` }),
  };
}

function body(random: Random): string {
  const end = pick(random, ['\n', '\r\n', '\r', '\n\n']);
  return several(random, 30, (r) => pick(r, LINES)).join(end) + pick(random, ['', end]);
}

function markup(random: Random): string {
  return `<!doctype html><html><body><p>${body(random)}</p></body></html>`;
}

function several<T>(random: Random, most: number, make: (random: Random, index: number) => T): T[] {
  return Array.from({ length: Math.floor(random() * (most + 1)) }, (_, index) => make(random, index));
}

function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[Math.floor(random() * choices.length)] as T;
}

const ADDRESSES = [
  'ada@fabrikam.com',
  'o=brien+tag@xn--bcher-kva.example',
  `${'l'.repeat(64)}@contoso.com`,
  "o'neil@a.b.example",
];

const NAMES = [
  undefined,
  'Ada Lovelace',
  'Lovelace, Ada',
  'John "Q." Public',
  'back\\slash',
  'a@b.example',
  'semi; colon: comma, <angle>',
  'Zoë Müller',
  '山田 太郎',
  'Иван Иванович Иванов',
  'שלום עולם',
  'ضياء',
  '👩‍👩‍👧‍👦 Familie',
  'e\u0301 combining',
  'double  space',
  `long ${'name '.repeat(48)}end`,
  '長い名前'.repeat(50),
  "O'Neil (Sales)",
];

const SUBJECTS = [
  'Hello',
  'Your invoice 2026-0042',
  'Ihre Rechnung für März – 42 €',
  '日本語の件名です。'.repeat(28),
  'Привет, как дела?',
  '😀😃😄😁😆😅🤣😂🙂🙃'.repeat(12),
  'a long subject of many short words '.repeat(7).trim(),
  'x'.repeat(255),
  'ü'.repeat(255),
  'colon: at the start',
  'tabs and  two spaces',
  ' leading space',
  '1 + 1 = 2? yes_no',
  'RE: [list] (fwd) "quoted" \\ backslash',
];

const LINES = [
  '',
  'Hello',
  '.',
  '..',
  '.hidden',
  'From the beginning',
  '>From',
  '-- ',
  '--=_seed_mixed',
  '--=_seed_mixed--',
  '--=_seed_alternative',
  'trailing space ',
  'trailing tab\t',
  '\tleading tab',
  'equals = sign =20 =3D',
  'Grüße aus München, viele Grüße',
  '日本語の本文です。よろしくお願いします。',
  'Это русский текст, довольно длинный, чтобы строка переносилась.',
  '👩‍👩‍👧‍👦 👍🏽',
  'x'.repeat(75),
  'x'.repeat(76),
  'x'.repeat(77),
  'x'.repeat(78),
  'x'.repeat(79),
  'y'.repeat(1200),
  `${'ü'.repeat(300)} end`,
  'line\u2028separator and\u0085next line',
  '=?utf-8?q?not_a_word?=',
  'Bcc: evil@evil.example',
  'Content-Type: text/html',
];

const FILENAMES = [
  'report.pdf',
  'two words.pdf',
  'quote"d.pdf',
  'semi;colon=equals.pdf',
  "apostrophe's (copy).pdf",
  '100% sure.pdf',
  'Übersicht.pdf',
  'Übersicht der Ausgaben für das Jahr 2026, zweite, erheblich erweiterte Fassung.pdf',
  '報告書.pdf',
  `${'長い名前'.repeat(40)}.pdf`,
  `${'n'.repeat(250)}.pdf`,
  'résumé 😀.pdf',
  'no-extension',
];

const HEADERS: readonly (readonly [string, string])[] = [
  ['X-Campaign', 'spring 2026'],
  ['X-Note', 'Grüße aus München'],
  ['X-Long', 'many short words '.repeat(50).trim()],
  ['X-Token', 't'.repeat(900)],
  ['X-Emoji', '😀'.repeat(100)],
  ['List-Unsubscribe', '<https://contoso.com/u?id=1>, <mailto:u@contoso.com>'],
  ['List-Unsubscribe-Post', 'List-Unsubscribe=One-Click'],
  ['Auto-Submitted', 'auto-generated'],
  ['Comments', 'a "quoted" comment'],
];
