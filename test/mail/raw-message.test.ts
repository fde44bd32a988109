import { describe, expect, it } from 'vitest';
import { parseRawMessage, type RawMessage } from '../../src/mail/raw-message.ts';

const FIELDS = ['From: Ada <ada@contoso.com>', 'To: grace@fabrikam.com', 'Subject: Hello'];

function rawOf(fields: string[], body = 'Hello.\r\n'): Buffer {
  return Buffer.from(`${fields.join('\r\n')}\r\n\r\n${body}`);
}
const besides = (...fields: string[]) => rawOf([...FIELDS, ...fields]);
const instead = (...fields: string[]) => {
  const names = fields.map((field) => field.split(':')[0]);
  return rawOf([...FIELDS.filter((field) => !names.includes(field.split(':')[0])), ...fields]);
};

function messageOf(octets: Buffer): RawMessage {
  const parsed = parseRawMessage(octets);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.message;
}
function problemOf(octets: Buffer): string | undefined {
  const parsed = parseRawMessage(octets);
  return parsed.ok ? undefined : parsed.problem;
}

describe('a whole message', () => {
  it('is read and sent as it is', () => {
    const message = messageOf(besides('Received: from a by b', 'DKIM-Signature: v=1;\r\n d=contoso.com'));
    expect(message).toMatchObject({
      from: { address: 'ada@contoso.com', name: 'Ada' },
      to: [{ address: 'grace@fabrikam.com' }],
      subject: 'Hello',
      hasDate: false,
      needsUtf8: false,
      isEightBit: false,
      head: `${FIELDS.join('\r\n')}\r\nReceived: from a by b\r\nDKIM-Signature: v=1;\r\n d=contoso.com\r\n`,
    });
    expect(String(message.body)).toBe('Hello.\r\n');
    expect(message).not.toHaveProperty('messageId');
  });

  it.each(['\n', '\r', '\r\n'])('may have line ends %j, also in its body', (end) => {
    const { head, body } = messageOf(Buffer.from([...FIELDS, '', 'one', '.', 'two'].join(end)));
    expect(head + String(body)).toBe(`${FIELDS.join('\r\n')}\r\none\r\n.\r\ntwo\r\n`);
  });

  it('may have an empty body', () => {
    expect(messageOf(rawOf(FIELDS, '')).body).toHaveLength(0);
  });

  it('is sent without its Bcc and what other servers write or act on', () => {
    const { head, bcc } = messageOf(
      besides(
        'Bcc: x@fabrikam.com,\r\n "Y, Z" <y@fabrikam.com>',
        'Return-Path: <a@b.example>',
        'Delivered-To: a@b.example',
        'X-MS-Exchange-Organization-SCL: -1',
        'X-Postroom-Id: 1',
        'X-Kept: yes',
      ),
    );
    expect(bcc.map(({ address }) => address)).toEqual(['x@fabrikam.com', 'y@fabrikam.com']);
    expect(head).toBe(`${FIELDS.join('\r\n')}\r\nX-Kept: yes\r\n`);
  });

  it('tells its subject and names decoded', () => {
    const message = messageOf(
      instead(
        'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_an_alle?=',
        'From: =?utf-8?b?5bGx55Sw?= <a@b.example>',
      ),
    );
    expect(message).toMatchObject({ subject: 'Grüße an alle', from: { name: '山田' } });
  });

  it('says what it needs of the server', () => {
    const named = messageOf(instead('To: Grüße <grace@fabrikam.com>'));
    expect(named).toMatchObject({ needsUtf8: true, isEightBit: false, to: [{ name: 'Grüße' }] });
    expect(Buffer.from(named.head, 'latin1').toString()).toContain('To: Grüße <');
    expect(messageOf(rawOf(FIELDS, 'Grüße'))).toMatchObject({ needsUtf8: false, isEightBit: true });
  });

  it.each(['Sat, 31 Jan 2026 09:30:00 +0000', '31 Jan 2026 09:30 GMT', 'Sat, 31 Jan 2026 09:30:00 +0100 (CET)'])(
    'keeps its own Message-ID and the Date %s',
    (date) => {
      const message = messageOf(besides('Message-ID: <1@contoso.com>', `Date: ${date}`));
      expect(message).toMatchObject({ messageId: '<1@contoso.com>', hasDate: true });
    },
  );

  it('may have a Sender that is its From, and a group without members', () => {
    expect(problemOf(besides('Sender: ada@contoso.com'))).toBeUndefined();
    expect(messageOf(instead('To: undisclosed-recipients:;')).to).toEqual([]);
  });
});

describe('a whole message is refused', () => {
  it.each([
    ['that is empty', Buffer.alloc(0), /is empty/],
    ['that begins with an empty line', Buffer.from('\r\nFrom: a@b.example\r\n\r\n'), /begins with an empty line/],
    [
      'with a byte order mark',
      Buffer.from(`\ufeff${rawOf(FIELDS)}`),
      /byte order mark \(octets EF BB BF\); leave it out/,
    ],
    ['out of a mailbox file', Buffer.from(`From ada Sat Jan 31\n${rawOf(FIELDS)}`), /"From " line of a mailbox file/],
    ['without a body', Buffer.from('From: a@b.example'), /no empty line between header and body/],
    ['with NUL', rawOf(FIELDS, 'a\0b'), /NUL octet; send attachments in base64/],
    ['with a line of 999 octets', rawOf(FIELDS, 'x'.repeat(999)), /more than 998 octets; use quoted-printable/],
    ['with such a line in its header', besides(`X-A: ${'x'.repeat(994)}`), /more than 998 octets/],
    ['with a very large header', besides(...new Array(270).fill(`X-A: ${'x'.repeat(990)}`)), /octets of header/],
    ['with 501 fields', besides(...new Array(501).fill('X-A: b')), /more than 500 header fields/],
    ['whose header is not UTF-8', Buffer.from('From: \xfc <a@b.example>\r\n\r\n', 'latin1'), /use encoded words/],
    ['with a header line that is none', besides('hello'), /"hello", which is no "Name: value"/],
    ['with a space before a colon', besides('X-A : b'), /which is no "Name: value"/],
    ['that begins with a folded line', rawOf([' From: a@b.example']), /which is no "Name: value"/],
    [
      'with a control character in a field',
      besides('X-A: a\x1b[31m'),
      /control character \(U\+001B\) in its X-A field/,
    ],
    ['with a line of white space in a field', besides('X-A: b\r\n \r\n c'), /white space alone in its X-A field/],
    ['without From', rawOf(['To: a@b.example']), /has no From field/],
    ['with two Froms', besides('FROM: a@b.example'), /more than one From field/],
    ['with two authors', instead('From: a@b.example, c@d.example'), /exactly one address in its From/],
    ['with no author', instead('From: nobody:;'), /exactly one address in its From/],
    ['with another Sender', besides('Sender: x@contoso.com'), /leave Sender out, or set it to ada@contoso\.com/],
    ['whose From shows another address', instead('From: "ceo@corp.example" <a@b.example>'), /From or Reply-To/],
    ['whose Reply-To shows another address', besides('Reply-To: "x@y.example" <a@b.example>'), /From or Reply-To/],
    ['with a comment in an address', instead('To: a@b.example (Ada)'), /wrong To field/],
    ['with a group of members', instead('To: friends: a@b.example;'), /wrong To field/],
    ['with a wrong Bcc', besides('Bcc: a@'), /wrong Bcc field/],
    ['with two Message-IDs', besides('Message-ID: <1@b.example>', 'Message-Id: <2@b.example>'), /one Message-ID field/],
    ['with a wrong Message-ID', besides('Message-ID: 1'), /"1"; write it as in <id@contoso\.com>/],
    ['with a wrong Date', besides('Date: 2026-01-31T09:30:00Z'), /write it as in Sat, 31 Jan 2026/],
    ['dated on a day that is none', besides('Date: Sat, 99 Jan 2026 09:30:00 +0000'), /has the Date/],
    ['that was sent before', besides('Resent-From: a@b.example'), /Resent- fields/],
    ['with a long Subject', instead(`Subject: ${'x'.repeat(256)}`), /more than 255 characters/],
    ['whose Subject hides a line break', instead('Subject: =?utf-8?q?a=0D=0ABcc:_x?='), /line break .* in its Subject/],
  ] as [string, Buffer, RegExp][])('%s', (_, octets, why) => {
    expect(problemOf(octets)).toMatch(why);
    expect(problemOf(octets)).toMatch(/^The message [\x20-\x7e]*\.$/);
  });

  it('at once, also where it was made to be slow', () => {
    const hostile = [' ('.repeat(80_000), '=?'.repeat(80_000), '"'.repeat(80_000), 'a,'.repeat(80_000)];
    for (const value of hostile.map((each) => each.replace(/.{900}/g, '$&\r\n ')))
      expect(problemOf(instead(`To: ${value}`))).toBeDefined();
  });
});
