import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exampleOf } from '../../src/failure/replies.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { RECIPIENT_SCENARIOS, type Scenario, SENDER_SCENARIOS, scenarioTable } from '../../src/sandbox/scenarios.ts';
import { aMessage, SmtpClient } from './smtp-client.ts';

let sandbox: Sandbox;
let from: string;
beforeAll(async () => {
  const mailboxes = [
    { address: 'sender@contoso.example', password: 'secret', sendAs: ['slow-mail-1@contoso.example'] },
  ];
  const limits = { connections: 100, messagesPerWindow: 10_000 };
  sandbox = await startSandbox({ mailboxes, limits });
  from = 'sender@contoso.example';
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

/** What the client hears, and whether the message was kept. */
async function play(sender: string, recipient: string): Promise<{ reply: string; kept: boolean }> {
  const client = await SmtpClient.loggedIn(sandbox);
  const messageId = `<${recipient}.${Math.random()}>`;
  const reply = await client.submit(sender, [recipient], aMessage(from, messageId));
  client.close();
  return { reply, kept: sandbox.inbox.messages().some((message) => message.messageId === messageId) };
}

const words = (reply: string) => reply.replace(/ \[[^[\]]*\]$/, '');
const all: Scenario[] = [...RECIPIENT_SCENARIOS, ...SENDER_SCENARIOS];
const replying = (scenario: Scenario) => scenario.reply !== undefined && scenario.localPart !== 'send-as-denied';

describe('a recipient of a scenario with a known reply gets exactly its words', () => {
  const rows = (RECIPIENT_SCENARIOS as readonly Scenario[]).filter(replying);
  test.each(rows.map((row) => [row.localPart, row] as const))('%s@', async (localPart, scenario) => {
    const { reply, kept } = await play(from, `${localPart}+first@example.com`);
    expect(words(reply)).toBe(words(exampleOf(scenario.reply as never)));
    expect(reply.endsWith(']')).toBe(exampleOf(scenario.reply as never).endsWith(']'));
    expect(reply).not.toMatch(/2026-03-20|prod\.outlook/);
    expect(kept).toBe(false);
  });
});

describe('a sender of a scenario with a known reply gets exactly its words', () => {
  const rows = (SENDER_SCENARIOS as readonly Scenario[]).filter(replying);
  test.each(rows.map((row) => [row.localPart, row] as const))('%s@', async (localPart, scenario) => {
    const { reply } = await play(`${localPart}@contoso.example`, 'a@example.com');
    expect(words(reply)).toBe(words(exampleOf(scenario.reply as never)));
  });
});

describe('a connection is dropped', () => {
  test.each(['drop-at-rcpt', 'drop-at-data', 'drop-in-body', 'drop-in-body-40', 'lost-after-dot'])(
    '%s@, and nothing is kept',
    async (localPart) => {
      expect(await play(from, `${localPart}@example.com`)).toEqual({ reply: 'closed', kept: false });
    },
  );

  test.each(['kept-after-dot', 'reset-after-dot'])('%s@, and the message is kept all the same', async (localPart) => {
    expect(await play(from, `${localPart}@example.com`)).toEqual({ reply: 'closed', kept: true });
  });

  test('drop-at-mail@ as sender', async () => {
    expect(await play('drop-at-mail@contoso.example', 'a@example.com')).toEqual({ reply: 'closed', kept: false });
  });

  test('closing@ says 421 and closes', async () => {
    const client = await SmtpClient.loggedIn(sandbox);
    expect(await client.submit(from, ['closing@example.com'], aMessage(from))).toMatch(/^421 /);
    expect(await client.reply()).toBe('closed');
  });
});

describe('what fails at first and then passes', () => {
  test.each([
    ['throttled-3', 3],
    ['throttled', 2],
    ['concurrent', 1],
    ['busy', 2],
    ['busy-0', 0],
  ])('%s@ fails %i times for each message', async (localPart, times) => {
    const client = await SmtpClient.loggedIn(sandbox);
    for (const messageId of [`<1.${localPart}@x>`, `<2.${localPart}@x>`]) {
      const submit = () => client.submit(from, [`${localPart}@example.com`], aMessage(from, messageId));
      for (let n = 0; n < times; n++) expect(await submit()).toMatch(/^4\d\d 4\./);
      expect(await submit()).toMatch(/^250 2\.0\.0 OK </);
    }
    client.close();
  });

  test('greylisted@ is refused at RCPT once, then accepted, and begins anew with the next message', async () => {
    const client = await SmtpClient.loggedIn(sandbox);
    const submit = () => client.submit(from, ['greylisted+x@example.com'], aMessage(from));
    const replies = [await submit(), (await client.ask('RSET')) && (await submit()), await submit()];
    expect(replies.map((reply) => reply.slice(0, 3))).toEqual(['451', '250', '451']);
    client.close();
  });
});

describe('odd answers', () => {
  test('send-as-denied@ names the two addresses', async () => {
    expect((await play(from, 'send-as-denied@example.com')).reply).toMatch(/^554 5\.2\.252 SendAsDenied; /);
  });

  test('html@ holds a script, which is a reply like any other', async () => {
    expect((await play(from, 'html@example.com')).reply).toMatch(/^550 5\.7\.1 <h1>.*<script>/);
  });

  test('long@ has sixty lines', async () => {
    expect((await play(from, 'long@example.com')).reply.split('\n')).toHaveLength(60);
  });

  test('multi-line@ and bare-250@ are accepted', async () => {
    expect(await play(from, 'multi-line@example.com')).toMatchObject({
      reply: expect.stringMatching(/^250-.*\n250-.*\n250 /),
      kept: true,
    });
    expect(await play(from, 'bare-250@example.com')).toEqual({ reply: '250', kept: true });
  });

  test('garbage@ is kept and answered with no reply', async () => {
    expect(await play(from, 'garbage@example.com')).toEqual({
      reply: 'closed after this is not an SMTP reply\r\n',
      kept: true,
    });
  });

  test('slow-50@ and slow-rcpt-50@ are accepted in their own time', async () => {
    expect(await play(from, 'slow-50@example.com')).toMatchObject({
      reply: expect.stringMatching(/^250 2\.0\.0 OK/),
      kept: true,
    });
    expect(await play(from, 'slow-rcpt-50@example.com')).toMatchObject({ kept: true });
    expect(await play('slow-mail-1@contoso.example', 'a@example.com')).toMatchObject({ kept: true });
  });

  test.each([
    ['hang', false],
    ['hang-kept', true],
  ])('%s@ is silent; kept: %s', async (localPart, isKept) => {
    const client = await SmtpClient.loggedIn(sandbox);
    const messageId = `<${localPart}@silence>`;
    const silence = client.submit(from, [`${localPart}@example.com`], aMessage(from, messageId));
    const heard = await Promise.race([silence, new Promise((resolve) => setTimeout(resolve, 100, 'nothing'))]);
    expect(heard).toBe('nothing');
    expect(sandbox.inbox.messages().some((message) => message.messageId === messageId)).toBe(isKept);
    client.close();
  });
});

test('a refused recipient costs the others nothing', async () => {
  const client = await SmtpClient.loggedIn(sandbox);
  await client.ask(`MAIL FROM:<${from}>`);
  expect(await client.ask('RCPT TO:<unknown@example.com>')).toMatch(/^550 5\.1\.10 /);
  expect(await client.ask('RCPT TO:<fine@example.com>')).toMatch(/^250 /);
  await client.ask('DATA');
  expect(await client.ask(`${aMessage(from)}\r\n.`)).toMatch(/^250 /);
});

test('every local part stands once in the table, and none can be read as another with a number', () => {
  const localParts = all.map((scenario) => scenario.localPart);
  expect(new Set(localParts).size).toBe(localParts.length);
  const misread = localParts.filter((one) =>
    localParts.some((other) => one !== other && /^-\d+$/.test(one.slice(other.length)) && one.startsWith(other)),
  );
  expect(misread).toEqual([]);
  expect(scenarioTable()).toHaveLength(all.length);
});
