import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Examination } from '../../src/gateway/examination.ts';
import { KEY, startPostroom, type TestPostroom } from '../support/postroom.ts';

let postroom: TestPostroom;
beforeAll(async () => {
  postroom = await startPostroom({ sandbox: { clientSecret: 'planted-client-secret' } });
});
afterAll(() => postroom[Symbol.asyncDispose]());
afterEach(() => postroom.sandbox.behave({ auth: null, greeting: null }));

const verify = (id: string, body?: object) =>
  fetch(`${postroom.url}/v1/mailboxes/${id}/verify`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
const found = async (response: Response) => (await response.json()) as Examination;
const failed = ({ steps }: Examination) => steps.filter(({ status }) => status === 'fail').map(({ id }) => id);

test('a healthy mailbox is examined over HTTP, Redis included', async () => {
  const { mailbox, healthy, steps } = await found(await verify('main'));
  expect({ mailbox, healthy }).toEqual({ mailbox: 'main', healthy: true });
  const passed = steps.filter(({ status }) => status === 'ok').map(({ id }) => id);
  expect(passed).toEqual(
    expect.arrayContaining(['redis', 'redisDurability', 'certificate', 'token', 'auth', 'mailFrom']),
  );
  expect(postroom.sandbox.inbox.messages()).toHaveLength(0);
});

test('with send a real message arrives', async () => {
  expect(await found(await verify('main', { send: true }))).toMatchObject({ healthy: true });
  expect(postroom.sandbox.inbox.messages()).toHaveLength(1);
});

test('what is wrong is told in the words that a message’s failure has, and no secret with it', async () => {
  postroom.sandbox.behave({
    auth: {
      reply:
        '535 5.7.139 Authentication unsuccessful, planted-client-secret SmtpClientAuthentication is disabled for the Tenant.',
    },
  });
  const text = await (await verify('main')).text();
  const examination = JSON.parse(text) as Examination;
  expect(failed(examination)).toEqual(['auth']);
  expect(examination.steps.find(({ id }) => id === 'auth')?.failure).toMatchObject({
    code: 'auth_smtp_disabled',
    plan: 'afterFix',
  });
  expect(text).not.toContain('planted');
  expect(postroom.logged()).not.toContain('planted');
});

test('one at a time for each mailbox', async () => {
  postroom.sandbox.behave({ greeting: { delayMs: 300 } });
  const both = await Promise.all([verify('main'), verify('main')]);
  expect(both.map(({ status }) => status).toSorted()).toEqual([200, 409]);
  postroom.sandbox.behave({ greeting: null });
  expect((await verify('main')).status).toBe(200);
});

test('an unknown mailbox is not there', async () => {
  expect((await verify('nobody')).status).toBe(404);
});

test('of a saturated mailbox: its messages and its connection are among those that the mailbox may have', {
  timeout: 60_000,
}, async () => {
  const limits = { connections: 2, windowSeconds: 1.5 };
  await using busy = await startPostroom({
    sandbox: { limits: { ...limits, messagesPerWindow: 10 } },
    limits: { ...limits, messagesPerMinute: 10 },
  });
  const ids = await Promise.all(Array.from({ length: 60 }, () => busy.sendTo('ada@fabrikam.com')));
  const examine = () =>
    fetch(`${busy.url}/v1/mailboxes/main/verify`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ send: true }),
    });
  for (let round = 0; round < 3; round += 1) expect(await found(await examine())).toMatchObject({ healthy: true });
  for (const id of ids) await busy.until(id, 'sent', 30_000);
  const [stats] = Object.values(busy.sandbox.stats().mailboxes);
  expect(stats?.throttleReplies).toBe(0);
  expect(stats?.submissionsPeakInWindow).toBeLessThanOrEqual(10);
  expect(stats?.connectionsPeak).toBeLessThanOrEqual(2);
});
