import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { aMessage, base64, SmtpClient } from './smtp-client.ts';

const added = { address: 'added@contoso.example', password: 'secret', sendAs: ['*@Fabrikam.example'] };

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startSandbox({ mailboxes: [], httpPort: 'none', inboxMessages: 0 });
});
afterEach(() => sandbox[Symbol.asyncDispose]());

async function logIn(): Promise<[SmtpClient, string]> {
  const client = await SmtpClient.secure(sandbox);
  await client.ask(`AUTH LOGIN ${base64(added.address)}`);
  return [client, await client.ask(base64(added.password))];
}

const submit = (client: SmtpClient, from: string) => client.submit(from, ['ada@fabrikam.example'], aMessage(from));

describe('a mailbox that is added while the sandbox runs', () => {
  test('can log in from then on, and send as every address of a domain it was given', async () => {
    expect((await logIn())[1]).toMatch(/^535 /);
    sandbox.addMailbox(added);
    const [client, answer] = await logIn();
    expect(answer).toMatch(/^235 /);
    expect(await submit(client, 'anybody@fabrikam.example')).toMatch(/^250 /);
    expect(await submit(client, 'anybody@other.example')).toMatch(/^554 5\.2\.252 /);
  });

  test('may have limits of its own', async () => {
    sandbox.addMailbox({ ...added, limits: { messagesPerWindow: 1 } });
    const [client] = await logIn();
    expect(await submit(client, added.address)).toMatch(/^250 /);
    expect(await submit(client, added.address)).toMatch(/^432 /);
  });
});

describe('a sandbox that is to keep nothing', () => {
  test('takes mail, counts it, and has no page', async () => {
    sandbox.addMailbox(added);
    const [client] = await logIn();
    expect(await submit(client, added.address)).toMatch(/^250 /);
    expect([sandbox.stats().messages, sandbox.inbox.messages().length, sandbox.http.url]).toEqual([1, 0, '']);
  });
});
