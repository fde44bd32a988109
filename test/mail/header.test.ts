import { describe, expect, it } from 'vitest';
import { checkHeader, headerKey } from '../../src/mail/header.ts';

const ID = '<0192f0c1.5@contoso.com>';

describe('a caller may set', () => {
  it.each([
    ['X-Campaign', 'spring 2026'],
    ['x-campaign', 'spring'],
    ['X-Entity_Ref.ID', '1'],
    ['X-Note', 'Grüße aus 東京 😀'],
    ['X-Auto-Response-Suppress', 'All'],
    ['X-Priority', '1'],
    ['X-MSMail-Priority', 'High'],
    ['X-Mailer', 'Contoso CRM'],
    ['List-Unsubscribe', '<https://contoso.com/u?id=1>, <mailto:u@contoso.com?subject=stop>'],
    ['List-Unsubscribe-Post', 'List-Unsubscribe=One-Click'],
    ['List-Id', 'News <news.contoso.com>'],
    ['List-Help', '<mailto:help@contoso.com>'],
    ['In-Reply-To', ID],
    ['References', `${ID} <a@b>  <CA+x=y@mail.example>`],
    ['Auto-Submitted', 'auto-generated'],
    ['Precedence', 'bulk'],
    ['Importance', 'high'],
    ['Sensitivity', 'company-confidential'],
    ['Keywords', 'invoice, März'],
    ['Comments', 'anything'],
    ['Organization', 'Contoso GmbH & Söhne'],
    ['Feedback-ID', 'a:b:c:contoso'],
    ['Thread-Topic', 'Rechnung für März'],
    ['Thread-Index', 'AdABCDEF=='],
    ['X-Longest', 'v'.repeat(998)],
    [`X-${'n'.repeat(74)}`, 'longest name'],
  ])('%s: %s', (name, value) => {
    expect(checkHeader(name, value)).toBeUndefined();
  });
});

describe('a caller may not set', () => {
  it.each([
    ['From', /use the from field/],
    ['To', /use the to field/],
    ['Cc', /use the cc field/],
    ['Bcc', /use the bcc field/],
    ['BCC', /use the bcc field/],
    ['bcc', /use the bcc field/],
    ['Reply-To', /use the replyTo field/],
    ['Subject', /use the subject field/],
    ['Sender', /not supported/],
    ['Return-Path', /from address/],
    ['Errors-To', /from address/],
    ['Message-ID', /internetMessageId/],
    ['Date', /accepted/],
    ['MIME-Version', /text, html and attachments/],
    ['Content-Type', /text, html and attachments/],
    ['Content-Transfer-Encoding', /text, html and attachments/],
    ['Content-Disposition', /text, html and attachments/],
    ['Resent-From', /new message/],
    ['Resent-Bcc', /new message/],
    ['Received', /mail servers/],
    ['Delivered-To', /mail servers/],
    ['DKIM-Signature', /signs for your domain/],
    ['ARC-Seal', /mail servers/],
    ['Authentication-Results', /mail servers/],
    ['Received-SPF', /mail servers/],
    ['Disposition-Notification-To', /use the readReceipt field/],
    ['Return-Receipt-To', /not supported/],
    ['X-MS-Exchange-Organization-SCL', /reserved/],
    ['x-ms-exchange-forest-rulesexecuted', /reserved/],
    ['X-Microsoft-Antispam', /reserved/],
    ['X-Forefront-Antispam-Report', /reserved/],
    ['X-Originating-IP', /reserved/],
    ['X-ClientProxiedBy', /reserved/],
    ['X-Postroom-Id', /another prefix/],
    ['Apparently-To', /X-… headers/],
    ['Encrypted', /X-… headers/],
    ['Foo', /X-… headers/],
    ['X-', /X-… headers/],
    ['X', /X-… headers/],
    ['__proto__', /X-… headers/],
    ['constructor', /X-… headers/],
    ['toString', /X-… headers/],
    ['', /may contain only/],
    [' X-A', /may contain only/],
    ['X-A ', /may contain only/],
    ['X-A:', /may contain only/],
    ['X-A: b\r\nBcc', /may contain only/],
    ['X-A\r\nBcc', /may contain only/],
    ['X-A\nBcc', /may contain only/],
    ['X-A\0', /may contain only/],
    ['X-Ä', /may contain only/],
    ['X-А', /may contain only/],
    ['X-A\u2028B', /may contain only/],
    ['X-A B', /may contain only/],
    ['X-A(c)', /may contain only/],
    [`X-${'n'.repeat(75)}`, /longer than 76/],
    ['X'.repeat(100_000), /longer than 76/],
  ])('%j', (name, why) => {
    expect(checkHeader(name, 'value')).toMatch(why);
  });
});

describe('a header may not have', () => {
  const BREAKS = [
    '\r',
    '\n',
    '\r\n',
    '\r\n ',
    '\n\t',
    '\0',
    '\x07',
    '\x1b[31m',
    '\x7f',
    '\u0085',
    '\u2028',
    '\u2029',
    '\t',
  ];

  it.each(BREAKS)('%j in its value', (character) => {
    for (const name of ['X-A', 'List-Id', 'References', 'Comments']) {
      expect(checkHeader(name, `a${character}Bcc: evil@evil.example`)).toMatch(
        /line break|control character|line separator/,
      );
    }
  });

  it.each([
    ['X-A', '', /empty/],
    ['X-A', '   ', /empty/],
    ['X-A', '\ud800', /surrogate/],
    ['X-A', 'v'.repeat(999), /longer than 998 octets/],
    ['X-A', 'ü'.repeat(500), /longer than 998 octets/],
    ['X-A', 'v'.repeat(1_000_000), /longer than 998 octets/],
    ['List-Unsubscribe', '<https://bücher.example>', /only ASCII/],
    ['List-Unsubscribe', `<https://contoso.com/${'u'.repeat(900)}>`, /without a space/],
    ['List-Unsubscribe-Post', 'yes', /List-Unsubscribe=One-Click/],
    ['In-Reply-To', 'a@b', /not a message identifier/],
    ['In-Reply-To', '<a>', /not a message identifier/],
    ['In-Reply-To', '<a@b', /not a message identifier/],
    ['In-Reply-To', '<a@b@c>', /not a message identifier/],
    ['In-Reply-To', '<a b@c>', /not a message identifier/],
    ['In-Reply-To', '<a@b>,<c@d>', /not a message identifier/],
    ['References', `${ID} evil@evil.example`, /not a message identifier/],
    ['References', `${ID}<a@b>`, /not a message identifier/],
    ['References', '<ä@b>', /only ASCII/],
    ['Auto-Submitted', 'nö', /only ASCII/],
  ])('%s: %j', (name, value, why) => {
    expect(checkHeader(name, value)).toMatch(why);
  });
});

it('tells what is wrong in one sentence', () => {
  expect(checkHeader('Bcc', 'x')).toBe('The header Bcc cannot be set here: use the bcc field.');
  expect(checkHeader('Sender', 'x')).toMatch(/^[^.]+\.$/);
});

it('knows a header in any spelling', () => {
  expect(headerKey('List-ID')).toBe(headerKey('list-id'));
});
