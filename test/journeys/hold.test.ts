import { describe, expect, it } from 'vitest';
import type { MessageView } from '../../src/gateway/view.ts';
import { makeCertificate } from '../../src/sandbox/certificate.ts';
import { eventually, KEY, mailboxOf, startPostroom } from '../support/postroom.ts';

const UNPACED = { limits: { messagesPerMinute: 10_000 }, sandbox: { limits: { messagesPerWindow: 10_000 } } };

describe('a fault of the mailbox costs no message anything', () => {
  it('a refused login holds the mailbox after one attempt, and all its waiting messages say why', async () => {
    await using postroom = await startPostroom(UNPACED);
    postroom.sandbox.behave({ auth: { reply: 'auth-535-5.7.139-smtpauth-tenant' } });
    const ids = await Promise.all(Array.from({ length: 20 }, () => postroom.sendTo('ada@fabrikam.com')));
    for (const id of ids) {
      const message = await postroom.until(id, 'held');
      expect(message.failure).toMatchObject({
        code: 'auth_smtp_disabled',
        category: 'authentication',
        plan: 'afterFix',
      });
      expect(message.failure?.smtp?.response).toContain('SmtpClientAuthentication is disabled for the Tenant');
      expect(message.attempts).toHaveLength(0);
      expect(message.nextAttemptAt).toBeDefined();
    }
    // What is submitted now is told so at once.
    const late = await postroom.send({ to: 'ada@fabrikam.com' });
    const told = (await late.json()) as MessageView;
    const found = await postroom.read(told.id);
    expect(told).toMatchObject({ status: 'held', failure: { code: 'auth_smtp_disabled' }, attempts: [] });
    expect(told).toEqual(found);
    expect(Number(late.headers.get('retry-after'))).toBeGreaterThan(1);
    // Three connections may try at the same time, and each replaces its token once: never twenty logins.
    expect(postroom.sandbox.stats().authAttempts).toBeLessThanOrEqual(6);
  });

  it('and it goes on by itself, with nothing lost, once the login is corrected', async () => {
    await using postroom = await startPostroom({
      ...UNPACED,
      mailbox: (sandbox) => ({ auth: { ...mailboxOf(sandbox).auth, clientSecret: 'wrong' } as never }),
    });
    const ids = await Promise.all(Array.from({ length: 5 }, () => postroom.sendTo('ada@fabrikam.com')));
    for (const id of ids) expect((await postroom.until(id, 'held')).failure?.code).toBe('token_credentials_invalid');
    await postroom.restart({ mailboxes: [mailboxOf(postroom.sandbox, UNPACED.limits)] });
    for (const id of ids) await postroom.until(id, 'sent');
    expect(postroom.sandbox.inbox.messages()).toHaveLength(5);
    expect(postroom.logged()).not.toContain(postroom.sandbox.clientSecret);
  });

  it('a failure after DATA that concerns the mailbox gives the message back without spending an attempt', async () => {
    await using postroom = await startPostroom({ ...UNPACED, limits: { ...UNPACED.limits, connections: 1 } });
    postroom.sandbox.behave({ message: { reply: 'data-554-5.2.0-quota' } });
    const id = await postroom.sendTo('ada@fabrikam.com');
    const message = await postroom.until(id, 'held');
    expect(message.failure).toMatchObject({ code: 'daily_quota_exceeded', plan: 'nextWindow' });
    expect(message.attempts).toMatchObject([{ outcome: 'held', reply: { code: 554 } }]);
  });

  it('a way that cuts every connection behind the dot leaves a few messages unconfirmed, and not the whole queue', async () => {
    await using postroom = await startPostroom(UNPACED);
    postroom.sandbox.behave({ message: { afterwards: 'drop' } });
    const ids: string[] = [];
    for (let index = 0; index < 20; index += 1) ids.push(await postroom.sendTo('ada@fabrikam.com'));
    // It is behind all that are sent before the mailbox is held, or try it out soon after.
    const last = ids.at(-1) as string;
    const waiting = await postroom.until(last, 'held');
    expect(waiting.failure).toMatchObject({ code: 'outcome_unknown', category: 'outcomeUnknown', scope: 'mailbox' });
    expect(waiting.attempts).toHaveLength(0);
    postroom.sandbox.behave({ message: null });
    // The next that tries it out is answered, and so the mailbox goes on.
    await postroom.until(last, 'sent', 60_000);
    const over: MessageView[] = [];
    for (const id of ids) over.push(await postroom.until(id, ['sent', 'unconfirmed']));
    const unconfirmed = over.filter(({ status }) => status === 'unconfirmed').length;
    // Five in a row, two that were on their way with the fifth, and perhaps the next two that tried it out.
    expect(unconfirmed).toBeGreaterThanOrEqual(5);
    expect(unconfirmed).toBeLessThanOrEqual(9);
  }, 90_000);

  it('a throttled mailbox waits one window and then sends, each message once', async () => {
    const limits = { messagesPerMinute: 30, windowSeconds: 1, connections: 3 };
    await using postroom = await startPostroom({ limits, sandbox: { limits: { messagesPerWindow: 10_000 } } });
    const ids = [await postroom.sendTo('throttled-1@fabrikam.com'), await postroom.sendTo('ada@fabrikam.com')];
    for (const id of ids) await postroom.until(id, 'sent');
    expect(postroom.sandbox.inbox.messages()).toHaveLength(2);
  });

  it('a server that is away is tried again until it is back', async () => {
    await using postroom = await startPostroom(UNPACED);
    postroom.sandbox.behave({ greeting: { reply: '421 4.3.2 Service not available' } });
    const id = await postroom.sendTo('ada@fabrikam.com');
    const held = await postroom.until(id, 'held');
    expect(held.failure?.category).toBe('serviceUnavailable');
    postroom.sandbox.behave({ greeting: null });
    await postroom.until(id, 'sent', 25_000);
  });

  it('a token endpoint that is down is no verdict on anything', async () => {
    await using postroom = await startPostroom(UNPACED);
    postroom.sandbox.behave({ token: { status: 503 } });
    const id = await postroom.sendTo('ada@fabrikam.com');
    const held = await postroom.until(id, 'held');
    expect(held.failure).toMatchObject({ code: 'token_unavailable', plan: 'backoff' });
    postroom.sandbox.behave({ token: null });
    await postroom.until(id, 'sent', 25_000);
  });
});

describe('a login', () => {
  it('by password (AUTH LOGIN) works as one by OAuth does', async () => {
    await using postroom = await startPostroom({
      ...UNPACED,
      mailbox: (sandbox) => ({ auth: { type: 'password', password: sandbox.mailboxes[0]?.password ?? '' } }),
    });
    await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'sent');
    expect(postroom.logged()).not.toContain(postroom.sandbox.mailboxes[0]?.password);
  });

  it('with a token that was revoked gets a fresh one, once, and the message goes', async () => {
    await using postroom = await startPostroom(UNPACED);
    await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'sent');
    postroom.sandbox.behave({ revokeTokens: true, dropConnections: true });
    const before = postroom.sandbox.stats().tokensIssued;
    await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'sent');
    expect(postroom.sandbox.stats().tokensIssued).toBe(before + 1);
  });

  it.each(['not trusted', 'expired', 'another name'])(
    'is never tried over a connection whose certificate is %s',
    async (fault) => {
      const yesterday = new Date(Date.now() - 86_400_000);
      const faults: Record<string, Parameters<typeof makeCertificate>[0]> = {
        expired: { notBefore: new Date(0), notAfter: yesterday },
        'another name': { names: ['elsewhere.example'] },
      };
      const certificate = await makeCertificate(faults[fault]);
      await using postroom = await startPostroom({
        ...UNPACED,
        sandbox: { certificate },
        mailbox: (sandbox) =>
          fault === 'not trusted' ? { smtp: { ...sandbox.smtp, heloName: 'gateway.contoso.com' } } : {},
      });
      const held = await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'held');
      expect(held.failure).toMatchObject({ category: 'tls', code: 'tls_failed' });
      expect(postroom.sandbox.stats().authAttempts).toBe(0);
    },
  );

  it('is never tried without STARTTLS', async () => {
    await using postroom = await startPostroom({
      ...UNPACED,
      sandbox: { behaviour: { advertise: { startTls: false }, startTls: { reply: '454 4.7.0 TLS not available' } } },
    });
    const held = await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'held');
    expect(held.failure?.category).toBe('tls');
    expect(postroom.sandbox.stats()).toMatchObject({ authAttempts: 0, cleartextAuthAttempts: 0 });
  });
});

describe('the pace', () => {
  it('never exceeds messages per window or connections, and causes no throttling', async () => {
    const limits = { messagesPerMinute: 5, windowSeconds: 0.6, connections: 3 };
    await using postroom = await startPostroom({
      limits,
      sandbox: { limits: { messagesPerWindow: 5, windowSeconds: 0.6, connections: 3 } },
    });
    const ids = await Promise.all(Array.from({ length: 23 }, () => postroom.sendTo('ada@fabrikam.com')));
    for (const id of ids) await postroom.until(id, 'sent');
    await eventually(() => postroom.sandbox.inbox.messages().length === 23);
    const [stats] = Object.values(postroom.sandbox.stats().mailboxes);
    expect(stats?.throttleReplies).toBe(0);
    expect(stats?.submissionsPeakInWindow).toBeLessThanOrEqual(5);
    expect(stats?.connectionsPeak).toBeLessThanOrEqual(3);
  });
});

it('a message to more recipients than a mailbox has in a day is refused, since it could never go and would hold all others', async () => {
  await using postroom = await startPostroom({ limits: { recipientsPerDay: 2 } });
  const refused = await postroom.send({ to: ['ada@fabrikam.com', 'ben@fabrikam.com', 'eve@fabrikam.com'] });
  expect(refused.status).toBe(422);
  expect(await refused.json()).toMatchObject({
    code: 'too_many_recipients',
    errors: [{ pointer: '/to', message: expect.stringContaining('mailbox main takes 2 a message') }],
  });
  await postroom.until(await postroom.sendTo(['ada@fabrikam.com', 'ben@fabrikam.com']), 'sent');
});

it('a message to more recipients than its mailbox has in a day since its limit was lowered fails and says so, and others go on', async () => {
  await using postroom = await startPostroom({ limits: { recipientsPerDay: 3 } });
  const { sandbox } = postroom;
  const operate = (what: string) =>
    fetch(`${postroom.url}${what}`, { method: 'POST', headers: { authorization: `Bearer ${KEY}` } });
  const withLimit = (recipientsPerDay: number) =>
    postroom.restart({ mailboxes: [mailboxOf(sandbox, { recipientsPerDay })] });
  await operate('/v1/mailboxes/main/hold');
  const three = await postroom.sendTo(['ada@fabrikam.com', 'ben@fabrikam.com', 'eve@fabrikam.com']);
  const others = [await postroom.sendTo('ada@fabrikam.com'), await postroom.sendTo('ben@fabrikam.com')];
  await withLimit(2);
  await operate('/v1/mailboxes/main/release');
  for (const id of others) await postroom.until(id, 'sent');
  const { failure, recipients } = await postroom.until(three, 'failed');
  expect(failure).toMatchObject({ category: 'messageRefused', code: 'too_many_recipients', plan: 'afterFix' });
  expect(failure?.summary).toContain('recipientsPerDay of mailbox main');
  expect(recipients.map(({ status }) => status)).toEqual(['failed', 'failed', 'failed']);
  await withLimit(5);
  expect((await operate(`/v1/messages/${three}/retry`)).status).toBe(200);
  await postroom.until(three, 'sent');
});

it('a mailbox that has used its day up goes on at once when it is given more recipients a day', async () => {
  await using postroom = await startPostroom({ limits: { recipientsPerDay: 1 } });
  await postroom.until(await postroom.sendTo('ada@fabrikam.com'), 'sent');
  const waiting = await postroom.sendTo('ben@fabrikam.com');
  expect((await postroom.until(waiting, 'held')).failure?.code).toBe('daily_quota_exceeded');
  await postroom.restart({ mailboxes: [mailboxOf(postroom.sandbox, { recipientsPerDay: 2 })] });
  await postroom.until(waiting, 'sent');
});

it('a message to more recipients than are left of the day holds its mailbox, which says so, and the log says which it is', async () => {
  await using postroom = await startPostroom({ limits: { recipientsPerDay: 3 } });
  await postroom.until(await postroom.sendTo(['ada@fabrikam.com', 'ben@fabrikam.com']), 'sent');
  const large = await postroom.sendTo(['ada@fabrikam.com', 'ben@fabrikam.com']);
  await postroom.until(large, 'held');
  const small = await postroom.sendTo('eve@fabrikam.com');
  const { failure } = await postroom.until(small, 'held');
  expect(failure).toMatchObject({ code: 'daily_quota_exceeded', plan: 'nextWindow' });
  expect(failure?.summary).toContain(
    '1 left of its recipients of 24 hours, and the message whose turn it is goes to 2',
  );
  expect(postroom.logged()).toContain(
    `"messageId":"${large}","recipients":2,"left":1,"msg":"Message goes to more than the day has left`,
  );
  // What the remedy says lets the others go on.
  const operate = (what: string) =>
    fetch(`${postroom.url}${what}`, { method: 'POST', headers: { authorization: `Bearer ${KEY}` } });
  expect((await operate(`/v1/messages/${large}/cancel`)).status).toBe(200);
  await operate('/v1/mailboxes/main/release');
  await postroom.until(small, 'sent');
});
