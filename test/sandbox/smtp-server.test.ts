import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { aMessage, SmtpClient, until } from './smtp-client.ts';

let sandbox: Sandbox;
let from: string;
beforeEach(async () => {
  sandbox = await startSandbox();
  from = sandbox.mailboxes[0]?.address ?? '';
});
afterEach(async () => {
  await sandbox[Symbol.asyncDispose]();
});

describe('the conversation', () => {
  test('speaks in Microsoft’s form from greeting to goodbye', async () => {
    const client = await SmtpClient.connect(sandbox.smtp.port);
    expect(await client.reply()).toMatch(
      /^220 [A-Z0-9-.]+\.PROD\.OUTLOOK\.COM Microsoft ESMTP MAIL Service ready at \w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000 \[08D[0-9A-F]{13}\]$/,
    );
    expect((await client.ask('EHLO client.example')).split('\n').slice(1)).toEqual([
      '250-SIZE 157286400',
      '250-PIPELINING',
      '250-DSN',
      '250-ENHANCEDSTATUSCODES',
      '250-STARTTLS',
      '250-8BITMIME',
      '250 SMTPUTF8',
    ]);
    expect(await client.ask('STARTTLS')).toBe('220 2.0.0 SMTP server ready');
    await client.startTls(sandbox.caPem);
    const secured = await client.ask('EHLO client.example');
    expect(secured).toMatch(/^250-\S+ Hello \[127\.0\.0\.1\]\n/);
    expect(secured).toContain('250-AUTH LOGIN XOAUTH2\n');
    expect(secured).not.toContain('STARTTLS');
    expect(await client.ask('NOOP')).toBe('250 2.0.0 OK');
    expect(await client.ask('QUIT')).toBe('221 2.0.0 Service closing transmission channel');
    expect(await client.reply()).toBe('closed');
  });

  test('accepts a message in Microsoft’s words and names the server that took it', async () => {
    const client = await SmtpClient.loggedIn(sandbox);
    expect(await client.ask(`MAIL FROM:<${from}> SIZE=100 BODY=8BITMIME`)).toBe('250 2.1.0 Sender OK');
    expect(await client.ask('RCPT TO:<someone@example.com> NOTIFY=NEVER')).toBe('250 2.1.5 Recipient OK');
    expect(await client.ask('DATA')).toBe('354 Start mail input; end with <CRLF>.<CRLF>');
    expect(await client.ask(`${aMessage(from, '<a@b>')}\r\n.`)).toMatch(/^250 2\.0\.0 OK <a@b> \[Hostname=\S+]$/);
    expect(sandbox.inbox.messages()).toHaveLength(1);
  });

  test('says in one piece what it answers to commands that came in one piece (RFC 2920 §3.2)', async () => {
    const client = await SmtpClient.secure(sandbox);
    const before = client.pieces.length;
    client.send('NOOP\r\nVRFY <a@b>\r\nRSET\r\nQUIT\r\n');
    await until(() => client.pieces.join('').includes('\r\n221 '));
    const pieces = client.pieces.slice(before);
    expect(pieces).toHaveLength(1);
    expect(pieces[0]?.match(/^\d{3}/gm)).toEqual(['250', '252', '250', '221']);
  });

  test('answers commands sent in one piece in their order, and reads the message behind them', async () => {
    const client = await SmtpClient.loggedIn(sandbox);
    client.send(`MAIL FROM:<${from}>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<unknown@example.com>\r\nDATA\r\n`);
    const replies = [await client.reply(), await client.reply(), await client.reply(), await client.reply()];
    expect(replies.map((reply) => reply.slice(0, 3))).toEqual(['250', '250', '550', '354']);
    client.send(`${aMessage(from)}\r\n.\r\nNOOP\r\n`);
    expect(await client.reply()).toMatch(/^250 2\.0\.0 OK </);
    expect(await client.reply()).toBe('250 2.0.0 OK');
    expect(sandbox.inbox.messages()[0]?.envelope.recipients).toEqual(['a@example.com']);
  });

  test('keeps to the order of commands', async () => {
    const client = await SmtpClient.connect(sandbox.smtp.port);
    await client.reply();
    expect(await client.ask(`MAIL FROM:<${from}>`)).toMatch(/^503 5\.5\.2 Send hello first \[/);
    await client.ask('EHLO client.example');
    expect(await client.ask(`MAIL FROM:<${from}>`)).toMatch(/^451 5\.7\.3 /);
    client.close();

    const secure = await SmtpClient.secure(sandbox);
    expect(await secure.ask(`MAIL FROM:<${from}>`)).toMatch(/^530 5\.7\.57 /);
    expect(await secure.ask('STARTTLS')).toMatch(/^503 /);
    secure.close();

    const loggedIn = await SmtpClient.loggedIn(sandbox);
    expect(await loggedIn.ask('RCPT TO:<a@example.com>')).toMatch(/^503 5\.5\.2 Need mail command/);
    await loggedIn.ask(`MAIL FROM:<${from}>`);
    expect(await loggedIn.ask(`MAIL FROM:<${from}>`)).toMatch(/^503 /);
    expect(await loggedIn.ask('DATA')).toMatch(/^503 5\.5\.2 Need rcpt command/);
    expect(await loggedIn.ask('RSET')).toBe('250 2.0.0 Resetting');
    expect(await loggedIn.ask('RCPT TO:<a@example.com>')).toMatch(/^503 /);
  });

  test.each([
    ['EHLO container_1.', '501 5.5.4 Invalid domain name'],
    ['EHLO ', '501 5.5.4'],
    ['BDAT 5 LAST', "500 5.3.3 Unrecognized command 'BDAT'"],
    ['__proto__', '500 5.3.3'],
    ['MAIL FROM:someone@example.com', '501 5.5.4'],
    ['MAIL FROM:<a@b> BODY=BINARYMIME', '501 5.5.4'],
    ['MAIL FROM:<a@b> WRONG=1', '555 5.5.4'],
    ['MAIL FROM:<a@b> SIZE=1 SIZE=2', '501 5.5.4'],
    ['MAIL FROM:<a b@c>', '501 5.5.4'],
    ['MAIL FROM:<no-domain>', '501 5.1.7'],
    ['MAIL FROM:<jürgen@example.com>', '553 5.6.7'],
    ['MAIL FROM:<sender@postroom.example> SIZE=157286401', '552 5.3.4'],
    [`MAIL FROM:<${'a'.repeat(65)}@example.com>`, '501 5.1.7'],
    [`NOOP ${'x'.repeat(3_000)}`, '500 5.5.2'],
    [`NOOP ${'x'.repeat(100_000)}`, '500 5.5.2'],
    ['NOOP \u0000', '500 5.5.2'],
    ['NOOP\nMAIL FROM:<a@b>', '500 5.5.2'],
  ])('refuses %j', async (line, reply) => {
    const client = await SmtpClient.loggedIn(sandbox);
    expect((await client.ask(line)).startsWith(reply)).toBe(true);
    client.close();
  });

  test('takes addresses beyond ASCII only in an SMTPUTF8 transaction', async () => {
    const client = await SmtpClient.loggedIn(sandbox);
    expect(await client.ask(`MAIL FROM:<${from}> SMTPUTF8`)).toMatch(/^250 /);
    expect(await client.ask('RCPT TO:<jürgen@müller.example>')).toMatch(/^250 /);
    await client.ask('RSET');
    await client.ask(`MAIL FROM:<${from}>`);
    expect(await client.ask('RCPT TO:<jürgen@müller.example>')).toMatch(/^553 5\.6\.7/);
    expect(await client.ask('RCPT TO:<"a>b"@example.com>')).toMatch(/^250 /);
  });

  test('hangs up on a client that gets nothing right', async () => {
    const client = await SmtpClient.connect(sandbox.smtp.port);
    await client.reply();
    client.send('NONSENSE\r\n'.repeat(60));
    let reply = '';
    while (!reply.startsWith('421')) reply = await client.reply();
    expect(await client.reply()).toBe('closed');
  });
});

describe('the message', () => {
  test('is kept octet by octet, the stuffed dots taken away', async () => {
    const client = await SmtpClient.loggedIn(sandbox);
    const message = `${aMessage(from)}\r\n..\r\n...two\r\nbare\n.\nlf\r.\rcr\r\n..end`;
    expect(await client.submit(from, ['a@example.com'], message)).toMatch(/^250 /);
    const kept = sandbox.inbox.messages()[0]?.raw.toString();
    expect(kept).toBe(`${message.replace('..\r\n...two', '.\r\n..two').replace('..end', '.end')}\r\n`);
  });

  test('ends only at CRLF, dot, CRLF: nothing can be smuggled in behind another dot', async () => {
    const client = await SmtpClient.loggedIn(sandbox);
    const smuggled = `\n.\nMAIL FROM:<${from}>\nRCPT TO:<evil@example.com>\nDATA\nx\r.\r\nQUIT`;
    expect(await client.submit(from, ['a@example.com'], aMessage(from) + smuggled)).toMatch(/^250 /);
    expect(sandbox.inbox.messages()).toHaveLength(1);
    expect(sandbox.inbox.messages()[0]?.envelope.recipients).toEqual(['a@example.com']);
  });

  test('is put together again however the network cuts it', async () => {
    const client = await SmtpClient.loggedIn(sandbox);
    await client.ask(`MAIL FROM:<${from}>`);
    await client.ask('RCPT TO:<a@example.com>');
    await client.ask('DATA');
    const message = `${aMessage(from)}\r\n..dot\r\n`;
    for (const octet of Buffer.from(`${message}.\r\n`)) {
      client.send(Buffer.of(octet));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await client.reply()).toMatch(/^250 /);
    expect(sandbox.inbox.messages()[0]?.raw.toString()).toBe(message.replace('..dot', '.dot'));
  });

  test('may be empty of lines, and is then refused for its missing From', async () => {
    const client = await SmtpClient.loggedIn(sandbox);
    await client.ask(`MAIL FROM:<${from}>`);
    await client.ask('RCPT TO:<a@example.com>');
    await client.ask('DATA');
    expect(await client.ask('.')).toMatch(/^550 5\.7\.512 /);
    expect(await client.ask('NOOP')).toMatch(/^250 /);
  });

  test('of 20 MB, all of it stuffed dots, passes', async () => {
    const client = await SmtpClient.loggedIn(sandbox);
    const body = '..\r\n'.repeat(5_000_000);
    expect(await client.submit(from, ['a@example.com'], `${aMessage(from)}\r\n${body}`)).toMatch(/^250 /);
    expect(sandbox.inbox.messages()[0]?.raw.length).toBeGreaterThan(15_000_000);
  });
});

describe('STARTTLS', () => {
  test('throws away what was sent in clear text behind it', async () => {
    const client = await SmtpClient.connect(sandbox.smtp.port);
    await client.reply();
    await client.ask('EHLO client.example');
    client.send('STARTTLS\r\nMAIL FROM:<evil@example.com>\r\nNOOP\r\n');
    expect(await client.reply()).toMatch(/^220 /);
    await client.startTls(sandbox.caPem);
    expect(await client.ask('EHLO client.example')).toMatch(/^250-/);
    client.close();
  });

  test('forgets the EHLO before it', async () => {
    const client = await SmtpClient.connect(sandbox.smtp.port);
    await client.reply();
    await client.ask('EHLO client.example');
    await client.ask('STARTTLS');
    await client.startTls(sandbox.caPem);
    expect(await client.ask(`MAIL FROM:<${from}>`)).toMatch(/^503 5\.5\.2 Send hello first/);
  });

  test('that is followed by something else than TLS ends the connection and nothing more', async () => {
    const client = await SmtpClient.connect(sandbox.smtp.port);
    await client.reply();
    await client.ask('EHLO client.example');
    await client.ask('STARTTLS');
    client.send('this is not a ClientHello, by far\r\n');
    expect(await client.reply()).toMatch(/^closed/);
    (await SmtpClient.loggedIn(sandbox)).close();
  });
});

describe('the server', () => {
  test('outlives clients that leave at any point, and counts them out', async () => {
    for (const last of ['EHLO x', 'AUTH LOGIN', `MAIL FROM:<${from}>`, 'DATA', 'STARTTLS']) {
      const client = await SmtpClient.secure(sandbox);
      client.send(`${last}\r\n`);
      client.close();
    }
    await until(() => sandbox.stats().connections.now === 0);
  });

  test('outlives random commands and octets', async () => {
    const pieces = [
      'EHLO x\r\n',
      'STARTTLS\r\n',
      'AUTH LOGIN\r\n',
      'DATA\r\n',
      '\r\n',
      '.\r\n',
      '\n',
      '\u0000ÿ',
      'A'.repeat(20_000),
    ];
    for (let n = 0; n < 200; n++) {
      const client = await SmtpClient.connect(sandbox.smtp.port);
      for (let k = 0; k < 8; k++) client.send(pieces[(n * 31 + k * k * 7) % pieces.length] ?? '');
      setTimeout(() => client.close(), n % 20);
    }
    await until(() => sandbox.stats().connections.now === 0);
    (await SmtpClient.loggedIn(sandbox)).close();
  });

  test('stops at once, whatever its clients are waiting for', async () => {
    const another = await startSandbox({ behaviour: { data: { afterwards: 'hang' }, message: { delayMs: 60_000 } } });
    const idle = await SmtpClient.secure(another);
    const hanging = await SmtpClient.loggedIn(another);
    const sender = another.mailboxes[0]?.address ?? '';
    hanging.send(`MAIL FROM:<${sender}>\r\nRCPT TO:<a@example.com>\r\nDATA\r\n`);
    await hanging.reply();
    await another[Symbol.asyncDispose]();
    expect(await idle.reply()).toBe('closed');
  });

  test('that cannot have its port says so, and leaves no other port taken', async () => {
    const [smtpPort, httpPort] = [sandbox.smtp.port, Number(new URL(sandbox.http.url).port)];
    await expect(startSandbox({ smtpPort })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await expect(startSandbox({ httpPort })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test('turns away more connections than it can hold with a 421', async () => {
    const clients = await Promise.all(Array.from({ length: 500 }, () => SmtpClient.connect(sandbox.smtp.port)));
    await Promise.all(clients.map((client) => client.reply()));
    const late = await SmtpClient.connect(sandbox.smtp.port);
    expect(await late.reply()).toMatch(/^421 4\.3\.2 /);
    for (const client of clients) client.close();
    await until(() => sandbox.stats().connections.now === 0);
    (await SmtpClient.loggedIn(sandbox)).close();
  });
});
