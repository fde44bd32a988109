import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Examination, Step } from '../../src/gateway/examination.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { examinationTeller } from '../../src/tell-examination.ts';
import { runCommand } from '../support/command.ts';

// Its domain is reserved, so that nothing is looked up in public DNS.
const MAILBOX = { address: 'billing@contoso.example', password: 'planted-password' };
let sandbox: Sandbox;
let caFile: string;
beforeAll(async () => {
  sandbox = await startSandbox({ mailboxes: [MAILBOX], clientSecret: 'planted-client-secret' });
  caFile = join(mkdtempSync(join(tmpdir(), 'postroom-doctor-')), 'ca.pem');
  writeFileSync(caFile, sandbox.caPem);
});
afterAll(() => sandbox[Symbol.asyncDispose]());
afterEach(() => sandbox.behave({ auth: null }));

const environment = () => ({
  M365_MAILBOX: MAILBOX.address,
  M365_TENANT_ID: sandbox.tenantId,
  M365_CLIENT_ID: sandbox.clientId,
  M365_CLIENT_SECRET: sandbox.clientSecret,
  M365_AUTHORITY: sandbox.authority,
  M365_SMTP_HOST: sandbox.smtp.host,
  M365_SMTP_PORT: String(sandbox.smtp.port),
  M365_SMTP_CA_FILE: caFile,
  M365_HELO_NAME: 'gateway.contoso.com',
});
const ESCAPE = '\u001b';

describe('postroom doctor', () => {
  test('ends with 0 where nothing failed, and tells each step without colour into a pipe', async () => {
    const { code, stdout, stderr } = await runCommand(['doctor'], environment());
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/Examining main \(billing@contoso\.example\)/);
    expect(stdout).toMatch(/^ {2}ok +Login +235 /m);
    expect(stdout).toContain('main: Nothing is broken.');
    expect(stdout).not.toContain(ESCAPE);
    expect(stdout).not.toContain('\r');
    expect(stdout).not.toContain('planted');
  });

  test('ends with 1 where something failed, and says what to fix first', async () => {
    sandbox.behave({ auth: { reply: 'auth-535-5.7.139-smtpauth-tenant' } });
    const { code, stdout } = await runCommand(['doctor'], environment());
    expect(code).toBe(1);
    expect(stdout).toMatch(/^ {2}FAIL +Login/m);
    expect(stdout).toMatch(
      /Fix first: Login\. An Exchange administrator runs: Set-CASMailbox -Identity\s+billing@contoso\.example/,
    );
  });

  test('with --json it tells one line of JSON and nothing else', async () => {
    const { code, stdout } = await runCommand(['doctor', '--json', MAILBOX.address], environment());
    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    const { mailbox, healthy, steps } = JSON.parse(stdout) as Examination;
    expect({ mailbox, healthy }).toEqual({ mailbox: 'main', healthy: true });
    expect(steps.find(({ id }) => id === 'auth')).toMatchObject({ status: 'ok', milliseconds: expect.any(Number) });
  });

  test('with --send it sends a real message', async () => {
    await sandbox.inbox.clear();
    expect((await runCommand(['doctor', 'main', '--send'], environment())).code).toBe(0);
    expect(sandbox.inbox.messages()).toHaveLength(1);
  });

  test.each([
    ['no mailbox is configured', [], {}, /No mailbox is configured.*M365_MAILBOX/s],
    ['the configuration has faults', [], { M365_MAILBOX: 'nobody' }, /M365_MAILBOX is not an address/],
    ['the word is unknown', ['--sned'], {}, /sned.*Usage: postroom doctor/s],
  ] as const)('ends with 2 where %s', async (_name, words, given, complaint) => {
    const { code, stdout, stderr } = await runCommand(['doctor', ...words], given);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(complaint);
  });

  test('ends with 2 and names the mailboxes there are, where there is no such one', async () => {
    const { code, stderr } = await runCommand(['doctor', 'ceo'], environment());
    expect(code).toBe(2);
    expect(stderr).toContain('main (billing@contoso.example)');
  });

  test('examines every mailbox of a file, each on a line of its own JSON', async () => {
    const { smtp, tenantId, clientId, clientSecret, authority } = sandbox;
    const auth = {
      type: 'clientCredentials',
      tenantId,
      clientId,
      clientSecret,
      authority,
      secretExpires: '2020-02-29',
    };
    const one = { address: MAILBOX.address, auth, smtp: { host: smtp.host, port: smtp.port, caFile } };
    const mailboxes = [
      { id: 'first', ...one },
      { id: 'second', ...one, smtp: { ...one.smtp, host: 'localhost' } },
    ];
    const path = join(mkdtempSync(join(tmpdir(), 'postroom-doctor-')), 'mailboxes.json');
    writeFileSync(path, JSON.stringify({ mailboxes }));
    const { code, stdout } = await runCommand(['doctor', '--json'], { M365_MAILBOXES_FILE: path });
    expect(code).toBe(1);
    const found = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Examination);
    expect(found.map(({ mailbox }) => mailbox)).toEqual(['first', 'second']);
    for (const { steps } of found)
      expect(steps.filter(({ status }) => status === 'fail' || status === 'warn').map(({ id }) => id)).toEqual([
        'limits',
        'secretExpiry',
      ]);
  });

  test('finds a Redis that does not answer', async () => {
    const { code, stdout } = await runCommand(['doctor', '--json'], {
      ...environment(),
      REDIS_URL: 'redis://127.0.0.1:1',
    });
    expect(code).toBe(1);
    const failed = (JSON.parse(stdout) as Examination).steps.filter(({ status }) => status === 'fail');
    expect(failed.map(({ id }) => id)).toEqual(['redis']);
  });

  test('explains itself', async () => {
    expect(await runCommand(['doctor', '--help'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('--send'),
    });
  });
});

describe('on a terminal', () => {
  const step: Step = {
    id: 'auth',
    title: 'Login',
    status: 'fail',
    finding: '535 \u001b[2J\u202e no',
    remedy: 'Fix.',
    milliseconds: 5,
  };
  function told(hasColour: boolean, isInteractive: boolean): string {
    let text = '';
    const teller = examinationTeller({ write: (each) => (text += each), hasColour, isInteractive, columns: 80 });
    teller.begins('Login');
    teller.step(step);
    return text;
  }

  test('the line in progress is replaced by what was found', () => {
    expect(told(true, true)).toContain('...');
    expect(told(true, true)).toContain(`\r${ESCAPE}[K`);
    expect(told(false, false)).not.toContain('...');
  });

  test('there is colour only where it is wanted', () => {
    expect(told(true, false)).toContain(`${ESCAPE}[31m`);
    expect(told(false, false)).not.toContain(ESCAPE);
  });

  test('a server’s words can neither clear the screen nor reorder the line', () => {
    expect(told(false, false)).toContain('535 \\u{1b}[2J\\u{202e} no');
  });
});

describe('postroom explain', () => {
  const REPLY = '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.';

  test('tells what a pasted reply means, offline and without any configuration', async () => {
    const { code, stdout } = await runCommand(['explain', REPLY]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^category +authentication/m);
    expect(stdout).toMatch(/^code +auth_smtp_disabled$/m);
    expect(stdout).toMatch(/^scope +mailbox/m);
    expect(stdout).toMatch(/^plan +afterFix/m);
    expect(stdout).toMatch(/^remedy +An Exchange administrator runs: Set-CASMailbox/m);
    expect(stdout).toMatch(/^docs +https:/m);
    expect(stdout).not.toContain(ESCAPE);
  });

  test('reads standard input, and tells JSON', async () => {
    const { stdout } = await runCommand(
      ['explain', '-', '--json'],
      {},
      `Error: Invalid login: ${REPLY}\n    at SMTPConnection`,
    );
    expect(JSON.parse(stdout)).toMatchObject({ code: 'auth_smtp_disabled', category: 'authentication' });
  });

  test('takes a line that begins with a dash for the text it is', async () => {
    const { code, stdout } = await runCommand(['explain', `- ${REPLY}`, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ code: 'auth_smtp_disabled' });
  });

  test('takes the stage into account', async () => {
    const { stdout } = await runCommand(['explain', '--json', '--stage', 'after-dot', 'read ECONNRESET']);
    expect(JSON.parse(stdout)).toMatchObject({ code: 'outcome_unknown' });
  });

  test.each([[[]], [['  ']], [['--stage', 'nowhere', 'x']], [['--color', 'x']]])(
    '%j is nothing to explain',
    async (words) => {
      const { code, stderr } = await runCommand(['explain', ...words]);
      expect(code).toBe(2);
      expect(stderr).toContain('Usage: postroom explain');
    },
  );
});
