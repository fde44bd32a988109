import { describe, expect, test } from 'vitest';
import { redaction } from '../../src/redaction.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { mailboxOf } from '../support/postroom.ts';
import { examineSandbox } from './patient.ts';

// Its domain is reserved, so that nothing is looked up in public DNS.
const MAILBOX = { address: 'billing@contoso.example', password: 'planted-password-1' };

/** As itself, and as servers get to see it. */
const formsOf = (secret: string) => [secret, Buffer.from(secret).toString('base64'), encodeURIComponent(secret)];

describe('nothing that is told contains a secret', () => {
  test('not even when the token endpoint repeats the form it was sent', async () => {
    const clientSecret = 'planted~secret+with/signs=&%';
    await using sandbox = await startSandbox({ mailboxes: [MAILBOX], clientSecret });
    const description = `AADSTS7000215: Invalid client secret ${clientSecret} in ${new URLSearchParams({ client_secret: clientSecret })}`;
    const body = JSON.stringify({ error: 'invalid_client', error_description: description });
    sandbox.behave({ token: { status: 401, body } });
    const { steps, troubles, step } = await examineSandbox(sandbox);
    expect(troubles).toEqual(['token fail']);
    expect(step('token').finding).toContain('[secret]');
    for (const form of formsOf(clientSecret)) expect(JSON.stringify(steps)).not.toContain(form);
  });

  test('not even when the SMTP server repeats the AUTH line', async () => {
    const tokens: string[] = [];
    await using sandbox = await startSandbox({
      mailboxes: [MAILBOX],
      onReply: ({ stage }) => (stage === 'auth' ? { reply: `535 5.7.3 Refused: ${tokens.join(' ')}` } : undefined),
    });
    const askEntra = globalThis.fetch;
    globalThis.fetch = async (...request) => {
      const response = await askEntra(...request);
      const { access_token: token } = (await response.clone().json()) as { access_token?: string };
      if (token)
        tokens.push(
          token,
          Buffer.from(`user=${MAILBOX.address}\u0001auth=Bearer ${token}\u0001\u0001`).toString('base64'),
        );
      return response;
    };
    try {
      const { steps, troubles } = await examineSandbox(sandbox);
      expect(troubles).toEqual(['auth fail']);
      expect(tokens).toHaveLength(2);
      for (const token of tokens) expect(JSON.stringify(steps)).not.toContain(token);
      expect(JSON.stringify(steps)).toContain('[secret]');
    } finally {
      globalThis.fetch = askEntra;
    }
  });

  test('nor the password', async () => {
    const password = 'planted-password-2';
    const repeated = `535 5.7.139 ${password} ${Buffer.from(password).toString('base64')}`;
    await using sandbox = await startSandbox({ mailboxes: [MAILBOX], behaviour: { auth: { reply: repeated } } });
    const { steps } = await examineSandbox(sandbox, { ...mailboxOf(sandbox), auth: { type: 'password', password } });
    for (const form of formsOf(password)) expect(JSON.stringify(steps)).not.toContain(form);
  });
});

test('a short word is no secret, and a secret within another goes with it', () => {
  const { redact } = redaction(['abc', 'planted', 'planted-longer']);
  expect(redact('abc planted-longer planted')).toBe('abc [secret] [secret]');
});
