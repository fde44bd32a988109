/** What must have arrived of a hostile submission that is accepted nevertheless, because it is harmless if handled rightly. */
export interface Received {
  /** The RCPT TO addresses, all of them. */
  recipients: string[];
  /** The MAIL FROM address, where the body has no `from`. */
  reversePath?: string;
  subject?: string;
  /** The decoded display name of From. */
  fromName?: string;
  /** The decoded text, line ends as `\n`, none at the end. */
  text?: string;
  /** Decoded values of further header fields by name. */
  headers?: Record<string, string>;
  /** Names and contents (as UTF-8) of the attachments, in order. */
  files?: { filename: string; content: string }[];
}

/** A request body that tries to break something, and what must come of it: a refusal that names the field, or this mail. */
export type HostileSubmission = { title: string; body: unknown } & (
  | { /** RFC 6901: `errors[]` must have this pointer or one below it. */ refusedAt: string }
  | { accepted: Received }
);

const INVITE = [
  'BEGIN:VCALENDAR',
  'VERSION:2.0',
  'PRODID:-//Contoso//Test//EN',
  'METHOD:REQUEST',
  'BEGIN:VEVENT',
  'UID:1@contoso.com',
  'DTSTAMP:20260131T093000Z',
  'DTSTART:20260201T093000Z',
  'ORGANIZER:mailto:sender@postroom.example',
  'ATTENDEE:mailto:ada@fabrikam.com',
  'END:VEVENT',
  'END:VCALENDAR',
].join('\n');

/** Nothing may ever be sent to or from this domain, and no header may name it save where the title says so. */
export const EVIL_DOMAIN = 'evil.example';
const EVIL = `x@${EVIL_DOMAIN}`;

/**
 * @param from an address that may send
 * @param to one that the receiving server accepts, and whose domain it accepts other local parts of
 */
export function hostileSubmissions(from: string, to: string): HostileSubmission[] {
  const base = { from, to, subject: 'Hello', text: 'Hello' };
  const refused = (title: string, refusedAt: string, parts: object): HostileSubmission => ({
    title,
    body: { ...base, ...parts },
    refusedAt,
  });
  const accepted = (title: string, parts: object, received: Partial<Received> = {}): HostileSubmission => ({
    title,
    body: { ...base, ...parts },
    accepted: { recipients: [to], ...received },
  });
  const domain = to.slice(to.indexOf('@') + 1);
  const file = (parts: object) => ({
    attachments: [{ filename: 'a.txt', content: 'YQ==', contentType: 'text/plain', ...parts }],
  });

  /** Where a line break could end a header, a command or a parameter. */
  const lineFields: Record<string, [pointer: string, make: (evil: string) => object]> = {
    'from.name': ['/from', (evil) => ({ from: { address: from, name: evil } })],
    'from.address': ['/from', (evil) => ({ from: { address: `${from}${evil}` } })],
    'the name in from': ['/from', (evil) => ({ from: `${evil} <${from}>` })],
    'the quoted name in from': ['/from', (evil) => ({ from: `"${evil}" <${from}>` })],
    'to.address': ['/to/0', (evil) => ({ to: [{ address: `${to}${evil}` }] })],
    'to.name': ['/to/0', (evil) => ({ to: [{ address: to, name: evil }] })],
    to: ['/to', (evil) => ({ to: `${to}${evil}` })],
    cc: ['/cc/0', (evil) => ({ cc: [`Ada${evil} <${to}>`] })],
    bcc: ['/bcc/0', (evil) => ({ bcc: [`${to}${evil}`] })],
    replyTo: ['/replyTo', (evil) => ({ replyTo: { address: to, name: evil } })],
    subject: ['/subject', (evil) => ({ subject: evil })],
    'a header value': ['/headers/X-A', (evil) => ({ headers: { 'X-A': evil } })],
    'a List-Unsubscribe': [
      '/headers/List-Unsubscribe',
      (evil) => ({ headers: { 'List-Unsubscribe': `<https://a.example>${evil}` } }),
    ],
    'an In-Reply-To': ['/headers/In-Reply-To', (evil) => ({ headers: { 'In-Reply-To': `<a@b.example>${evil}` } })],
    'a header name': ['/headers', (evil) => ({ headers: { [`X-A${evil}`]: 'b' } })],
    'a filename': ['/attachments/0/filename', (evil) => file({ filename: `a${evil}.txt` })],
    'a content type': ['/attachments/0/contentType', (evil) => file({ contentType: `text/plain${evil}` })],
    'a content id': ['/attachments/0/contentId', (evil) => file({ contentId: `a${evil}` })],
    'a tag': ['/tags/0', (evil) => ({ tags: [`a${evil}`] })],
    'a metadata key': ['/metadata', (evil) => ({ metadata: { [`a${evil}`]: 'b' } })],
  };
  const separators = ['\r\n', '\n', '\r', '\r\n\r\n', '\n\t', '\0', '\v', '\f', '\x1b', '\u0085', '\u2028', '\u2029'];

  const lineBreaks = Object.entries(lineFields).flatMap(([name, [pointer, make]]) =>
    separators.map((separator) =>
      refused(`${JSON.stringify(separator)} in ${name}`, pointer, make(`x${separator}Bcc: ${EVIL}`)),
    ),
  );

  const unlikeAddresses = [
    ...['', ' ', 'a', '@', `@${domain}`, 'a@', 'a@localhost', `a@b@${domain}`, `a b@${domain}`, `a@ ${domain}`],
    ...[
      `${to}, ${EVIL}`,
      `${to};${EVIL}`,
      `Ada <${to}>, Eve <${EVIL}>`,
      `g: ${to}, ${EVIL};`,
      `g:${EVIL};`,
      'undisclosed-recipients:;',
    ],
    ...[`@${EVIL_DOMAIN}:${to}`, `Ada <@${EVIL_DOMAIN},@b.example:${to}>`, `mailto:${EVIL}`],
    ...[`${to} (c)`, `(${EVIL})${to}`, `${to} (c) <${EVIL}>`, `a(${EVIL})@${domain}`, `a@(c)${domain}`],
    ...[
      `"a b"@${domain}`,
      `"${to}"@${EVIL_DOMAIN}`,
      `"${to}> RCPT TO:<x"@${EVIL_DOMAIN}`,
      `a\\@b@${domain}`,
      `"a\\"b"@${domain}`,
    ],
    ...[`x%${EVIL_DOMAIN}@${domain}`, `${EVIL_DOMAIN}!x@${domain}`, `${EVIL_DOMAIN}!x%b.example@${domain}`],
    ...[
      `${to}> RCPT TO:<${EVIL}`,
      `<${to}>`,
      `${to}>`,
      `Ada <${to}`,
      `Ada <<${to}>>`,
      `Ada <${to}> <${EVIL}>`,
      `Ada <Eve <${EVIL}>>`,
    ],
    ...[
      `"Ada <${to}>`,
      `"Ada" Eve <${to}>`,
      `${to} <${EVIL}>`,
      `Lovelace, Ada <${to}>`,
      `a@${domain} NOTIFY=NEVER`,
      `a@${domain} SIZE=1`,
    ],
    ...[
      'a@[127.0.0.1]',
      'a@[IPv6:::1]',
      'a@127.0.0.1',
      'a@0x7f.1',
      'a@2130706433',
      `a@${domain}.`,
      `a@.${domain}`,
      'a@b..example',
    ],
    ...[
      `.a@${domain}`,
      `a.@${domain}`,
      `a..b@${domain}`,
      `a@${domain}:25`,
      `a@${domain}/x`,
      `a@${domain}?x`,
      `a@${domain}#x`,
    ],
    ...[
      `a@${EVIL_DOMAIN}\\@${domain}`,
      `a@${domain}\t.${EVIL_DOMAIN}`,
      `a@x%2e${domain}`,
      'a@ｂ.example',
      'a@b。example',
      'a@b\u2024example',
    ],
    ...[
      'a@-b.example',
      'a@b-.example',
      'a@b_c.example',
      'a@xn--a.example',
      'a@xn--example-.example',
      'a@①.example',
      'a@\u212a.example',
    ],
    ...[
      `ａ@${domain}`,
      `a＠${domain}`,
      `😀@${domain}`,
      `a\u200b@${domain}`,
      `a\u00ad@${domain}`,
      `a\u202e@${domain}`,
      `a@\u2066${domain}`,
      `\ufeff${to}`,
    ],
    ...[`=?utf-8?q?x=40${EVIL_DOMAIN}=3e?=@${domain}`, `=?utf-8?q?Ada?= <${to}>`, `=?x?q?=0d=0aBcc:x?= <${to}>`],
    ...[
      `${'l'.repeat(65)}@${domain}`,
      `a@${'d'.repeat(64)}.example`,
      `a@${'d.'.repeat(130)}example`,
      `a@${'ü'.repeat(60)}.example`,
    ],
    ...[
      'x'.repeat(100_000),
      `${'"'.repeat(50_000)}@${domain}`,
      `${'<'.repeat(50_000)}${to}${'>'.repeat(50_000)}`,
      `${'('.repeat(20_000)}${to}`,
    ],
  ];
  const addresses = unlikeAddresses.flatMap((address) => [
    refused(`to ${shown(address)}`, '/to/0', { to: [address] }),
    refused(`from ${shown(address)}`, '/from', { from: address }),
  ]);

  const spoofedNames = [
    'ceo@corp.example',
    `ceo@corp.example <${EVIL}>`,
    'ceo＠corp.example',
    'ceo\u200b@corp.example',
    `${from}, ${EVIL}`,
  ];
  const senders = [
    ...spoofedNames.map((name) => refused(`from named ${shown(name)}`, '/from', { from: { address: from, name } })),
    ...spoofedNames.map((name) =>
      refused(`replyTo named ${shown(name)}`, '/replyTo', { replyTo: [{ address: to, name }] }),
    ),
    refused('from as a quoted address in front of another', '/from', { from: `"ceo@corp.example" <${from}>` }),
    refused('several senders', '/from', { from: [from, EVIL] }),
    refused('a list of one sender', '/from', { from: [from] }),
    refused('no sender', '/from', { from: undefined }),
    refused('a sender of null', '/from', { from: null }),
    refused('a sender of 1', '/from', { from: 1 }),
    refused('a sender without an address', '/from', { from: { name: 'Ada' } }),
    refused('a sender with a group', '/from', { from: { address: from, group: [{ address: EVIL }] } }),
    refused('a reordered sender name', '/from', { from: { address: from, name: '\u202eroeC' } }),
    refused('a sender name of half a character', '/from', { from: { address: from, name: '\ud83d' } }),
    refused('a sender name of 257 characters', '/from', { from: { address: from, name: 'n'.repeat(257) } }),
  ];

  const serverHeaders = [
    ...[
      'From',
      'To',
      'Cc',
      'Bcc',
      'bcc',
      'BCC',
      'Reply-To',
      'Sender',
      'Subject',
      'Date',
      'Message-ID',
      'MIME-Version',
      'Return-Path',
    ],
    ...[
      'Content-Type',
      'Content-Transfer-Encoding',
      'Content-Disposition',
      'Content-ID',
      'Received',
      'Resent-To',
      'Resent-Bcc',
      'Resent-From',
    ],
    ...[
      'DKIM-Signature',
      'Authentication-Results',
      'ARC-Seal',
      'Delivered-To',
      'Apparently-To',
      'Errors-To',
      'Disposition-Notification-To',
    ],
    ...[
      'X-MS-Exchange-Organization-SCL',
      'X-Microsoft-Antispam',
      'X-Forefront-Antispam-Report',
      'X-Originating-IP',
      'X-Postroom-Id',
    ],
    ...[
      'Foo',
      '__proto__',
      'constructor',
      'X-',
      '',
      ' X-A',
      'X-A ',
      'X-A:',
      'X-A: b',
      'X-Ä',
      'X-А',
      `X-${'a'.repeat(75)}`,
    ],
  ];
  const headers = [
    ...serverHeaders.map((name) =>
      refused(`the header ${shown(name)}`, `/headers/${token(name)}`, { headers: own(name, EVIL) }),
    ),
    refused('a prepared header', '/headers/X-A', {
      headers: { 'X-A': { prepared: true, value: `a\r\nBcc: ${EVIL}` } },
    }),
    refused('a header with two values', '/headers/X-A', { headers: { 'X-A': ['a', `b\r\nBcc: ${EVIL}`] } }),
    refused('a header of null', '/headers/X-A', { headers: { 'X-A': null } }),
    refused('an empty header', '/headers/X-A', { headers: { 'X-A': '' } }),
    refused('a header of 999 octets', '/headers/X-A', { headers: { 'X-A': 'v'.repeat(999) } }),
    refused('a header of half a character', '/headers/X-A', { headers: { 'X-A': '\udc00' } }),
    refused('a header twice in two spellings', '/headers', { headers: { 'X-A': '1', 'x-a': '2' } }),
    refused('headers as a list', '/headers', { headers: [{ key: 'Bcc', value: EVIL }] }),
    refused('headers as a string', '/headers', { headers: `X-A: b\r\nBcc: ${EVIL}` }),
    refused('1,000 headers', '/headers', { headers: Object.fromEntries(range(1000).map((n) => [`X-${n}`, 'v'])) }),
    refused('References that are no identifiers', '/headers/References', { headers: { References: EVIL } }),
    refused('a List-Unsubscribe that is not ASCII', '/headers/List-Unsubscribe', {
      headers: { 'List-Unsubscribe': '<https://bücher.example>' },
    }),
  ];

  const local = '/etc/passwd';
  const attachments = [
    ...['path', 'href', 'raw', 'cid', 'headers', 'encoding', 'httpHeaders', 'contentTransferEncoding', '__proto__'].map(
      (field) => refused(`an attachment with ${field}`, `/attachments/0/${field}`, file(own(field, local))),
    ),
    refused('an attachment that is read from a file', '/attachments/0', {
      attachments: [{ filename: 'a', path: local }],
    }),
    refused('an attachment that is fetched', '/attachments/0', {
      attachments: [{ filename: 'a', href: 'http://169.254.169.254/' }],
    }),
    refused('a content of a path', '/attachments/0/content', file({ content: { path: local } })),
    refused('a content of a URL', '/attachments/0/content', file({ content: { href: 'http://127.0.0.1/' } })),
    refused('a content of octets', '/attachments/0/content', file({ content: { type: 'Buffer', data: [97] } })),
    ...[
      'YQ',
      'YQ=',
      'Y Q=',
      'YQ==\r\n',
      'Y===',
      '====',
      'é===',
      'Y-_=',
      'data:text/plain;base64,YQ==',
      '../../etc/passwd',
    ].map((content) => refused(`a content of ${shown(content)}`, '/attachments/0/content', file({ content }))),
    ...['', '  ', '../../etc/passwd', 'C:\\a.txt', 'invoice\u202efdp.exe', '\ud83d.txt', 'n'.repeat(256)].map(
      (filename) => refused(`a file named ${shown(filename)}`, '/attachments/0/filename', file({ filename })),
    ),
    ...[
      '',
      'pdf',
      'text/',
      'text/plain; charset=utf-8',
      'text/plain; name="a"',
      'multipart/mixed',
      'message/rfc822',
      'text/plain\t',
      'a/b/c',
    ].map((contentType) =>
      refused(`a file of type ${shown(contentType)}`, '/attachments/0/contentType', file({ contentType })),
    ),
    ...['', '<a>', 'a b', 'a>', '"a"', 'ä', 'x'.repeat(300)].map((contentId) =>
      refused(`a content id of ${shown(contentId)}`, '/attachments/0/contentId', file({ contentId })),
    ),
    refused('a disposition of its own', '/attachments/0/disposition', file({ disposition: 'form-data; name=x' })),
    refused('attachments as an object', '/attachments', { attachments: { filename: 'a', content: 'YQ==' } }),
    refused('an attachment of null', '/attachments/0', { attachments: [null] }),
    refused('2,000 attachments', '/attachments', {
      attachments: range(2000).map(() => ({ filename: 'a', content: 'YQ==' })),
    }),
  ];

  const smuggling = ['\r\n.\r\n', '\n.\n', '\r.\r', '\n.\r\n', '\r\n.\n', '\r.\r\n', '\r\n.\r', '\r\n..\r\n'];
  const inText = smuggling.map(
    (end) => `before${end}MAIL FROM:<${EVIL}>\r\nRCPT TO:<${EVIL}>\r\nDATA\r\nSubject: smuggled\r\n\r\nafter`,
  );
  const bodies = [
    ...inText.map((text) =>
      accepted(`a text that ends the data with ${shown(text.slice(6, 12))}`, { text }, { text: asLines(text) }),
    ),
    ...inText.map((text) =>
      accepted(`the same in base64: ${shown(text.slice(6, 12))}`, { text: `${'日本語'.repeat(99)}${text}` }),
    ),
    ...inText.map((html) => accepted(`the same in HTML: ${shown(html.slice(6, 12))}`, { html })),
    ...['text', 'html'].flatMap((field) => [
      refused(`${field} of a path`, `/${field}`, { [field]: { path: local } }),
      refused(`${field} of a URL`, `/${field}`, { [field]: { href: 'http://127.0.0.1/' } }),
      refused(`${field} of raw MIME`, `/${field}`, { [field]: { raw: `Bcc: ${EVIL}\r\n\r\nx` } }),
      refused(`${field} as a list`, `/${field}`, { [field]: ['a'] }),
      refused(`${field} of 1`, `/${field}`, { [field]: 1 }),
      refused(`${field} with a NUL`, `/${field}`, { [field]: 'a\0b' }),
      refused(`${field} with half a character`, `/${field}`, { [field]: 'a\ud83d' }),
    ]),
    accepted('a text of header lines', { text: `Bcc: ${EVIL}\r\n\r\nx` }, { text: `Bcc: ${EVIL}\n\nx` }),
    accepted('a text that begins with an empty line', { text: '\r\n\r\nx' }, { text: '\n\nx' }),
    accepted('a text of boundaries', { text: '--x\r\nContent-Type: text/html\r\n\r\n--x--', html: '<p>--x--' }),
    accepted('a text of one line of 100,000', { text: 'x'.repeat(100_000) }, { text: 'x'.repeat(100_000) }),
    accepted('a text of line separators', { text: 'a\u2028b\u0085c' }, { text: 'a\u2028b\u0085c' }),
    accepted('HTML that asks for a file', {
      html: '<img src="file:///etc/passwd"><img src="cid:none"><img src="http://127.0.0.1/">',
    }),
    accepted('a text that is emoji', { text: '👩‍👩‍👧‍👦' }, { text: '👩‍👩‍👧‍👦' }),
  ];

  const options = [
    'raw',
    'envelope',
    'auth',
    'dkim',
    'list',
    'icalEvent',
    'alternatives',
    'sender',
    'inReplyTo',
    'references',
    'messageId',
  ];
  const more = [
    'date',
    'encoding',
    'attachDataUrls',
    'watchHtml',
    'amp',
    'dsn',
    'disableFileAccess',
    'headersRaw',
    'Bcc',
    'To',
    'TEXT',
  ];
  const unknown = [
    ...[...options, ...more].map((field) => refused(`the unknown field ${field}`, `/${field}`, { [field]: EVIL })),
    ...['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString'].map((field) =>
      refused(`the field ${field}`, `/${field}`, own(field, { bcc: EVIL, text: { path: local } })),
    ),
    refused('an envelope of its own', '/envelope', { envelope: { from: EVIL, to: [EVIL] } }),
    refused('a login of its own', '/auth', { auth: { user: 'x', pass: 'y' } }),
    refused('raw MIME from a file', '/raw', { raw: { path: local } }),
    refused('an unknown field of a recipient', '/to/0/group', { to: [{ address: to, group: [] }] }),
    refused('__proto__ of a recipient', '/to/0/__proto__', {
      to: [{ address: to, ...own('__proto__', { name: EVIL }) }],
    }),
  ];

  const shapes = [
    ...[null, [], 'x', 1, true].map(
      (body): HostileSubmission => ({ title: `a body of ${JSON.stringify(body)}`, body, refusedAt: '' }),
    ),
    refused('no recipient', '/to', { to: undefined }),
    refused('an empty list of recipients', '/to', { to: [] }),
    refused('a recipient of null', '/to', { to: null }),
    refused('a recipient of 1', '/to', { to: 1 }),
    refused('a list of a list', '/to/0', { to: [[to]] }),
    refused('a recipient of no members', '/to', { to: {} }),
    refused('a recipient whose address is a list', '/to/0', { to: [{ address: [to, EVIL] }] }),
    refused('a recipient whose name is an object', '/to/0', { to: [{ address: to, name: { toString: 'x' } }] }),
    refused('2,000 recipients', '/to', { to: range(2000).map((n) => `a${n}@${domain}`) }),
    refused('600 recipients in each of to, cc and bcc', '/to', {
      to: range(600).map((n) => `a${n}@${domain}`),
      cc: range(600).map((n) => `c${n}@${domain}`),
      bcc: range(600).map((n) => `b${n}@${domain}`),
    }),
    refused('a subject of null', '/subject', { subject: null }),
    refused('a subject of a list', '/subject', { subject: ['a', 'b'] }),
    refused('a subject of an object', '/subject', { subject: { prepared: true, value: `a\r\nBcc: ${EVIL}` } }),
    refused('a subject of 256 characters', '/subject', { subject: 's'.repeat(256) }),
    refused('a subject of half a character', '/subject', { subject: '\udc00' }),
    refused('nothing to say', '/text', { text: undefined }),
    refused('tags as a string', '/tags', { tags: 'a' }),
    refused('11 tags', '/tags', { tags: range(11).map((n) => `t${n}`) }),
    ...['', 'a b', 'ä', 'a/b', 'a:b', '<b>', 't'.repeat(65)].map((tag) =>
      refused(`a tag of ${shown(tag)}`, '/tags/0', { tags: [tag] }),
    ),
    refused('metadata as a list', '/metadata', { metadata: ['a'] }),
    refused('metadata with an object', '/metadata/a', { metadata: { a: { b: 'c' } } }),
    refused('metadata with a number', '/metadata/a', { metadata: { a: 1 } }),
    refused('metadata named __proto__', '/metadata/__proto__', { metadata: own('__proto__', 'x') }),
    refused('a metadata key of 65 characters', '/metadata', { metadata: { ['k'.repeat(65)]: 'v' } }),
    refused('a metadata value of 501 characters', '/metadata/a', { metadata: { a: 'v'.repeat(501) } }),
    refused('51 metadata entries', '/metadata', { metadata: Object.fromEntries(range(51).map((n) => [`k${n}`, 'v'])) }),
    ...[
      '',
      'tomorrow',
      '2026-13-01T00:00:00Z',
      '2001-01-01T00:00:00Z',
      '9999-12-31T23:59:59Z',
      '2030-02-30T00:00:00Z',
      1e12,
      {},
    ].map((expiresAt) => refused(`an expiresAt of ${JSON.stringify(expiresAt)}`, '/expiresAt', { expiresAt })),
  ];

  const word = '=?utf-8?q?x=0d=0aBcc:=20x=40evil.example?=';
  const harmless = [
    accepted('a subject of an encoded word', { subject: word }, { subject: word }),
    accepted('a subject of escapes', { subject: '\\r\\nBcc: %0d%0a&#13;' }, { subject: '\\r\\nBcc: %0d%0a&#13;' }),
    accepted('a subject of 255 emoji halves', { subject: '😀'.repeat(127) }, { subject: '😀'.repeat(127) }),
    accepted(
      'a subject of markup',
      { subject: '<img src=x onerror=alert(1)>' },
      { subject: '<img src=x onerror=alert(1)>' },
    ),
    accepted('a header of an encoded word', { headers: { 'X-A': word } }, { headers: { 'X-A': word } }),
    accepted(
      'a header of 998 octets',
      { headers: { 'X-A': 'v'.repeat(998) } },
      { headers: { 'X-A': 'v'.repeat(998) } },
    ),
    accepted(
      'a header of many scripts',
      { headers: { 'X-A': 'Grüße 東京 😀' } },
      { headers: { 'X-A': 'Grüße 東京 😀' } },
    ),
    accepted(
      'a name that must be quoted',
      { from: { address: from, name: 'A, "B" <c>; \\' } },
      { fromName: 'A, "B" <c>; \\' },
    ),
    accepted('a name of markup', { from: `"<script>" <${from}>` }, { fromName: '<script>' }),
    accepted('a name of its own address', { from: { address: from, name: from } }),
    accepted('a recipient three times', { to: [to, to], cc: to, bcc: [`Ada <${to}>`] }),
    accepted('a domain in capitals', { to: `${to.slice(0, to.indexOf('@'))}@${domain.toUpperCase()}` }),
    accepted(
      'blind copies',
      { bcc: [`blind1@${domain}`, { address: `blind2@${domain}`, name: 'Blind' }] },
      {
        recipients: [to, `blind1@${domain}`, `blind2@${domain}`],
      },
    ),
    accepted('nobody but blind copies', { to: undefined, bcc: to }),
    accepted('a file named in many scripts', file({ filename: 'Übersicht "東京" 😀; x=1.txt' }), {
      files: [{ filename: 'Übersicht "東京" 😀; x=1.txt', content: 'a' }],
    }),
    accepted('an empty file', file({ content: '' }), { files: [{ filename: 'a.txt', content: '' }] }),
    accepted('metadata of line breaks', { metadata: { a: `x\r\nBcc: ${EVIL}` } }),
    accepted(
      'a local part of operators',
      { cc: `a+b=c'd{e}|f~g@${domain}` },
      { recipients: [to, `a+b=c'd{e}|f~g@${domain}`] },
    ),
    accepted('a local part of an option', { cc: `-oQ/tmp@${domain}` }, { recipients: [to, `-oQ/tmp@${domain}`] }),
    accepted(
      'a domain of another script',
      { cc: 'ada@bücher.example' },
      { recipients: [to, 'ada@xn--bcher-kva.example'] },
    ),
    accepted(
      'a domain that looks like another',
      { cc: 'ada@аpple.example' },
      { recipients: [to, 'ada@xn--pple-43d.example'] },
    ),
    accepted('an empty subject', { subject: '' }),
  ];

  const calendar = (change: (lines: string[]) => string[], method?: string) => ({
    calendar: { content: change(INVITE.split('\n')).join('\r\n'), ...(method !== undefined && { method }) },
  });
  const without = (start: string) => (lines: string[]) => lines.filter((line) => !line.startsWith(start));
  const calendars = [
    ...['\r\nBcc: x@evil.example', 'REQUEST; x=y', 'request', '', 'REQUEST\0'].map((method) =>
      refused(
        `a calendar method of ${shown(method)}`,
        '/calendar/method',
        calendar((lines) => lines, method),
      ),
    ),
    refused(
      'a calendar method other than the content’s',
      '/calendar/method',
      calendar((lines) => lines, 'CANCEL'),
    ),
    ...['METHOD', 'VERSION', 'PRODID', 'UID', 'DTSTAMP', 'DTSTART', 'ORGANIZER', 'ATTENDEE', 'BEGIN', 'END'].map(
      (name) => refused(`a calendar without ${name}`, '/calendar/content', calendar(without(name))),
    ),
    refused(
      'a calendar with NUL',
      '/calendar/content',
      calendar((lines) => lines.map((line) => `${line}\0`)),
    ),
    refused('a calendar that is no calendar', '/calendar/content', { calendar: { content: `a\r\nBcc: ${EVIL}` } }),
    refused(
      'a calendar with a header in it',
      '/calendar/content',
      calendar((lines) => ['', `Bcc ${EVIL}`, ...lines]),
    ),
    refused('a deep calendar', '/calendar/content', {
      calendar: { content: `BEGIN:VCALENDAR\n${'BEGIN:VEVENT\n'.repeat(10_000)}` },
    }),
    refused('a calendar of two megabytes', '/calendar/content', { calendar: { content: 'x'.repeat(2_000_000) } }),
    refused('a calendar as a string', '/calendar', { calendar: INVITE }),
    refused('a calendar with a file name', '/calendar/filename', { calendar: { content: INVITE, filename: 'a.ics' } }),
  ];

  const raw = (message: string | Buffer, parts: object = {}) => ({
    raw: { content: Buffer.from(message).toString('base64'), ...parts },
  });
  const rawRefused = (
    title: string,
    message: string | Buffer,
    parts: object = {},
    pointer = '/raw',
  ): HostileSubmission => ({
    title: `raw: ${title}`,
    body: raw(message, parts),
    refusedAt: pointer,
  });
  const rawAccepted = (
    title: string,
    message: string | Buffer,
    received: Partial<Received> = {},
    parts: object = {},
  ): HostileSubmission => ({
    title: `raw: ${title}`,
    body: raw(message, parts),
    accepted: { reversePath: from, recipients: [to], ...received },
  });
  const header = `From: <${from}>\r\nTo: <${to}>\r\nSubject: Hello\r\n`;
  const raws = [
    ...['from', 'to', 'cc', 'bcc', 'replyTo', 'subject', 'text', 'html', 'attachments', 'calendar', 'headers'].map(
      (name): HostileSubmission => ({
        title: `raw beside ${name}`,
        body: { ...raw(`${header}\r\nHello`), [name]: 'x' },
        refusedAt: `/${name}`,
      }),
    ),
    rawRefused('nothing', ''),
    rawRefused('no header', '\r\nHello'),
    rawRefused('no empty line', header),
    rawRefused('no From', `To: <${to}>\r\n\r\nHello`),
    rawRefused('no recipient', `From: <${from}>\r\n\r\nHello`),
    rawRefused('an empty group alone', `From: <${from}>\r\nTo: undisclosed-recipients:;\r\n\r\nHello`),
    ...[
      `From: <${from}>\r\nFrom: <${EVIL}>\r\n`,
      `From: <${from}>, <${EVIL}>\r\n`,
      `From: g: <${from}>, <${EVIL}>;\r\n`,
      `From: <${from}> (c) <${EVIL}>\r\n`,
      `From: "ceo@corp.example" <${from}>\r\n`,
      `From: =?utf-8?q?ceo=40corp=2Eexample?= <${from}>\r\n`,
      `From: <${from}>\r\nSender: <${EVIL}>\r\n`,
      `From: <${EVIL}>\r\n`,
      `From : <${from}>\r\n`,
      `From:\r\n <${from}>\r\n \r\n x\r\n`,
    ].map((fields) => rawRefused(`a sender of ${shown(fields)}`, `${fields}To: <${to}>\r\n\r\nHello`)),
    ...[
      `Subject: again\r\n`,
      `Message-ID: <a@b.example>\r\nMessage-ID: <c@d.example>\r\n`,
      `Message-ID: x\r\n`,
      `Date: yesterday\r\n`,
      `Date: Fri, 02 Jan 2026 03:04:05 +0000\r\nDate: Fri, 02 Jan 2026 03:04:05 +0000\r\n`,
      `Resent-Bcc: <${EVIL}>\r\n`,
      `Resent-From: <${EVIL}>\r\n`,
      `no colon\r\n`,
      `X-A: \u0000\r\n`,
      `X-A: \u001b[31m\r\n`,
      `Cc: ${to}> RCPT TO:<${EVIL}\r\n`,
      `Cc: @${EVIL_DOMAIN}:${to}\r\n`,
      `Cc: <@${EVIL_DOMAIN},@b.example:${to}>\r\n`,
      `Cc: "${to}\r\n`,
      `X-A: ${'v'.repeat(999)}\r\n`,
      Array.from({ length: 501 }, (_, n) => `X-${n}: a\r\n`).join(''),
      `X-A: ${'v'.repeat(900)}\r\n`.repeat(300),
    ].map((fields) => rawRefused(`a header with ${shown(fields)}`, `${header}${fields}\r\nHello`)),
    rawRefused(
      'a header that is not UTF-8',
      Buffer.concat([Buffer.from(header), Buffer.from([0x58, 0x3a, 0xff, 0x0d, 0x0a]), Buffer.from('\r\nHello')]),
    ),
    rawRefused('a body with NUL', `${header}\r\na\0b`),
    rawRefused('a line of 999 octets', `${header}\r\n${'a'.repeat(999)}`),
    rawRefused(
      'another sender in the envelope',
      `${header}\r\nHello`,
      { envelope: { from: EVIL } },
      '/raw/envelope/from',
    ),
    rawRefused('nobody in the envelope', `${header}\r\nHello`, { envelope: { to: [] } }, '/raw/envelope/to'),
    rawRefused(
      'a wrong envelope',
      `${header}\r\nHello`,
      { envelope: { to: [`${to}\r\nRCPT TO:<${EVIL}>`] } },
      '/raw/envelope/to/0',
    ),
    rawRefused('an unknown field', `${header}\r\nHello`, { path: '/etc/passwd' }, '/raw/path'),
    { title: 'raw: a string', body: { raw: `${header}\r\nHello` }, refusedAt: '/raw' } satisfies HostileSubmission,
    {
      title: 'raw: no base64',
      body: { raw: { content: 'a b' } },
      refusedAt: '/raw/content',
    } satisfies HostileSubmission,
    rawAccepted('plain', `${header}\r\nHello`, { subject: 'Hello', text: 'Hello' }),
    rawAccepted('bare line ends', `${header.replaceAll('\r\n', '\n')}\na\nb\rc\r\nd`, {
      text: 'a\nb\nc\nd',
    }),
    ...[
      '.',
      '..',
      '.\r\n',
      '\n.\n',
      '\r.\r',
      '\r\n.\r\nMAIL FROM:<x@evil.example>\r\nRCPT TO:<x@evil.example>\r\nDATA\r\n',
      '\n.\r\nQUIT',
    ].map((body) => rawAccepted(`a body of ${shown(body)}`, `${header}\r\nstart\r\n${body}\r\nend`)),
    rawAccepted(
      'a Bcc, which nobody sees',
      `${header}Bcc: <blind@${domain}>\r\nbcc : x\r\n\r\nHello`.replace('bcc : x\r\n', ''),
      {
        recipients: [to, `blind@${domain}`],
      },
    ),
    rawAccepted('a folded Bcc', `${header}BCC:\r\n <blind@${domain}>,\r\n\t"B" <blind2@${domain}>\r\n\r\nHello`, {
      recipients: [to, `blind@${domain}`, `blind2@${domain}`],
    }),
    rawAccepted(
      'its own envelope',
      `${header}\r\nHello`,
      { recipients: [`other@${domain}`] },
      { envelope: { to: `other@${domain}` } },
    ),
    rawAccepted(
      'fields for servers alone',
      `Return-Path: <${EVIL}>\r\nDelivered-To: ${EVIL}\r\nX-MS-Exchange-Organization-SCL: -1\r\nX-Postroom-Id: 1\r\n${header}\r\nHello`,
    ),
    rawAccepted(
      'a body of 8-bit octets',
      `${header}Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße 東京`,
      {
        text: 'Grüße 東京',
      },
    ),
  ];

  const international = [
    accepted('a recipient outside ASCII', { cc: `jürgen@${domain}` }, { recipients: [to, `jürgen@${domain}`] }),
    accepted('a recipient that looks like another', { bcc: `аda@${domain}` }, { recipients: [to, `аda@${domain}`] }),
    refused('a sender outside ASCII', '/from', { from: `ä${from}` }),
    refused('a sender that looks like another', '/from', { from: from.replace('e', 'е') }),
  ];

  return [
    ...calendars,
    ...raws,
    ...international,
    ...lineBreaks,
    ...addresses,
    ...senders,
    ...headers,
    ...attachments,
    ...bodies,
    ...unknown,
    ...shapes,
    ...harmless,
  ];
}

/** An own member even where the name is `__proto__`. */
function own(name: string, value: unknown): object {
  return Object.fromEntries([[name, value]]);
}

/** A reference token of a JSON pointer (RFC 6901 §3). */
function token(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 40)}… (${text.length})` : text);
}

function asLines(text: string): string {
  return text.replace(/\r\n?/g, '\n');
}
