import { describe, expect, it } from 'vitest';
import { isAmong, parseAddressRule } from '../../src/gateway/address-rule.ts';

const RULES = ['billing@contoso.com', '*@fabrikam.com'];

describe('an allow-list of addresses', () => {
  it.each(['billing@contoso.com', 'Billing@Contoso.COM', 'ada@fabrikam.com', 'ADA@Fabrikam.com'])(
    'lets %s through, in whatever case it is written',
    (address) => {
      expect(isAmong(RULES, address)).toBe(true);
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
    expect(isAmong(RULES, address)).toBe(false);
  });

  it('lets no one through where it is empty', () => {
    expect(isAmong([], 'billing@contoso.com')).toBe(false);
  });
});

describe('an entry of an allow-list', () => {
  it.each([
    [' Billing@Contoso.com ', 'billing@contoso.com'],
    ['*@Fabrikam.COM', '*@fabrikam.com'],
  ])('%j is kept as %s', (text, rule) => {
    expect(parseAddressRule(text)).toEqual({ ok: true, rule });
  });

  it.each(['contoso.com', '*@', '*', 'bill*@contoso.com@x', ''])('%j is refused, and what to write is said', (text) => {
    expect(parseAddressRule(text)).toMatchObject({ ok: false, problem: expect.stringContaining('*@contoso.com') });
  });
});
