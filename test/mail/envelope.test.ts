import { expect, it } from 'vitest';
import { envelopeOf } from '../../src/mail/envelope.ts';

const named = (...addresses: string[]) => addresses.map((address) => ({ address, name: 'evil@evil.example' }));

it('goes to everyone in to, cc and bcc once, and comes from the from address', () => {
  const submission = {
    from: { address: 'billing@contoso.com', name: 'ceo@corp.example' },
    to: named('a@b.example', 'c@d.example', 'a@b.example'),
    cc: named('c@d.example', 'e@f.example'),
    bcc: named('e@f.example', 'g@h.example'),
  };
  expect(envelopeOf(submission)).toEqual({
    reversePath: 'billing@contoso.com',
    recipients: ['a@b.example', 'c@d.example', 'e@f.example', 'g@h.example'],
  });
});

it('takes local parts that differ in case for two people', () => {
  const submission = { from: { address: 'a@b.example' }, to: named('Ada@b.example', 'ada@b.example'), cc: [], bcc: [] };
  expect(envelopeOf(submission).recipients).toEqual(['Ada@b.example', 'ada@b.example']);
});
