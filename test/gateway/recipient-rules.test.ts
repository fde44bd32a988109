import { expect, it } from 'vitest';
import { barredRecipients } from '../../src/gateway/recipient-rules.ts';

const nobody = { to: [], cc: [], bcc: [] };
const list = (...addresses: string[]) => addresses.map((address) => ({ address }));

it('bars nobody where there is no list', () => {
  expect(barredRecipients(undefined, {}, { ...nobody, to: list('eve@fabrikam.com') })).toEqual([]);
});

it('tells of each recipient whom the key may not send to, wherever it stands, and whom it may', () => {
  const recipients = {
    to: list('ada@contoso.com', 'eve@fabrikam.com'),
    cc: list('ADA@Contoso.com'),
    bcc: list('x@y.example'),
  };
  const told = barredRecipients(undefined, { to: ['*@contoso.com'] }, recipients);
  expect(told.map(({ pointer }) => pointer)).toEqual(['/to', '/bcc']);
  expect(told[0]?.message).toBe(
    "This API key may not send to eve@fabrikam.com, only to *@contoso.com. Use another recipient, or ask an operator to add it to the key's to list.",
  );
});

it('goes by the envelope of a whole message, not by what its header shows', () => {
  const raw = {} as never;
  const shown = { ...nobody, to: list('ada@contoso.com'), raw };
  const hidden = { ...shown, envelope: { to: list('eve@fabrikam.com') } };
  expect(barredRecipients(['*@contoso.com'], {}, shown)).toEqual([]);
  expect(barredRecipients(['*@contoso.com'], {}, hidden)).toMatchObject([{ pointer: '/raw/envelope/to' }]);
});

it('asks for both lists where there are two', () => {
  const to = list('ada@contoso.com', 'bob@fabrikam.com', 'eve@litware.com');
  const told = barredRecipients(
    ['*@contoso.com', '*@fabrikam.com'],
    { to: ['*@contoso.com', '*@litware.com'] },
    { ...nobody, to },
  );
  expect(told.map(({ message }) => message.split(',')[0])).toEqual([
    'This API key may not send to bob@fabrikam.com',
    expect.stringContaining('This installation sends to *@contoso.com'),
  ]);
});

it('lets test mail go to anybody by the installation, since it reaches nobody', () => {
  const to = list('eve@fabrikam.com');
  expect(barredRecipients(['*@contoso.com'], { test: true }, { ...nobody, to })).toEqual([]);
  expect(barredRecipients(undefined, { test: true, to: ['*@contoso.com'] }, { ...nobody, to })).toHaveLength(1);
});

it('tells of ten and no more', () => {
  const to = list(...Array.from({ length: 500 }, (_, index) => `${index}@fabrikam.com`));
  expect(barredRecipients(['*@contoso.com'], {}, { ...nobody, to })).toHaveLength(10);
});
