import { describe, expect, it } from 'vitest';
import { mayUseFrom, parseFromRule } from '../../src/gateway/from-rule.ts';

const RULES = ['billing@contoso.com', '*@fabrikam.com'];

describe('a From allow-list', () => {
  it.each(['billing@contoso.com', 'Billing@Contoso.COM', 'ada@fabrikam.com', 'ADA@Fabrikam.com'])(
    'lets %s through, in whatever case it is written',
    (address) => {
      expect(mayUseFrom(RULES, address)).toBe(true);
    },
  );

  it.each([
    'ada@contoso.com',
    'ada@mail.fabrikam.com',
    'ada@evilfabrikam.com',
    'ada@fabrikam.com.example',
    'billing@contoso.com.example',
    'xbilling@contoso.com',
  ])('refuses %s', (address) => {
    expect(mayUseFrom(RULES, address)).toBe(false);
  });

  it('lets no one through where it is empty', () => {
    expect(mayUseFrom([], 'billing@contoso.com')).toBe(false);
  });
});

describe('an entry of a From allow-list', () => {
  it.each([
    [' Billing@Contoso.com ', 'billing@contoso.com'],
    ['*@Fabrikam.COM', '*@fabrikam.com'],
  ])('%j is kept as %s', (text, rule) => {
    expect(parseFromRule(text)).toEqual({ ok: true, rule });
  });

  it.each(['contoso.com', '*@', '*', 'bill*@contoso.com@x', ''])('%j is refused, and what to write is said', (text) => {
    expect(parseFromRule(text)).toMatchObject({ ok: false, problem: expect.stringContaining('*@contoso.com') });
  });
});
