import { expect, it } from 'vitest';
import { decodeWords } from '../../src/mail/encoded-word.ts';

it.each([
  ['text without any', 'Hello, = ? =', 'Hello, = ? ='],
  ['Q', '=?utf-8?q?Gr=C3=BC=C3=9Fe?=', 'Grüße'],
  ['Q with a space and a question mark', '=?UTF-8?Q?Why_not=3F?=', 'Why not?'],
  ['B', '=?utf-8?B?R3LDvMOfZQ==?=', 'Grüße'],
  ['B without its padding', '=?utf-8?B?R3LDvMOfZQ?=', 'Grüße'],
  ['another charset', '=?iso-8859-1?q?Gr=FC=DFe?=', 'Grüße'],
  ['a Japanese charset', '=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=', '日本'],
  ['a language (RFC 2231 §5)', '=?us-ascii*en-us?q?Hello?=', 'Hello'],
  ['one within text', 'RE: =?utf-8?q?=C3=BC?= x', 'RE: ü x'],
  ['two, whose white space between them is no text', '=?utf-8?q?a?= \t =?utf-8?q?b?=', 'ab'],
  ['two with text between', '=?utf-8?q?a?= and =?utf-8?q?b?=', 'a and b'],
  ['a character split between two', '=?utf-8?q?=C3?= =?utf-8?q?=BC?=', 'ü'],
  ['two charsets side by side', '=?utf-8?q?=C3=BC?= =?iso-8859-1?q?=FC?=', 'üü'],
  ['an emoji split between three', '=?utf-8?b?8J8=?= =?utf-8?b?mA==?= =?utf-8?b?gA==?=', '😀'],
  ['a charset that nobody knows', '=?x-none?q?a=FC?=', 'aü'],
  ['octets that are none of its charset', '=?utf-8?q?a=FF?=', 'a\ufffd'],
  ['one that is never closed', '=?utf-8?q?abc', '=?utf-8?q?abc'],
  ['one of an unknown encoding', '=?utf-8?x?abc?=', '=?utf-8?x?abc?='],
  ['one with a space, which is none', '=?utf-8?q?a b?=', '=?utf-8?q?a b?='],
  ['an = that is followed by no octet', '=?utf-8?q?a=GG?=', 'a=GG'],
])('decodes %s', (_, text, decoded) => {
  expect(decodeWords(text)).toBe(decoded);
});
