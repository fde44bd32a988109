import { expect, it } from 'vitest';
import { type MailboxConfig, USUAL_LIMITS } from '../src/mailbox-config.ts';
import { laneSettings, paceOf } from '../src/mailboxes.ts';

function mailbox(id: string, auth: { clientSecret?: string; secretExpires?: string }): MailboxConfig {
  const address = `${id}@contoso.com`;
  return {
    id,
    address,
    from: [address],
    auth: {
      type: 'clientCredentials',
      tenantId: 'contoso',
      clientId: 'postroom',
      authority: 'https://login.example',
      scope: 'https://outlook.office365.com/.default',
      clientSecret: auth.clientSecret ?? 'a secret',
      ...(auth.secretExpires && { secretExpires: auth.secretExpires }),
    },
    smtp: { host: 'smtp.example', port: 587, heloName: 'gateway.contoso.com' },
    limits: USUAL_LIMITS,
  };
}

const tenantHolds = (...mailboxes: MailboxConfig[]) =>
  new Set(laneSettings(mailboxes).map(({ holdKeys }) => holdKeys.tenant));

it('mailboxes with one secret share the holds of their tenant, whichever of them says when it ends; others have their own', () => {
  expect(tenantHolds(mailbox('a', {}), mailbox('b', { secretExpires: '2027-01-01' })).size).toBe(1);
  expect(tenantHolds(mailbox('a', {}), mailbox('b', { clientSecret: 'a new secret' })).size).toBe(2);
});

it('nor does it matter in which order their settings are written', () => {
  const first = mailbox('a', {});
  const second = mailbox('b', {});
  const auth = Object.fromEntries(Object.entries(second.auth ?? {}).reverse()) as unknown as MailboxConfig['auth'];
  expect(tenantHolds(first, { ...second, ...(auth && { auth }) }).size).toBe(1);
});

it('a window of a fraction of a millisecond is counted in whole ones, and not shortened', () => {
  expect(paceOf({ ...USUAL_LIMITS, windowSeconds: 1.5005 }).windowMilliseconds).toBe(1_501);
});
