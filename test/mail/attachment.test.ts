import { describe, expect, it } from 'vitest';
import { checkContentId, checkContentType, checkFilename } from '../../src/mail/attachment.ts';

describe('a file may be named', () => {
  it.each([
    'report.pdf',
    'two words (2).pdf',
    '報告書.pdf',
    'résumé 😀.pdf',
    'semi;colon"quote.pdf',
    '.gitignore',
    'n'.repeat(255),
  ])('%s', (name) => expect(checkFilename(name)).toBeUndefined());
});

describe('a file may not be named', () => {
  it.each([
    ['', /empty/],
    ['  ', /empty/],
    ['n'.repeat(256), /longer than 255/],
    ['../../etc/passwd', /folder/],
    ['.', /folder/],
    [' ..', /folder/],
    ['C:\\temp\\a.txt', /folder/],
    ['a\r\nBcc: x.pdf', /line break/],
    ['a\0.pdf', /control character/],
    ['a\u2028.pdf', /line separator/],
    ['invoice\u202efdp.exe', /bidirectional/],
    ['a\ud800.pdf', /surrogate/],
  ])('%j', (name, why) => expect(checkFilename(name)).toMatch(why));
});

describe('a file may be of type', () => {
  it.each(['application/pdf', 'image/svg+xml', 'application/vnd.ms-excel.sheet.macroEnabled.12', 'TEXT/PLAIN'])(
    '%s',
    (type) => expect(checkContentType(type)).toBeUndefined(),
  );
});

describe('a file may not be of type', () => {
  it.each([
    ['', /media type/],
    ['pdf', /media type/],
    ['application/', /media type/],
    ['/pdf', /media type/],
    ['a/b/c', /media type/],
    ['text/plain; charset=utf-8', /without parameters/],
    ['text/plain\r\nBcc: x', /media type/],
    ['text/plain ', /media type/],
    ['text/pläin', /media type/],
    [`application/${'x'.repeat(128)}`, /media type/],
    ['x'.repeat(1_000_000), /media type/],
    ['multipart/mixed', /octet-stream/],
    ['Message/RFC822', /octet-stream/],
  ])('%j', (type, why) => expect(checkContentType(type)).toMatch(why));
});

describe('a content id', () => {
  it.each(['logo', 'logo@contoso.com', 'a.b_c-d+1'])('may be %s', (id) => expect(checkContentId(id)).toBeUndefined());

  it.each(['', '<logo@contoso.com>', 'a b', 'a\r\nBcc: x', 'a\0', 'ü', 'a"b', 'x'.repeat(251)])('may not be %j', (id) =>
    expect(checkContentId(id)).toMatch(/content id/),
  );
});
