import { describe, expect, it } from 'vitest';
import { markTests } from '../src/lane-log.ts';
import { isTestLane, laneOf, mailboxOf, testLaneOf } from '../src/mail/test-lane.ts';
import { type MailboxConfig, USUAL_LIMITS } from '../src/mailbox-config.ts';
import { testLanes } from '../src/test-lanes.ts';
import { type TestServer, testSandbox } from '../src/test-sandbox.ts';

const billing: MailboxConfig = {
  id: 'billing',
  address: 'billing@contoso.com',
  from: ['*@billing.contoso.com'],
  auth: { type: 'password', password: 'the real password' },
  smtp: { host: 'smtp.office365.com', port: 587, heloName: 'contoso.com' },
  limits: { ...USUAL_LIMITS, messagesPerMinute: 7 },
};
const quiet = { info: () => undefined, error: () => undefined };

/** The sandbox as a test lane meets it; notes which mailboxes move in. */
function aServer(smtp = { host: '127.0.0.1', port: 1 }) {
  const moved: Parameters<TestServer['addMailbox']>[0][] = [];
  return { moved, server: { smtp, caPem: '', addMailbox: (each) => void moved.push(each) } satisfies TestServer };
}

describe('the lane for tests of a mailbox', () => {
  it('has a name that no configured mailbox can have, and knows whose it is', () => {
    expect(testLaneOf('billing')).not.toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
    expect([isTestLane(testLaneOf('billing')), mailboxOf(testLaneOf('billing'))]).toEqual([true, 'billing']);
    expect([isTestLane('billing-test'), mailboxOf('billing-test')]).toEqual([false, 'billing-test']);
  });

  it.each([
    [{ mailbox: 'billing' }, 'billing'],
    [{ mailbox: 'billing', test: true }, 'billing~test'],
    [{ mailbox: 'billing~test', test: true }, 'billing~test'],
    [{ mailbox: 'billing~test' }, 'billing~test'],
  ] as const)('is the only one that may send %o, if that is marked in any way', (record, lane) => {
    expect(laneOf(record)).toBe(lane);
  });

  it('has the same limits, holds of its own, and nothing that leads to the real server', async () => {
    const { moved, server } = aServer();
    const [lane] = testLanes([billing], testSandbox(server, false, quiet));
    expect(lane).toMatchObject({ mailbox: 'billing~test', connections: 3, pace: { perWindow: 7 } });
    expect(lane?.holdKeys).toEqual({ mailbox: 'test:mailbox:billing', network: 'test:host:billing' });
    expect(await lane?.dialer.open()).toMatchObject({ ok: false });
    expect(moved).toMatchObject([{ sendAs: ['billing@contoso.com', '*@billing.contoso.com'] }]);
    expect(moved[0]?.limits).toMatchObject({ messagesPerWindow: 7 });
    expect(JSON.stringify([lane, moved])).not.toMatch(/office365|the real password/);
  });

  it('dials no other machine, whatever it is told of its sandbox', async () => {
    const { server } = aServer({ host: 'smtp.office365.com', port: 587 });
    const [lane] = testLanes([billing], testSandbox(server, false, quiet));
    expect(await lane?.dialer.open()).toMatchObject({
      ok: false,
      trouble: { via: 'client', message: expect.stringContaining('smtp.office365.com is not this machine') },
    });
  });

  it('is told apart in the log by more than its name, and never as a warning', () => {
    const lines: unknown[] = [];
    const line = (level: string) => (fields: object, sentence: string) => void lines.push([level, fields, sentence]);
    const log = markTests({ info: line('info'), warn: line('warn'), error: line('error') });
    log.warn({ mailbox: 'billing~test', hold: 'x' }, 'Mailbox held');
    log.warn({ mailbox: 'billing' }, 'Mailbox held');
    expect(lines).toEqual([
      ['info', { mailbox: 'billing', hold: 'x', test: true }, 'Mailbox held'],
      ['warn', { mailbox: 'billing' }, 'Mailbox held'],
    ]);
  });
});

describe('the sandbox for test mail', () => {
  it('in production keeps no mail and listens for SMTP alone', async () => {
    const lines: object[] = [];
    const sandbox = testSandbox(undefined, true, { ...quiet, info: (fields) => void lines.push(fields) });
    const [first, second] = await Promise.all([sandbox.open(), sandbox.open()]);
    expect(first).toBe(second);
    expect(first.smtp.host).toBe('127.0.0.1');
    expect(first).toMatchObject({ http: { url: '' } });
    expect(lines).toEqual([{ smtp: first.smtp }]);
    await sandbox.close();
    await expect(sandbox.open()).rejects.toThrow('closing');
  });

  it('is never started just to be closed', async () => {
    const lines: object[] = [];
    await testSandbox(undefined, true, { ...quiet, info: (fields) => void lines.push(fields) }).close();
    expect(lines).toEqual([]);
  });
});
