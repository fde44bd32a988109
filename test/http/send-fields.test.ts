import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService();
});
afterAll(() => service.app.close());

const days = (count: number) => new Date(Date.now() + count * 86_400_000).toISOString();
const file = (change: object) => [{ filename: 'a.txt', content: 'QQ==', ...change }];
const many = (count: number, each: (i: number) => unknown) => Array.from({ length: count }, (_, i) => each(i));
const named = (count: number, value: string) => Object.fromEntries(many(count, (i) => [`X-Name-${i}`, value]) as []);

/** What is sent instead of a good field, and the pointer of the only complaint. */
const WRONG: [string, Record<string, unknown>, string, RegExp][] = [
  ['no from', { from: undefined }, '/from', /required/],
  ['from as a number', { from: 5 }, '/from', /wrong type/],
  ['from as a list', { from: ['billing@contoso.com'] }, '/from', /wrong type/],
  ['from without a domain', { from: 'billing' }, '/from', /./],
  ['from with a name that shows another address', { from: '"ceo@corp.example" <billing@contoso.com>' }, '/from', /./],
  ['from with a line break', { from: 'billing@contoso.com\r\nBcc: x@y.example' }, '/from', /line break/],
  ['an object without its address', { to: { name: 'Ada' } }, '/to/address', /required/],
  ['an object with a wrong address', { to: [{ address: 'ada@' }] }, '/to/0/address', /./],
  ['an object with a name of two lines', { to: { address: 'a@b.example', name: 'A\nB' } }, '/to/name', /line break/],
  ['an object with a field too many', { to: { address: 'a@b.example', adress: 'x' } }, '/to/adress', /"address"/],
  ['the third of three recipients', { to: ['a@b.example', 'b@b.example', 'c'] }, '/to/2', /./],
  ['two addresses in one string', { to: 'a@b.example, c@d.example' }, '/to', /./],
  ['no recipient', { to: undefined }, '/to', /at least one recipient/],
  ['empty lists of recipients', { to: [], cc: [], bcc: [] }, '/to', /at least one recipient/],
  ['1,001 recipients in a list', { to: many(1_001, (i) => `a${i}@b.example`) }, '/to', /1000/],
  [
    '1,001 recipients in two lists',
    { to: many(600, (i) => `a${i}@b.example`), cc: many(401, (i) => `c${i}@b.example`) },
    '/to',
    /1001 addresses/,
  ],
  ['replyTo with a misleading name', { replyTo: ['a@b.example', '"x@y.example" <a@b.example>'] }, '/replyTo/1', /./],
  ['no subject', { subject: undefined }, '/subject', /required/],
  ['a subject that is not a string', { subject: {} }, '/subject', /must be a string/],
  ['a long subject', { subject: 'x'.repeat(256) }, '/subject', /255 characters/],
  ['a subject of two lines', { subject: 'a\r\nBcc: x@y.example' }, '/subject', /line break/],
  ['a subject with NUL', { subject: 'a\0b' }, '/subject', /U\+0000/],
  ['an importance of another kind', { importance: 'urgent' }, '/importance', /"high" or "normal" or "low"/],
  [
    'an importance beside its header',
    { importance: 'high', headers: { 'x-priority': '5' } },
    '/importance',
    /either importance or the header x-priority/,
  ],
  ['a read receipt to somebody else', { readReceipt: 'eve@b.example' }, '/readReceipt', /must be a boolean/],
  ['no content at all', { text: undefined }, '/text', /at least one of text, html, attachments and calendar/],
  ['an empty list of attachments as the only content', { text: undefined, attachments: [] }, '/text', /at least one/],
  ['text that is not a string', { text: { path: '/etc/passwd' } }, '/text', /must be a string/],
  ['text with NUL', { text: 'a\0b' }, '/text', /U\+0000/],
  ['html with half a surrogate pair', { html: '\ud800' }, '/html', /surrogate/],
  ['attachments that are no list', { attachments: {} }, '/attachments', /must be an array/],
  [
    '101 attachments',
    { attachments: many(101, (i) => ({ filename: `${i}.txt`, content: 'QQ==' })) },
    '/attachments',
    /100 entries/,
  ],
  ['an attachment without a name', { attachments: [{ content: 'QQ==' }] }, '/attachments/0/filename', /required/],
  ['an attachment without content', { attachments: [{ filename: 'a' }] }, '/attachments/0/content', /required/],
  ['a file name with a folder', { attachments: file({ filename: '../a.txt' }) }, '/attachments/0/filename', /folder/],
  [
    'a file name with a line break',
    { attachments: file({ filename: 'a\n.txt' }) },
    '/attachments/0/filename',
    /line break/,
  ],
  ['base64 without padding', { attachments: file({ content: 'QQ' }) }, '/attachments/0/content', /base64/],
  ['URL-safe base64', { attachments: file({ content: '-_-_' }) }, '/attachments/0/content', /base64/],
  ['base64 with line breaks', { attachments: file({ content: 'QUFB\nQUFB' }) }, '/attachments/0/content', /base64/],
  [
    'base64 with other scripts’ letters',
    { attachments: file({ content: 'ŁŁŁŁ' }) },
    '/attachments/0/content',
    /base64/,
  ],
  [
    'a data: URL',
    { attachments: file({ content: 'data:text/plain;base64,QQ==' }) },
    '/attachments/0/content',
    /base64/,
  ],
  [
    'a media type with parameters',
    { attachments: file({ contentType: 'text/plain; charset=x' }) },
    '/attachments/0/contentType',
    /media type/,
  ],
  [
    'a multipart attachment',
    { attachments: file({ contentType: 'multipart/mixed' }) },
    '/attachments/0/contentType',
    /cannot be attached/,
  ],
  [
    'a content id with angle brackets',
    { attachments: file({ contentId: '<a@b>' }) },
    '/attachments/0/contentId',
    /without < and >/,
  ],
  [
    'a content id used twice',
    { attachments: [...file({ contentId: 'a' }), ...file({ contentId: 'a' })] },
    '/attachments/1/contentId',
    /its own/,
  ],
  [
    'an unknown disposition',
    { attachments: file({ disposition: 'form-data' }) },
    '/attachments/0/disposition',
    /"attachment" or "inline"/,
  ],
  [
    'an attachment from a path',
    { attachments: file({ path: '/etc/passwd' }) },
    '/attachments/0/path',
    /no field "path"/,
  ],
  [
    'an attachment from an address',
    { attachments: file({ href: 'http://127.0.0.1/' }) },
    '/attachments/0/href',
    /no field/,
  ],
  ['a raw attachment', { attachments: file({ raw: 'Bcc: x@y.example' }) }, '/attachments/0/raw', /no field/],
  ['a header that Postroom sets', { headers: { Bcc: 'x@y.example' } }, '/headers/Bcc', /bcc field/],
  ['a header with a line break', { headers: { 'X-Foo': 'a\r\nBcc: x@y.example' } }, '/headers/X-Foo', /line break/],
  ['a header name with a colon', { headers: { 'X-Foo: a': 'b' } }, '/headers/X-Foo: a', /may contain only/],
  ['a header that is no string', { headers: { 'X-Foo': { prepared: true, value: 'x' } } }, '/headers/X-Foo', /string/],
  ['a header in two spellings', { headers: { 'X-Foo': 'a', 'x-foo': 'b' } }, '/headers/x-foo', /twice/],
  [
    'one-click unsubscribing without an address for it',
    { headers: { 'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click' } },
    '/headers/List-Unsubscribe-Post',
    /needs a List-Unsubscribe beside it, as in <https:/,
  ],
  [
    'one-click unsubscribing by mail alone',
    {
      headers: {
        'list-unsubscribe-post': 'List-Unsubscribe=One-Click',
        'List-Unsubscribe': '<mailto:leave@contoso.com>',
      },
    },
    '/headers/List-Unsubscribe',
    /must have an HTTPS address/,
  ],
  ['51 headers', { headers: named(51, 'a') }, '/headers', /50 headers/],
  ['a tag with a space', { tags: ['ok', 'not ok'] }, '/tags/1', /1 to 64 characters/],
  ['a tag of 65 characters', { tags: ['x'.repeat(65)] }, '/tags/0', /1 to 64/],
  ['11 tags', { tags: many(11, (i) => `t${i}`) }, '/tags', /10 entries/],
  ['metadata that is no string', { metadata: { a: 1 } }, '/metadata/a', /string/],
  ['metadata with a long value', { metadata: { a: 'x'.repeat(501) } }, '/metadata/a', /500 characters/],
  [
    'metadata with a long name',
    { metadata: { ['x'.repeat(65)]: 'a' } },
    `/metadata/${'x'.repeat(65)}`,
    /64 characters/,
  ],
  ['metadata called constructor', { metadata: { constructor: 'x' } }, '/metadata/constructor', /reserved/],
  ['51 entries of metadata', { metadata: named(51, 'a') }, '/metadata', /50 entries/],
  ['an expiresAt without an offset', { expiresAt: '2099-01-01T00:00:00' }, '/expiresAt', /offset/],
  ['an expiresAt without seconds', { expiresAt: '2099-01-01T00:00Z' }, '/expiresAt', /seconds/],
  ['an expiresAt on 30 February', { expiresAt: '2099-02-30T00:00:00Z' }, '/expiresAt', /offset/],
  ['an expiresAt that is a number', { expiresAt: 4_070_908_800 }, '/expiresAt', /./],
  ['an expiresAt in the past', { expiresAt: days(-1) }, '/expiresAt', /passed/],
  ['an expiresAt in 31 days', { expiresAt: days(31) }, '/expiresAt', /30 days/],
  ['an expiresAt before its sendAt', { sendAt: days(2), expiresAt: days(1) }, '/expiresAt', /before its sendAt/],
  ['an expiresAt 31 days after sendAt', { sendAt: days(2), expiresAt: days(33) }, '/expiresAt', /30 days after sendAt/],
  ['two ends', { expiresAt: days(1), expiresInSeconds: 60 }, '/expiresInSeconds', /either/],
  ['an expiresInSeconds of nothing', { expiresInSeconds: 0 }, '/expiresInSeconds', /./],
  ['an expiresInSeconds of 31 days', { expiresInSeconds: 31 * 86_400 }, '/expiresInSeconds', /./],
  ['an expiresInSeconds with a fraction', { expiresInSeconds: 1.5 }, '/expiresInSeconds', /./],
  ['a sendAt in 31 days', { sendAt: days(31) }, '/sendAt', /30 days/],
  ['a sendAt without an offset', { sendAt: '2099-01-01T00:00:00' }, '/sendAt', /offset/],
  ['a mailbox without a name', { mailbox: '' }, '/mailbox', /./],
  ['an unknown onUnconfirmed', { onUnconfirmed: 'ask' }, '/onUnconfirmed', /"hold" or "resend"/],
  ['an unknown field', { envelope: { from: 'x@y.example' } }, '/envelope', /no field "envelope"/],
  ['a field spelled as elsewhere', { reply_to: 'a@b.example' }, '/reply_to', /"replyTo"/],
  ['a mistyped field', { sujbect: 'x' }, '/sujbect', /did you mean "subject"/],
  ['a field name with a slash and a tilde', { 'a/b~c': 1 }, '/a~1b~0c', /./],
];

describe('a wrong field is refused with its pointer and a sentence', () => {
  test.each(WRONG)('%s', async (_name, change, pointer, message) => {
    const before = service.fake.calls.accept;
    const response = await service.post(aBody(change));
    const problem = await problemOf(response);
    expect(problem).toMatchObject({ status: 422, code: 'invalid_fields' });
    expect(problem.errors).toEqual([{ pointer, message: expect.stringMatching(message) }]);
    expect(problem.errors?.[0]?.message).toMatch(/[.?]$/);
    expect(service.fake.calls.accept).toBe(before);
  });
});

test('all wrong fields are told at once', async () => {
  const body = { from: 'x', to: ['a@b.example', 'y'], subject: 7, tags: ['!'], expiresAt: days(-1), bodY: 'z' };
  const problem = await problemOf(await service.post(body));
  const pointers = problem.errors?.map(({ pointer }) => pointer).sort();
  expect(pointers).toEqual(['/bodY', '/expiresAt', '/from', '/subject', '/tags/0', '/text', '/to/1']);
  expect(problem.detail).toBe('7 things are wrong; errors names each.');
});

test('no more than 50 are listed', async () => {
  const problem = await problemOf(await service.post(aBody({ to: many(200, (i) => `wrong ${i}`) })));
  expect(problem.errors).toHaveLength(50);
});

test.each(['__proto__', 'metadata.__proto__', 'headers.__proto__', 'to.__proto__'])(
  '%s is refused by name',
  async (at) => {
    const [field, inner] = at.split('.');
    const member = inner ? `"${field}": {"address": "a@b.example", "${inner}": "x"}` : `"${field}": {"from": "x"}`;
    const rest = JSON.stringify(aBody()).slice(1);
    const problem = await problemOf(
      await service.post(`{${member}, ${field === 'to' ? rest.replace('"to"', '"cc"') : rest}`),
    );
    expect(problem.errors).toContainEqual({ pointer: `/${at.replace('.', '/')}`, message: expect.any(String) });
  },
);

test('a hostile name is cut and escaped', async () => {
  const name = `\u001b[31m\r\n\u202e${'x'.repeat(5_000)}`;
  const problem = await problemOf(await service.post(aBody({ [name]: 1 })));
  const [error] = problem.errors ?? [];
  expect(error?.pointer?.length).toBeLessThan(150);
  expect(JSON.stringify(problem)).not.toMatch(/[^ -~…]|\\r\\n/);
});

test.each([
  ['a string', '"x"'],
  ['null', 'null'],
  ['a number', '1'],
])('%s is no message', async (_name, body) => {
  const problem = await problemOf(await service.post(body));
  expect(problem.errors).toEqual([{ pointer: '', message: 'This must be an object.' }]);
});

const RIGHT: [string, Record<string, unknown>, Record<string, unknown>][] = [
  [
    'a name in the string',
    { from: 'Contoso Billing <billing@contoso.com>' },
    { from: { address: 'billing@contoso.com', name: 'Contoso Billing' } },
  ],
  [
    'an object',
    { to: { address: 'ada@fabrikam.com', name: 'Ada' } },
    { to: [{ address: 'ada@fabrikam.com', name: 'Ada' }] },
  ],
  ['bcc alone', { to: undefined, bcc: ['a@b.example'] }, { to: [], bcc: [{ address: 'a@b.example' }] }],
  ['an empty subject', { subject: '' }, { subject: '' }],
  ['html alone', { text: undefined, html: '<p>x' }, { html: '<p>x' }],
  [
    'an attachment alone',
    { text: undefined, attachments: file({}) },
    {
      attachments: [
        {
          filename: 'a.txt',
          contentType: 'application/octet-stream',
          content: Buffer.from('A'),
          disposition: 'attachment',
        },
      ],
    },
  ],
  ['an empty attachment', { attachments: file({ content: '' }) }, {}],
  [
    'an inline image',
    { attachments: file({ contentId: 'logo', contentType: 'IMAGE/GIF' }) },
    {
      attachments: [
        {
          filename: 'a.txt',
          contentType: 'image/gif',
          content: Buffer.from('A'),
          contentId: 'logo',
          disposition: 'inline',
        },
      ],
    },
  ],
  ['a header', { headers: { 'X-Foo': 'bar' } }, { headers: { 'X-Foo': 'bar' } }],
  [
    'one-click unsubscribing',
    {
      headers: {
        'List-Unsubscribe': '<mailto:leave@contoso.com>, <https://contoso.com/leave/4711>',
        'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
      },
    },
    {},
  ],
  ['a way to unsubscribe by hand', { headers: { 'List-Unsubscribe': '<mailto:leave@contoso.com>' } }, {}],
  ['a sendAt with an offset', { sendAt: days(1).replace('Z', '+00:00') }, { sendAt: expect.any(Number) }],
  ['a sendAt that has passed', { sendAt: days(-100) }, { sendAt: expect.any(Number) }],
  [
    'a life from sendAt',
    { sendAt: days(29), expiresInSeconds: 2_592_000 },
    { sendAt: expect.any(Number), lifetimeMilliseconds: 2_592_000_000 },
  ],
  ['an end long after sendAt', { sendAt: days(29), expiresAt: days(58) }, { expiresAt: expect.any(Number) }],
  ['a mailbox', { mailbox: 'billing' }, { mailbox: 'billing' }],
  ['an expiry with an offset', { expiresAt: days(1).replace('Z', '+00:00') }, { expiresAt: expect.any(Number) }],
  ['emoji', { subject: '🎉', text: '👩‍💻 \t\r\n' }, { subject: '🎉' }],
  [
    'the defaults',
    {},
    { cc: [], bcc: [], replyTo: [], attachments: [], headers: {}, tags: [], metadata: {}, onUnconfirmed: 'hold' },
  ],
];

test.each(RIGHT)('%s is accepted', async (_name, change, submission) => {
  const response = await service.post(aBody(change));
  expect(response.status, await response.clone().text()).toBe(202);
  expect(service.fake.submissions.at(-1)).toMatchObject(submission);
});
