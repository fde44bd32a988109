import { describe, expect, it } from 'vitest';
import {
  type Address,
  type AddressInput,
  domainOf,
  nameImpersonates,
  parseAddress,
  senderProblem,
} from '../../src/mail/address.ts';

const L64 = 'l'.repeat(64);
const D63 = 'd'.repeat(63);
/** 64 + @ + 189 = 254. */
const LONGEST = `${L64}@${D63}.${D63}.${'d'.repeat(61)}`;

const GOOD: readonly (readonly [AddressInput, Address])[] = [
  ['a@b.example', { address: 'a@b.example' }],
  ['  a@b.example\t', { address: 'a@b.example' }],
  ['Billing@Contoso.COM', { address: 'Billing@contoso.com' }],
  ["o'neil+tag=x/y_z-1#$&*{|}~^`?@b.example", { address: "o'neil+tag=x/y_z-1#$&*{|}~^`?@b.example" }],
  ['a.b.c@sub.b-c.example', { address: 'a.b.c@sub.b-c.example' }],
  ['-a@b.example', { address: '-a@b.example' }],
  ['a@1.2.example', { address: 'a@1.2.example' }],
  ['a@r3---sn.example', { address: 'a@r3---sn.example' }],
  [LONGEST, { address: LONGEST }],
  ['Ada <a@b.example>', { address: 'a@b.example', name: 'Ada' }],
  ['Ada<a@b.example>', { address: 'a@b.example', name: 'Ada' }],
  ['John Q. Public\t<a@b.example>', { address: 'a@b.example', name: 'John Q. Public' }],
  ["Zoë O'Neil <a@b.example>", { address: 'a@b.example', name: "Zoë O'Neil" }],
  ['山田 太郎 <a@b.example>', { address: 'a@b.example', name: '山田 太郎' }],
  ['"Lovelace, Ada" <a@b.example>', { address: 'a@b.example', name: 'Lovelace, Ada' }],
  ['"Ada \\"the\\" \\\\" <a@b.example>', { address: 'a@b.example', name: 'Ada "the" \\' }],
  ['"a <x@y.example>" <a@b.example>', { address: 'a@b.example', name: 'a <x@y.example>' }],
  ['"" <a@b.example>', { address: 'a@b.example' }],
  [{ address: 'a@b.example' }, { address: 'a@b.example' }],
  [{ address: 'a@b.example', name: undefined }, { address: 'a@b.example' }],
  [{ address: 'a@b.example', name: '' }, { address: 'a@b.example' }],
  [
    { address: 'a@b.example', name: '  Ada  ' },
    { address: 'a@b.example', name: 'Ada' },
  ],
  [
    { address: 'a@b.example', name: 'x, y; "z" <a@b>' },
    { address: 'a@b.example', name: 'x, y; "z" <a@b>' },
  ],
  [
    { address: 'a@b.example', name: 'n'.repeat(256) },
    { address: 'a@b.example', name: 'n'.repeat(256) },
  ],
  [
    { address: 'a@b.example', name: '👩‍👩‍👧‍👦' },
    { address: 'a@b.example', name: '👩‍👩‍👧‍👦' },
  ],
  ['a@bücher.example', { address: 'a@xn--bcher-kva.example' }],
  ['a@BÜCHER.example', { address: 'a@xn--bcher-kva.example' }],
  ['a@bu\u0308cher.example', { address: 'a@xn--bcher-kva.example' }],
  ['a@xn--bcher-kva.example', { address: 'a@xn--bcher-kva.example' }],
  ['a@XN--BCHER-KVA.example', { address: 'a@xn--bcher-kva.example' }],
  ['a@faß.de', { address: 'a@xn--fa-hia.de' }],
  ['a@例え.テスト', { address: 'a@xn--r8jz45g.xn--zckzah' }],
  ['a@l·l.cat', { address: 'a@xn--ll-0ea.cat' }],
  // Cyrillic letters that look Latin are another domain, and are seen to be.
  ['a@раураl.com', { address: 'a@xn--l-7sba6dbr.com' }],
  ['a@аpple.com', { address: 'a@xn--pple-43d.com' }],
];

describe('parseAddress accepts', () => {
  it.each(GOOD)('%j', (input, address) => {
    expect(parseAddress(input)).toEqual({ ok: true, address });
  });
});

const BAD: readonly (readonly [AddressInput, RegExp])[] = [
  ['', /empty/],
  ['   ', /empty/],
  ['a', /no @/],
  ['@', /nothing before the @/],
  ['@b.example', /nothing before the @/],
  ['a@', /nothing before, between or after its dots/],
  ['a@b', /no dot/],
  ['a@localhost', /no dot/],
  ['a@b@c.example', /more than one @/],
  ['a b@c.example', /white space/],
  ['a@b .example', /white space/],
  // Several, groups, routes, comments, literals.
  ['a@b.example, c@d.example', /exactly one address/],
  ['a@b.example;c@d.example', /exactly one address/],
  ['A <a@b.example>, C <c@d.example>', /exactly one address/],
  ['g: a@b.example;', /exactly one address/],
  ['undisclosed-recipients:;', /exactly one address/],
  ['g: a@b.example', /colon/],
  ['@r.example:a@b.example', /colon/],
  ['mailto:a@b.example', /colon/],
  ['X <@r.example,@s.example:a@b.example>', /exactly one address/],
  ['a@b.example (comment)', /comment/],
  ['(c)a@b.example', /comment/],
  ['a(c)@b.example', /comment/],
  ['ok@ours.test (c) <evil@x.test>', /double quotes/],
  ['a@[127.0.0.1]', /address literal/],
  ['a@[IPv6:::1]', /address literal/],
  ['a@127.0.0.1', /ends in a number/],
  ['a@b.123', /ends in a number/],
  // Quoting, percent, bang.
  ['"a"@b.example', /quoted local parts/],
  ['"a b"@c.example', /quoted local parts/],
  ['"ok@ours.test> RCPT TO:<evil"@x.test', /quoted local parts/],
  ['a\\@b@c.example', /quoted local parts/],
  ['a%b.example@c.example', /source routes/],
  ['b.example!a@c.example', /source routes/],
  ['=?utf-8?q?a?=@b.example', /encoded word/],
  // Dots.
  ['.a@b.example', /dot before the @/],
  ['a.@b.example', /dot before the @/],
  ['a..b@c.example', /dot before the @/],
  ['a@.b.example', /nothing before/],
  ['a@b..example', /nothing before, between/],
  ['a@b.example.', /ends in a dot/],
  ['a@b.example..', /ends in a dot/],
  // Angle brackets.
  ['<a@b.example>', /without the angle brackets/],
  ['a@b.example>', /">" without a "<"/],
  ['<a@b.example', /angle brackets/],
  ['Ada <a@b.example', /angle brackets/],
  ['Ada <<a@b.example>>', /angle brackets/],
  ['Ada <a@b.example> x', /angle brackets/],
  ['Ada <a@b.example><c@d.example>', /angle brackets/],
  ['Ada <>', /empty/],
  ['Ada <Eve <a@b.example>>', /angle brackets/],
  ['"Ada <a@b.example>', /must have the form/],
  ['"Ada" x <a@b.example>', /must have the form/],
  ['"Ada" "Eve" <a@b.example>', /must have the form/],
  ['"Ada\\" <a@b.example>', /must have the form/],
  ['a@b.example <c@d.example>', /double quotes/],
  ['Sales: EU <a@b.example>', /double quotes/],
  ['Lovelace, Ada <a@b.example>', /double quotes/],
  ['Ada (EU) <a@b.example>', /double quotes/],
  ['Ada "x" <a@b.example>', /double quotes/],
  [{ address: 'Ada <a@b.example>' }, /angle brackets/],
  [{ address: ' a@b.example' }, /white space/],
  [{ address: '' }, /empty/],
  [{ address: '', name: 'Ada' }, /empty/],
  // Characters that are not seen, or that end or reorder a line.
  ...['\r', '\n', '\r\n', '\0', '\x1b', '\x7f', '\u0085', '\u2028', '\u2029'].flatMap(everywhere),
  ...['\u202a', '\u202e', '\u2066', '\u2069', '\u200e', '\u061c'].flatMap(everywhere),
  ...['\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', '\u00ad', '\u180e', '\ufe0f'].flatMap(withinAddress),
  [{ address: 'a@b.example', name: '\ud800' }, /surrogate/],
  [{ address: 'a@b.example', name: 'A\tB' }, /control character/],
  ['\ufeffa@b.example', /invisible/],
  ['ok@ours.test>\r\nRCPT TO:<evil@x.test', /line break/],
  // Names.
  ['=?utf-8?q?Ada?= <a@b.example>', /already encoded/],
  ['=?UTF-8?B?QWRh?= <a@b.example>', /already encoded/],
  [{ address: 'a@b.example', name: 'x =?utf-8?q?=0d=0aBcc:=20x@y.z?=' }, /already encoded/],
  [{ address: 'a@b.example', name: 'n'.repeat(257) }, /longer than 256/],
  // Domains that a URL parser would turn into others.
  ['a@b%2eexample', /not a valid domain/],
  ['a@exam%70le.com', /not a valid domain/],
  ['a@ｂ.example', /not a valid domain/],
  ['a@b。example', /not a valid domain/],
  ['a@b．example', /not a valid domain/],
  ['a@b\u2024example', /not a valid domain/],
  ['a@①.example', /not a valid domain/],
  ['a@𝐛.example', /not a valid domain/],
  ['a@\u212a.example', /not a valid domain/],
  ['a@ﬁ.example', /not a valid domain/],
  ['a@b℀.example', /not a valid domain/],
  ['a@☃.example', /not a valid domain/],
  ['a@😀.example', /not a valid domain/],
  ['a@b.example/x', /not a valid domain/],
  ['a@b.example?x', /not a valid domain/],
  ['a@b.example#x', /not a valid domain/],
  ['a@b.example:25', /colon/],
  ['a@-b.example', /not a valid domain/],
  ['a@b-.example', /not a valid domain/],
  ['a@b_c.example', /not a valid domain/],
  ['a@b*.example', /not a valid domain/],
  ["a@b'c.example", /not a valid domain/],
  ['a@xn--a.example', /not a valid domain/],
  ['a@xn--.example', /not a valid domain/],
  ['a@xn--example-.example', /not a valid domain/],
  ['a@xn--bcher-kv.example', /not a valid domain/],
  // Lengths, one over.
  [`${L64}l@b.example`, /more than 64 characters/],
  [`a@${D63}d.example`, /not a valid domain/],
  [`${LONGEST}d`, /longer than 254/],
  [`a@${'ü'.repeat(60)}.example`, /not a valid domain/],
  [`a@${`${'ü'.repeat(20)}.`.repeat(11)}example`, /longer than/],
  ['x'.repeat(100_000), /too long/],
  [{ address: 'x'.repeat(100_000) }, /longer than 254/],
  [{ address: 'a@b.example', name: 'x'.repeat(100_000) }, /longer than 256/],
  // Not ASCII before the @.
  ['ａdmin@b.example', /character that an address cannot have/],
  ['😀@b.example', /character that an address cannot have/],
  ['a\u00a0b@b.example', /white space|cannot have/],
  [`${'ü'.repeat(33)}@b.example`, /64 characters \(octets\)/],
];

describe('a local part outside ASCII', () => {
  it.each([
    ['müller@b.example', 'müller@b.example'],
    ['mu\u0308ller@b.example', 'müller@b.example'],
    ['用户@例え.テスト', '用户@xn--r8jz45g.xn--zckzah'],
    ['Иван.Петров@b.example', 'Иван.Петров@b.example'],
  ])('is read in its composed form: %s', (input, address) => {
    expect(parseAddress(input)).toEqual({ ok: true, address: { address } });
  });

  it('cannot send, since it could only be taken for another', () => {
    expect(senderProblem({ address: 'аdmin@b.example' })).toMatch(/non-ASCII/);
    expect(senderProblem({ address: 'admin@b.example' })).toBeUndefined();
  });
});

describe('parseAddress refuses', () => {
  it.each(BAD)('%j', (input, why) => {
    const parsed = parseAddress(input);
    expect(parsed).toEqual({ ok: false, problem: expect.stringMatching(why) });
  });

  it.each(BAD)('%j with one short sentence in printable ASCII', (input) => {
    const parsed = parseAddress(input);
    const problem = parsed.ok ? '' : parsed.problem;
    expect(problem).toMatch(/^[\x20-\x7e]+\.$/);
    expect(problem.length).toBeLessThan(250);
  });
});

describe('parseAddress, given anything at all', () => {
  const PIECES = [
    'a',
    'b.example',
    '@',
    '<',
    '>',
    '"',
    '\\',
    '(',
    ')',
    ',',
    ';',
    ':',
    '[',
    ']',
    ' ',
    '.',
    '%',
    '!',
    '\r\n',
    '\0',
    'ü',
    '＠',
    '。',
    '=?',
    '?=',
    '\u202e',
    '\ud83d',
    '😀',
  ];

  it('gives an address of one plain form, which it reads again as the same', () => {
    for (const input of randomJoins(20_000)) {
      const parsed = parseAddress(input);
      if (!parsed.ok) continue;
      expect(parsed.address.address).toMatch(
        /^[a-z0-9#$&'*+\-/=?^_`{|}~.ü]{1,64}@(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}$/i,
      );
      expect(parsed.address.name ?? '').not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
      expect(parseAddress(parsed.address)).toEqual(parsed);
    }
  });

  it('comes to an end, however the text repeats itself', () => {
    const hostile = ['"', '\\', '<', '.', '@', 'a.', ' ', '=?', 'xn--', '\t', '"\\', '\u0308'].flatMap((piece) => [
      piece.repeat(400),
      piece.repeat(1_000_000),
      `${piece.repeat(300)}<a@b.example>`,
      `a@${piece.repeat(120)}`,
      `${piece.repeat(30)}@b.example`,
    ]);
    for (const input of hostile) {
      for (const shape of [input, { address: input }, { address: 'a@b.', name: input }]) parseAddress(shape);
      expect(parseAddress(`${input}>`).ok).toBe(false);
    }
  });

  function* randomJoins(count: number): Generator<string> {
    for (let n = 0, state = 1; n < count; n++) {
      let input = '';
      for (let length = 0; length < 2 + (n % 9); length++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        input += PIECES[(state >>> 8) % PIECES.length] ?? '';
      }
      yield input;
      yield `Ada <${input}@b.example>`;
      yield `${input} <a@b.example>`;
    }
  }
});

describe('nameImpersonates', () => {
  const shown = (name: string) => nameImpersonates({ address: 'ada@contoso.com', name });

  it.each([
    'Ada',
    'ada@contoso.com',
    'ADA@Contoso.com',
    'Ada (ada@contoso.com)',
    '"ada@contoso.com"',
    'Ada at Contoso',
  ])('lets %j stand for ada@contoso.com', (name) => {
    expect(shown(name)).toBeUndefined();
  });

  it.each([
    'ceo@corp.example',
    'CEO <ceo@corp.example>',
    'ada@contoso.com, ceo@corp.example',
    'xada@contoso.com',
    'ada@contoso.com.evil.example',
    'ceo＠corp.example',
    'ceo﹫corp.example',
    'ceo\u200b@corp.example',
    'ceo @ corp.example',
    '@ceo',
  ])('does not let %j stand for ada@contoso.com', (name) => {
    expect(shown(name)).toMatch(/shows another address than ada@contoso\.com/);
  });

  it('has nothing against an address without a name', () => {
    expect(nameImpersonates({ address: 'ada@contoso.com' })).toBeUndefined();
  });
});

describe('the parts of an address', () => {
  it('are its domain', () => {
    expect(domainOf('ada@contoso.com')).toBe('contoso.com');
    expect(domainOf({ address: 'ada@contoso.com', name: 'x@y.example' })).toBe('contoso.com');
  });
});

/** In the address, around it, and in the name, plain, quoted and in an object. */
function everywhere(character: string): [AddressInput, RegExp][] {
  const why = /line break|control character|line separator/;
  return [
    ...withinAddress(character).map(([input]): [AddressInput, RegExp] => [input, why]),
    [`Ada${character}Eve <a@b.example>`, why],
    [`"Ada${character}" <a@b.example>`, why],
    [{ address: 'a@b.example', name: `Ada${character}Eve` }, why],
  ];
}

function withinAddress(character: string): [AddressInput, RegExp][] {
  const why = /line break|character|separator/;
  return [
    [`a${character}b@c.example`, why],
    [`a@b${character}.example`, why],
    [{ address: `a@b.example${character}` }, why],
  ];
}
