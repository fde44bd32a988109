import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openInbox } from '../../src/sandbox/inbox.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { aMessage, SmtpClient } from './smtp-client.ts';

let folder: string;
let sandbox: Sandbox;
const mailbox = { address: 'sender@contoso.example', password: 'secret' };
const from = mailbox.address;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postroom-inbox-'));
  sandbox = await startSandbox({ mailboxes: [mailbox], dataDir: folder });
});
afterEach(async () => {
  await sandbox[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function deliver(message: string, to = ['a@example.com']): Promise<void> {
  const client = await SmtpClient.loggedIn(sandbox);
  expect(await client.submit(from, to, message)).toMatch(/^250 /);
  client.close();
}

const page = async (path: string) => {
  const answer = await fetch(sandbox.http.url + path);
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
};

const HOSTILE = [
  `From: "<b>Boss</b>" <${from}>`,
  'To: a@example.com',
  'Subject: <img src=x onerror=alert(1)> & "quotes"',
  'Message-ID: <"><script>alert(2)</script>@x>',
  'MIME-Version: 1.0',
  'Content-Type: multipart/alternative; boundary=b',
  '',
  '--b',
  'Content-Type: text/plain; charset=utf-8',
  '',
  '</pre><script>alert(3)</script>',
  '--b',
  'Content-Type: text/html; charset=utf-8',
  '',
  '<p title="x">Hello</p><script>alert(4)</script>"></iframe><script>alert(5)</script>',
  '--b--',
].join('\r\n');

describe('the inbox', () => {
  test('survives a restart with the same folder, raw octets and envelope alike, and goes on counting', async () => {
    const message = aMessage(from, '<kept@x>');
    await deliver(message, ['a@example.com', 'hidden@example.com']);
    await sandbox[Symbol.asyncDispose]();
    sandbox = await startSandbox({ mailboxes: [mailbox], dataDir: folder });
    expect(sandbox.inbox.messages()).toEqual([
      expect.objectContaining({
        number: 1,
        mailbox: from,
        messageId: '<kept@x>',
        subject: 'A test',
        from,
        to: ['someone@example.com'],
        envelope: { reversePath: from, recipients: ['a@example.com', 'hidden@example.com'], smtpUtf8: false },
        raw: Buffer.from(`${message}\r\n`),
      }),
    ]);
    await deliver(aMessage(from));
    expect(sandbox.inbox.messages().map(({ number }) => number)).toEqual([1, 2]);
  });

  test('with a damaged message in its folder opens without that one', async () => {
    await deliver(aMessage(from));
    await writeFile(join(folder, 'inbox', '00000002.json'), '');
    expect((await openInbox(join(folder, 'inbox'))).messages()).toHaveLength(1);
  });

  test('has every message that was answered 250, also after kill -9 of its process', async () => {
    const program = `
      import { startSandbox } from '${new URL('../../src/sandbox/sandbox.ts', import.meta.url).href}';
      const { smtp, http, authority, caPem, mailboxes, tenantId, clientId, clientSecret } =
        await startSandbox({ mailboxes: [${JSON.stringify(mailbox)}], dataDir: '${folder}', limits: { messagesPerWindow: 1000 } });
      process.send({ smtp, http, authority, caPem, mailboxes, tenantId, clientId, clientSecret });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    const accepted: string[] = [];
    try {
      const started = await new Promise<Sandbox>((resolve) =>
        child.once('message', (data) => resolve(data as Sandbox)),
      );
      const client = await SmtpClient.loggedIn(started);
      for (let n = 0; n < 20; n++) {
        expect(await client.submit(from, ['a@example.com'], aMessage(from, `<${n}@killed>`))).toMatch(/^250 /);
        accepted.push(`<${n}@killed>`);
      }
    } finally {
      child.kill('SIGKILL');
      await exited;
    }
    expect((await openInbox(join(folder, 'inbox'))).messages().map(({ messageId }) => messageId)).toEqual(accepted);
  });

  test('holds the newest thousand', async () => {
    const inbox = await openInbox(join(folder, 'small'));
    const message = {
      receivedAt: new Date().toISOString(),
      mailbox: from,
      envelope: { reversePath: from, recipients: [], smtpUtf8: false },
      messageId: '',
      subject: '',
      from,
      to: [],
      raw: Buffer.from('x'),
    };
    for (let n = 0; n < 1_003; n++) await inbox.add(message);
    expect(inbox.messages().length).toBe(1_000);
    expect(inbox.messages()[0]?.number).toBe(4);
    expect(await readdir(join(folder, 'small'))).toHaveLength(2_000);
    await inbox.clear();
    expect(await readdir(join(folder, 'small'))).toHaveLength(0);
  });

  test('that cannot be written has the server say so, and accepts nothing', async () => {
    await rm(folder, { recursive: true });
    const client = await SmtpClient.loggedIn(sandbox);
    expect(await client.submit(from, ['a@example.com'], aMessage(from))).toMatch(/^452 4\.3\.1 /);
    expect(sandbox.inbox.messages()).toHaveLength(0);
  });

  test('can be read and emptied as JSON', async () => {
    await deliver(HOSTILE);
    const list = JSON.parse((await page('/api/messages')).text);
    expect(list.messages).toEqual([expect.objectContaining({ number: 1, from, envelope: expect.anything() })]);
    const whole = JSON.parse((await page('/api/messages/1')).text);
    expect(whole).toMatchObject({
      text: expect.stringContaining('alert(3)'),
      html: expect.stringContaining('alert(4)'),
    });
    expect((await page('/api/messages/1/raw')).text).toBe(`${HOSTILE}\r\n`);
    expect((await fetch(`${sandbox.http.url}/api/messages`, { method: 'DELETE' })).status).toBe(204);
    expect((await page('/api/messages/1')).status).toBe(404);
    expect(JSON.parse((await page('/api/scenarios')).text).scenarios.length).toBeGreaterThan(40);
  });
});

describe('the page', () => {
  test('says that it is not Microsoft, and refreshes itself without a script', async () => {
    const { text, headers } = await page('/');
    expect(text).toContain('This is the Postroom sandbox, not Microsoft 365. Nothing left this machine.');
    expect(text).toContain('No mail yet.');
    expect(text).toContain('http-equiv="refresh"');
    expect(headers.get('content-security-policy')).toMatch(/^default-src 'none';/);
    expect(headers.get('content-security-policy')).not.toContain('script');
  });

  test('shows a hostile message with everything escaped and its HTML in a sandboxed frame', async () => {
    await deliver(HOSTILE);
    const list = (await page('/')).text;
    const message = (await page('/messages/1')).text;
    for (const text of [list, message]) {
      expect(text).not.toMatch(/<script|<img|<b>/i);
      expect(text).toContain('&lt;img src=x onerror=alert(1)&gt; &amp; &quot;quotes&quot;');
    }
    const frame = /<iframe sandbox title="HTML body" srcdoc="([^"]*)"><\/iframe>/.exec(message)?.[1];
    expect(frame).toContain('&lt;p title=&quot;x&quot;&gt;Hello&lt;/p&gt;&lt;script&gt;alert(4)');
    expect(message.match(/<iframe|<\/iframe>/g)).toHaveLength(2);
  });

  test('has a table of what addresses can ask for', async () => {
    const { text } = await page('/scenarios');
    expect(text).toContain('throttled[-n]@…');
    expect(text).toContain('550 5.1.10 RESOLVER.ADR.RecipientNotFound');
  });

  test.each(['/messages/2', '/messages/x', '/messages/%ff', '/messages/-1', '/nothing', '/api/messages/99'])(
    'has nothing at %s',
    async (path) => {
      expect((await page(path)).status).toBeGreaterThanOrEqual(400);
      expect((await page(path)).status).toBeLessThan(500);
    },
  );

  test('answers to its own names only', async () => {
    const status = await new Promise((resolve) => {
      request(sandbox.http.url, { headers: { host: 'evil.example' } }, ({ statusCode }) => resolve(statusCode)).end();
    });
    expect(status).toBe(421);
  });
});
