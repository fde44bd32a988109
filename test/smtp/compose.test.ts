import PostalMime, { decodeWords, type Email } from 'postal-mime';
import { describe, expect, it } from 'vitest';
import type { Attachment, Submission } from '../../src/mail/message.ts';
import { composeMessage } from '../../src/smtp/compose.ts';
import { composeMime } from '../../src/smtp/mime.ts';
import { randomSubmissions } from '../support/random-submissions.ts';
import { composeByNodemailer } from '../support/reference-composer.ts';

const FIXED = { messageId: '<0192f0c1@contoso.com>', date: new Date('2026-01-02T03:04:05Z') };

describe('the message that a recipient reads', () => {
  const submissions = randomSubmissions(250, 20260102);

  it('has every part of the submission, whatever the script, length or line ends', async () => {
    for (const submission of submissions) {
      const email = await PostalMime.parse(composeMime(submission, FIXED, 'seed'));
      expect(meaningOf(email, submission)).toEqual(meaningIntended(submission));
    }
  });

  it('means the same as what nodemailer’s composer makes of it', async () => {
    for (const submission of submissions) {
      const ours = await PostalMime.parse(composeMime(submission, FIXED, 'seed'));
      const theirs = await PostalMime.parse(await composeByNodemailer(submission, FIXED));
      // nodemailer drops white space at the ends of a subject.
      const subject = ours.subject?.trim();
      expect(meaningOf({ ...ours, ...(subject && { subject }) }, submission)).toEqual(meaningOf(theirs, submission));
    }
  });

  it('passes every SMTP server unchanged: ASCII, CRLF only, short lines, none that begins with a dot', () => {
    for (const submission of submissions) expect(wireFaults(composeMime(submission, FIXED, 'seed'))).toEqual([]);
  });

  it('is the same to the octet when made again with the same boundaries', () => {
    for (const submission of submissions.slice(0, 50)) {
      const again = composeMime(structuredCopy(submission), FIXED, 'seed');
      expect(composeMime(submission, FIXED, 'seed').equals(again)).toBe(true);
    }
  });
});

describe('the form of a message', () => {
  it('is a plain text where there is nothing but text', () => {
    expect(composed({ text: 'Hello\nAda' })).toBe(
      [
        'From: <billing@contoso.com>',
        'To: <ada@fabrikam.com>',
        'Subject: Hello',
        'Message-ID: <0192f0c1@contoso.com>',
        'Date: Fri, 02 Jan 2026 03:04:05 +0000',
        'MIME-Version: 1.0',
        'Content-Type: text/plain; charset=utf-8',
        'Content-Transfer-Encoding: 7bit',
        '',
        'Hello',
        'Ada',
        '',
      ].join('\r\n'),
    );
  });

  it.each([
    ['text alone', { text: 'T' }, 'text/plain'],
    ['HTML alone', { html: '<p>H' }, 'text/html'],
    ['nothing at all', {}, 'text/plain'],
    ['an empty text beside HTML', { text: '', html: '<p>H' }, 'text/html'],
    ['text and HTML', { text: 'T', html: '<p>H' }, 'multipart/alternative(text/plain text/html)'],
    ['text and a file', { text: 'T', attachments: [aFile({})] }, 'multipart/mixed(text/plain application/pdf)'],
    ['a file alone', { attachments: [aFile({})] }, 'multipart/mixed(application/pdf)'],
    ['HTML and its image', { html: '<p>H', attachments: [anImage()] }, 'multipart/related(text/html image/png)'],
    ['an image without HTML', { text: 'T', attachments: [anImage()] }, 'multipart/mixed(text/plain image/png)'],
    [
      'an inline image that no contentId names',
      { html: '<p>H', attachments: [aFile({ contentType: 'image/png', disposition: 'inline' })] },
      'multipart/mixed(text/html image/png)',
    ],
    [
      'a file with a contentId that is not inline',
      { html: '<p>H', attachments: [{ ...anImage(), disposition: 'attachment' }] },
      'multipart/mixed(text/html image/png)',
    ],
    [
      'a file of a type that base64 must not carry',
      { text: 'T', attachments: [aFile({ contentType: 'message/rfc822' })] },
      'multipart/mixed(text/plain application/octet-stream)',
    ],
    [
      'all of it',
      { text: 'T', html: '<p>H', attachments: [anImage(), aFile({})] },
      'multipart/mixed(multipart/alternative(text/plain multipart/related(text/html image/png)) application/pdf)',
    ],
  ] as [string, Partial<Submission>, string][])('for %s', (_, parts, structure) => {
    expect(structureOf(composed(parts))).toBe(structure);
  });

  it('never names the blind copies', () => {
    const message = composed({ text: 'T', bcc: [{ address: 'secret@fabrikam.com', name: 'Secret' }] });
    expect(message).not.toMatch(/secret|bcc/i);
  });

  it('has other boundaries each time', async () => {
    const submission = aSubmission({ text: 'T', html: 'H' });
    const [one, two] = [await composeMessage(submission, FIXED), await composeMessage(submission, FIXED)];
    expect(one.equals(two)).toBe(false);
    expect(one.length).toBe(two.length);
  });

  it('folds five hundred recipients into short lines', () => {
    const to = Array.from({ length: 500 }, (_, n) => ({ address: `person${n}@fabrikam.com`, name: `Person ${n}` }));
    expect(
      Math.max(
        ...composed({ text: 'T', to })
          .split('\r\n')
          .map((line) => line.length),
      ),
    ).toBeLessThan(79);
  });

  it('leaves what programs read as it stands', () => {
    const url = `<https://contoso.com/?u==?utf-8?q?x?=${'u'.repeat(700)}>`;
    expect(composed({ text: 'T', headers: { 'List-Unsubscribe': url } })).toContain(`List-Unsubscribe: ${url}\r\n`);
  });

  it('shows an encoded word that someone wrote as text literally', async () => {
    const subject = '=?utf-8?q?Bcc=3A_evil=40evil.example?=';
    const email = await parsed({ subject, from: { address: 'a@contoso.com', name: subject } });
    expect(email.subject).toBe(subject);
    expect(email.from?.name).toBe(subject);
    expect(composed({ subject })).not.toContain(subject);
  });
});

describe('a hostile string', () => {
  const SEPARATORS = ['\r\n', '\n', '\r', '\0', '\v', '\f', '\u0085', '\u2028', '\u2029', '\r\n\r\n', '\\r\\n'];
  const EVIL = SEPARATORS.flatMap((separator) => [
    `x${separator}Bcc: evil@evil.example`,
    `x${separator} Bcc: evil@evil.example${separator}`,
    `x${separator}${separator}--=_seed_mixed${separator}Content-Type: text/html${separator}${separator}evil`,
  ]);

  const PLACES: Record<string, (evil: string) => Partial<Submission>> = {
    subject: (evil) => ({ subject: evil }),
    'name of from': (evil) => ({ from: { address: 'billing@contoso.com', name: evil } }),
    'name of to': (evil) => ({ to: [{ address: 'ada@fabrikam.com', name: evil }] }),
    'name of cc': (evil) => ({ cc: [{ address: 'ada@fabrikam.com', name: evil }] }),
    'name of replyTo': (evil) => ({ replyTo: [{ address: 'ada@fabrikam.com', name: evil }] }),
    'free header': (evil) => ({ headers: { 'X-Note': evil } }),
    filename: (evil) => ({ attachments: [aFile({ filename: evil })] }),
    'content type': (evil) => ({ attachments: [aFile({ contentType: evil })] }),
    'content id': (evil) => ({ attachments: [aFile({ contentId: evil })] }),
    'content id in HTML': (evil) => ({ html: 'H', attachments: [aFile({ contentId: evil, disposition: 'inline' })] }),
    text: (evil) => ({ text: evil }),
    html: (evil) => ({ text: 'T', html: evil }),
  };

  it.each(Object.keys(PLACES))('as %s adds no header field and no part', (place) => {
    const make = PLACES[place] as (evil: string) => Partial<Submission>;
    const harmless = composed(make('harmless'));
    for (const evil of EVIL) {
      const message = composed(make(evil));
      expect(headerNames(message)).toEqual(headerNames(harmless));
      expect(structureOf(message).replaceAll('application/octet-stream', 'x')).toBe(
        structureOf(harmless).replaceAll('application/octet-stream', 'x'),
      );
      expect(wireFaults(Buffer.from(message))).toEqual([]);
    }
  });

  it.each([
    ['an address', { to: [{ address: 'a@b.example>\r\nBcc: evil@evil.example' }] }],
    ['a header that programs read', { headers: { 'In-Reply-To': '<a@b>\r\nBcc: evil@evil.example' } }],
    ['a header name', { headers: { 'X-A: b\r\nBcc': 'evil@evil.example' } }],
  ] as [string, Partial<Submission>][])('that has come unchecked into %s stops the message', (_, parts) => {
    expect(() => composed({ text: 'T', ...parts })).toThrow(/not printable ASCII/);
  });

  it('is decoded without a line break or control character', async () => {
    for (const evil of EVIL) {
      const from = { address: 'billing@contoso.com', name: evil };
      const email = await parsed({ from, subject: evil, attachments: [aFile({ filename: evil })] });
      expect(email.attachments).toHaveLength(1);
      for (const shown of [email.subject, email.from?.name, email.attachments[0]?.filename]) {
        expect(shown).toMatch(/^[^\p{Cc}\p{Zl}\p{Zp}]+$/u);
      }
    }
  });

  it.each(['mixed', 'alternative', 'related'])('cannot end its part, not even by the very boundary of %s', (kind) => {
    for (const end of ['\r\n', '\n', '\r']) {
      const text = ['before', `--=_seed_${kind}`, 'Content-Type: text/evil', '', 'evil', `--=_seed_${kind}--`, ''].join(
        end,
      );
      const message = composed({ text, html: text, attachments: [anImage(), aFile({ content: Buffer.from(text) })] });
      const related = 'multipart/related(text/html image/png)';
      expect(structureOf(message)).toBe(
        `multipart/mixed(multipart/alternative(text/plain ${related}) application/pdf)`,
      );
    }
  });

  it('cannot end the data: no line of a message begins with a dot', () => {
    for (const end of ['\r\n.\r\n', '\n.\n', '\r.\r', '\n.\r\n', '\r\n.\n', '\r.\r\n']) {
      const smuggled = `before${end}MAIL FROM:<evil@evil.example>`;
      for (const text of [smuggled, `é${smuggled}`, `日本語日本語${smuggled}`]) {
        const message = composed({ text, html: text, subject: text });
        expect(message).not.toMatch(/(^|[\r\n])\./);
      }
    }
  });
});

function aSubmission(parts: Partial<Submission>): Submission {
  return {
    from: { address: 'billing@contoso.com' },
    to: [{ address: 'ada@fabrikam.com' }],
    cc: [],
    bcc: [],
    replyTo: [],
    subject: 'Hello',
    attachments: [],
    headers: {},
    tags: [],
    metadata: {},
    onUnconfirmed: 'hold',
    priority: 'normal',
    ...parts,
  };
}

function aFile(parts: Partial<Attachment>): Attachment {
  const content = Buffer.from('%PDF');
  return { filename: 'report.pdf', contentType: 'application/pdf', content, disposition: 'attachment', ...parts };
}

function anImage(): Attachment {
  return aFile({ filename: 'logo.png', contentType: 'image/png', contentId: 'logo@contoso', disposition: 'inline' });
}

function composed(parts: Partial<Submission>): string {
  return composeMime(aSubmission(parts), FIXED, 'seed').toString('latin1');
}

function parsed(parts: Partial<Submission>): Promise<Email> {
  return PostalMime.parse(composed(parts));
}

function structuredCopy(submission: Submission): Submission {
  const attachments = submission.attachments.map((file) => ({ ...file, content: Buffer.from(file.content) }));
  return { ...structuredClone({ ...submission, attachments: [] }), attachments };
}

/** What a reader gets to see, as far as mail programs do not differ. */
function meaningOf(email: Email, { headers }: Submission) {
  const people = (list: Email['to']) => (list ?? []).map(({ name, address }) => ({ name, address }));
  return {
    from: people(email.from ? [email.from] : []),
    to: people(email.to),
    cc: people(email.cc),
    replyTo: people(email.replyTo),
    subject: email.subject ?? '',
    messageId: email.messageId,
    date: email.date,
    text: trimmed(email.text),
    html: trimmed(email.html),
    headers: Object.keys(headers).map((name) => {
      const values = email.headers.filter(({ key }) => key === name.toLowerCase());
      return [name, ...values.map(({ value }) => decodeWords(value))];
    }),
    attachments: email.attachments.map(({ filename, mimeType, disposition, contentId, related, content }) => ({
      ...{ filename, mimeType, disposition, contentId, related: related ?? false },
      content: Buffer.from(content as ArrayBuffer).toString('hex'),
    })),
  };
}

function meaningIntended(submission: Submission): ReturnType<typeof meaningOf> {
  const people = (list: Submission['to']) => list.map(({ name = '', address }) => ({ name, address }));
  const { text = '', html = '', attachments, headers } = submission;
  const isRelated = (file: Attachment) => html !== '' && file.disposition === 'inline' && file.contentId !== undefined;
  const inOrder = [...attachments.filter(isRelated), ...attachments.filter((file) => !isRelated(file))];
  return {
    from: people([submission.from]),
    to: people(submission.to),
    cc: people(submission.cc),
    replyTo: people(submission.replyTo),
    subject: submission.subject,
    messageId: FIXED.messageId,
    date: FIXED.date.toISOString(),
    text: trimmed(text),
    html: trimmed(html),
    headers: Object.entries(headers),
    attachments: inOrder.map((file) => ({
      filename: file.filename,
      mimeType: file.contentType,
      disposition: file.disposition,
      contentId: file.contentId && `<${file.contentId}>`,
      related: isRelated(file),
      content: file.content.toString('hex'),
    })),
  };
}

/** Line ends are the transport's (RFC 2046 §4.1.1), and so is how many there are at the very end. */
function trimmed(text: string | undefined): string {
  return (text ?? '').replace(/\r\n?/g, '\n').replace(/\n+$/, '');
}

function wireFaults(message: Buffer): string[] {
  const text = message.toString('latin1');
  const lines = text.split('\r\n');
  return [
    ...(/[^\t\r\n\x20-\x7e]/.test(text) ? ['not printable ASCII'] : []),
    ...(lines.some((line) => /[\r\n]/.test(line)) ? ['a bare CR or LF'] : []),
    ...(lines.some((line) => line.length > 998) ? ['a line over 998'] : []),
    ...(lines.some((line) => line.startsWith('.')) ? ['a line that begins with a dot'] : []),
    ...(lines.some((line) => /[ \t]$/.test(line)) ? ['white space at the end of a line'] : []),
    ...(text.endsWith('\r\n') ? [] : ['no line end at the end']),
  ];
}

function headerNames(message: string): string[] {
  const head = message.slice(0, message.indexOf('\r\n\r\n'));
  return head.split(/\r\n(?![ \t])/).map((line) => line.slice(0, line.indexOf(':')));
}

/** `multipart/mixed(text/plain application/pdf)`, read off the raw message by boundaries alone. */
function structureOf(entity: string): string {
  const end = entity.indexOf('\r\n\r\n');
  const head = entity.slice(0, end).replace(/\r\n[ \t]/g, ' ');
  const type = /^content-type: *([^;\r\n]+)/im.exec(head)?.[1] ?? 'none';
  const boundary = /boundary="([^"]+)"/.exec(head)?.[1];
  if (boundary === undefined) return type;
  const [body = ''] = entity.slice(end + 2).split(`\r\n--${boundary}--`);
  const parts = body.split(`\r\n--${boundary}\r\n`).slice(1);
  return `${type}(${parts.map(structureOf).join(' ')})`;
}
