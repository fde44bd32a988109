import { expect, test } from 'vitest';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { aMessage, SmtpClient, until } from './smtp-client.ts';

const mailbox = { address: 'sender@contoso.example', password: 'secret' };
const from = mailbox.address;
const to = ['a@example.com'];

test('the fourth connection of a mailbox is told so after the dot, and may send once another has left', async () => {
  await using sandbox = await startSandbox({ mailboxes: [mailbox] });
  const clients = [];
  for (let n = 0; n < 4; n++) clients.push(await SmtpClient.loggedIn(sandbox));
  const replies = [];
  for (const client of clients) replies.push(await client.submit(from, to, aMessage(from)));
  expect(replies.map((reply) => reply.slice(0, 9))).toEqual(['250 2.0.0', '250 2.0.0', '250 2.0.0', '432 4.3.2']);
  expect(replies[3]).toMatch(/^432 4\.3\.2 Concurrent connections limit exceeded\..+ \[Hostname=\S+\]$/);
  clients[0]?.close();
  await until(() => sandbox.stats().connections.now === 3);
  expect(await clients[3]?.submit(from, to, aMessage(from))).toMatch(/^250 /);
  expect(sandbox.stats()).toMatchObject({ throttleReplies: 1, connections: { peak: 4 } });
  expect(sandbox.stats().mailboxes[from]).toMatchObject({ connectionsPeak: 4, messages: 4, submissions: 5 });
});

test('another mailbox has connections of its own', async () => {
  const other = { address: 'other@contoso.example', password: 'x' };
  await using sandbox = await startSandbox({ mailboxes: [mailbox, other], limits: { connections: 1 } });
  const first = await SmtpClient.loggedIn(sandbox);
  const second = await SmtpClient.loggedIn(sandbox, other);
  expect(await first.submit(from, to, aMessage(from))).toMatch(/^250 /);
  expect(await second.submit(other.address, to, aMessage(other.address))).toMatch(/^250 /);
});

test('more than so many messages in any window are throttled, and a place is free again when the window has rolled', async () => {
  await using sandbox = await startSandbox({
    mailboxes: [mailbox],
    limits: { messagesPerWindow: 3, windowSeconds: 0.5 },
  });
  const client = await SmtpClient.loggedIn(sandbox);
  const submit = () => client.submit(from, to, aMessage(from));
  const replies = [await submit(), await submit(), await submit(), await submit()];
  expect(replies.map((reply) => reply.slice(0, 3))).toEqual(['250', '250', '250', '432']);
  expect(replies[3]).toMatch(/^432 4\.3\.2 STOREDRV\.ClientSubmit; exceeded the message limit per account \[Hostname=/);
  await until(async () => (await submit()).startsWith('250'));
  expect(sandbox.stats().mailboxes[from]?.submissionsPeakInWindow).toBeGreaterThanOrEqual(4);
  expect(sandbox.inbox.messages()).toHaveLength(4);
});

test('recipients beyond what a message may have are refused one by one', async () => {
  await using sandbox = await startSandbox({ mailboxes: [mailbox], limits: { recipientsPerMessage: 2 } });
  const client = await SmtpClient.loggedIn(sandbox);
  await client.ask(`MAIL FROM:<${from}>`);
  expect(await client.ask('RCPT TO:<a@example.com>')).toMatch(/^250 /);
  expect(await client.ask('RCPT TO:<b@example.com>')).toMatch(/^250 /);
  expect(await client.ask('RCPT TO:<c@example.com>')).toMatch(/^452 4\.5\.3 /);
});

test('recipients beyond what the day allows cost the message its acceptance', async () => {
  await using sandbox = await startSandbox({ mailboxes: [mailbox], limits: { recipientsPerDay: 3 } });
  const client = await SmtpClient.loggedIn(sandbox);
  expect(await client.submit(from, ['a@x.example', 'b@x.example'], aMessage(from))).toMatch(/^250 /);
  expect(await client.submit(from, ['a@x.example', 'b@x.example'], aMessage(from))).toMatch(
    /^554 5\.2\.0 STOREDRV\.Submission\.Exception:SubmissionQuotaExceededException/,
  );
  expect(await client.submit(from, ['a@x.example'], aMessage(from))).toMatch(/^250 /);
});

test('a message beyond the mailbox’s size is read to its end and refused', async () => {
  await using sandbox = await startSandbox({ mailboxes: [mailbox], limits: { messageBytes: 300 } });
  const client = await SmtpClient.loggedIn(sandbox);
  const exact = aMessage(from).padEnd(298, 'x');
  expect(await client.submit(from, to, exact)).toMatch(/^250 /);
  expect(await client.submit(from, to, `${exact}x`)).toMatch(/^554 5\.2\.0 .*MessageSubmissionExceededException/);
  expect(await client.submit(from, to, aMessage(from))).toMatch(/^250 /);
});

test('only the mailbox’s own addresses may be the sender, in the envelope and in the From field', async () => {
  await using sandbox = await startSandbox({ mailboxes: [{ ...mailbox, sendAs: ['Billing@contoso.example'] }] });
  const client = await SmtpClient.loggedIn(sandbox);
  expect(await client.submit(from, to, aMessage('billing@contoso.example'))).toMatch(/^250 /);
  expect(await client.submit('billing@contoso.example', to, aMessage(from))).toMatch(/^250 /);
  const denied = 'SendAsDenied; sender@contoso.example not allowed to send as ceo@contoso.example;';
  expect(await client.submit(from, to, aMessage('ceo@contoso.example'))).toContain(`554 5.2.252 ${denied}`);
  expect(await client.submit('ceo@contoso.example', to, aMessage(from))).toContain(`554 5.2.252 ${denied}`);
  expect(await client.submit(from, to, `From: ${from}\r\nFrom: ceo@contoso.example\r\n\r\nx`)).toMatch(
    /^550 5\.7\.512/,
  );
  expect(await client.submit(from, to, `From: ${from}, ceo@contoso.example\r\n\r\nx`)).toMatch(/^550 5\.1\.20/);
  expect(await client.submit(from, to, `X: ${'y'.repeat(300_000)}\r\nFrom: ${from}\r\n\r\nx`)).toMatch(
    /^552 5\.3\.4 Header/,
  );
});
