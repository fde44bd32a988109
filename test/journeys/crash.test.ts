import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { eventually, KEY } from '../support/postroom.ts';
import { freePort, type PostroomProcess, startProcess } from '../support/process.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';

const AUTHORIZED = { authorization: `Bearer ${KEY}` };
const UNLIMITED = { limits: { messagesPerWindow: 100_000 } };

function trustOf(sandbox: Sandbox): { M365_SMTP_CA_FILE: string } {
  const path = join(mkdtempSync(join(tmpdir(), 'postroom-ca-')), 'ca.pem');
  writeFileSync(path, sandbox.caPem);
  return { M365_SMTP_CA_FILE: path };
}

const copiesOf = (sandbox: Sandbox, messageId: string) =>
  sandbox.inbox.messages().filter((each) => each.messageId === messageId).length;

/** The second of two processes, whose first one died while the server was silent after the dot of the message `id`. */
async function killedAfterTheDot({ url }: TestRedis, sandbox: Sandbox, to: string | string[]) {
  const options = { redisUrl: url, sandbox, port: await freePort(), environment: trustOf(sandbox) };
  const first = await startProcess(options);
  const id = await first.sendTo(to);
  await eventually(() => sandbox.inbox.messages().length === 1);
  await first.end('SIGKILL');
  return { id, second: await startProcess(options) };
}

describe('a process that is killed', () => {
  it('loses nothing and sends nothing twice, however often and whenever it dies', { timeout: 120_000 }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox(UNLIMITED);
    const options = { redisUrl: redis.url, sandbox, port: await freePort(), environment: trustOf(sandbox) };
    const ids: string[] = [];
    let postroom: PostroomProcess | undefined;
    for (let round = 0; round < 3; round += 1) {
      postroom = await startProcess(options);
      const sending = submitStream(postroom, ids, 60);
      await eventually(() => sandbox.inbox.messages().length > round * 40 + 15);
      await postroom.end('SIGKILL');
      await sending;
    }
    postroom = await startProcess(options);
    const messages = [];
    for (const id of ids) messages.push(await postroom.until(id, ['sent', 'unconfirmed'], 45_000));
    expect(ids.length).toBeGreaterThan(60);
    for (const { status, internetMessageId } of messages)
      expect(copiesOf(sandbox, internetMessageId)).toBeGreaterThanOrEqual(status === 'sent' ? 1 : 0);
    for (const { internetMessageId } of messages) expect(copiesOf(sandbox, internetMessageId)).toBeLessThanOrEqual(1);
    await postroom.end('SIGTERM');
  });

  it('while the server is silent after the dot: the message is unconfirmed, not sent again', {
    timeout: 90_000,
  }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox(UNLIMITED);
    const { id, second } = await killedAfterTheDot(redis, sandbox, 'hang-kept@fabrikam.com');
    const message = await second.until(id, 'unconfirmed', 30_000);
    expect(message.failure?.code).toBe('outcome_unknown');
    expect(copiesOf(sandbox, message.internetMessageId)).toBe(1);
    await second.end('SIGTERM');
  });

  it('while the server is silent after the dot: of those whom it had refused it is known', {
    timeout: 90_000,
  }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox(UNLIMITED);
    const { id, second } = await killedAfterTheDot(redis, sandbox, [
      'hang-kept@fabrikam.com',
      'unknown@fabrikam.com',
      'greylisted@fabrikam.com',
    ]);
    const { recipients } = await second.until(id, 'unconfirmed', 30_000);
    expect(recipients.map(({ status }) => status)).toEqual(['unconfirmed', 'failed', 'queued']);
    expect(recipients.map(({ reply }) => reply?.code)).toEqual([undefined, 550, 451]);
    // The one that was refused for now still gets it once somebody has found the message sent.
    const resolve = { method: 'POST', headers: { ...AUTHORIZED, 'content-type': 'application/json' } };
    const answer = await fetch(`${second.url}/v1/messages/${id}/resolve`, { ...resolve, body: '{"outcome":"sent"}' });
    expect(answer.status).toBe(200);
    const end = await second.until(id, 'partiallySent', 30_000);
    expect(end.recipients.map(({ status }) => status)).toEqual(['sent', 'failed', 'sent']);
    expect(end.recipients.map(({ resolved }) => resolved === true)).toEqual([true, false, false]);
    expect(copiesOf(sandbox, end.internetMessageId)).toBe(2);
    await second.end('SIGTERM');
  });

  it('before the dot has left: the message is sent after the restart', { timeout: 90_000 }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({ ...UNLIMITED, behaviour: { data: { delayMs: 60_000 } } });
    const options = { redisUrl: redis.url, sandbox, port: await freePort(), environment: trustOf(sandbox) };
    const first = await startProcess(options);
    const id = await first.sendTo('ada@fabrikam.com');
    await first.until(id, 'sending');
    await eventually(() => sandbox.stats().mailCommands === 1);
    await first.end('SIGKILL');
    sandbox.behave({ data: null });
    const second = await startProcess(options);
    const message = await second.until(id, 'sent', 30_000);
    expect(message.attempts.map(({ outcome }) => outcome)).toEqual(['interrupted', 'sent']);
    await second.end('SIGTERM');
  });
});

describe('a message that a process dies of', () => {
  it('is put off from the second time on, with the reason, so that others go first', { timeout: 90_000 }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox({ ...UNLIMITED, behaviour: { data: { delayMs: 60_000 } } });
    const options = { redisUrl: redis.url, sandbox, port: await freePort(), environment: trustOf(sandbox) };
    let postroom = await startProcess(options);
    const id = await postroom.sendTo('ada@fabrikam.com');
    for (const death of [1, 2]) {
      await eventually(() => sandbox.stats().mailCommands === death);
      await postroom.end('SIGKILL');
      if (death === 2) sandbox.behave({ data: null });
      postroom = await startProcess(options);
    }
    expect((await postroom.until(id, ['deferred', 'sent'], 30_000)).attempts[1]?.outcome).toBe('interrupted');
    const events = await fetch(`${postroom.url}/v1/messages/${id}/events`, { headers: AUTHORIZED });
    expect(JSON.stringify(await events.json())).toContain('worker_died');
    const { attempts, failure } = await postroom.until(id, 'sent', 30_000);
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['interrupted', 'interrupted', 'sent']);
    expect(failure).toBeUndefined();
    await postroom.end('SIGTERM');
  });
});

describe('a process that is asked to stop', () => {
  it('exits with 0 within its grace, asked twice too, though the server never answers the dot: nobody knows', {
    timeout: 60_000,
  }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox(UNLIMITED);
    const environment = { ...trustOf(sandbox), POSTROOM_SHUTDOWN_SECONDS: '2' };
    const options = { redisUrl: redis.url, sandbox, port: await freePort(), environment };
    const first = await startProcess(options);
    const id = await first.sendTo('hang-kept@fabrikam.com');
    await eventually(() => sandbox.inbox.messages().length === 1);
    first.signal('SIGTERM');
    expect(await first.end('SIGTERM')).toBe(0);
    expect(first.output()).toMatch(/"attempts":1,"msg":"Attempts cut off/);
    expect(first.output().trimEnd()).toMatch(/"msg":"Stopped"}$/);
    const second = await startProcess(options);
    const message = await second.until(id, 'unconfirmed', 30_000);
    expect(copiesOf(sandbox, message.internetMessageId)).toBe(1);
    await second.end('SIGTERM');
  });

  it('finishes what runs, exits with 0, and leaves the rest for the next one', { timeout: 60_000 }, async () => {
    await using redis = await startTestRedis();
    await using sandbox = await startSandbox(UNLIMITED);
    const options = { redisUrl: redis.url, sandbox, port: await freePort(), environment: trustOf(sandbox) };
    const first = await startProcess(options);
    const slow = await first.sendTo('slow-1500@fabrikam.com');
    await first.until(slow, 'sending');
    expect(await first.end('SIGTERM')).toBe(0);
    expect(first.output()).not.toContain('Attempts cut off');
    const second = await startProcess(options);
    expect((await second.read(slow)).status).toBe('sent');
    await second.end('SIGTERM');
  });
});

/** Keeps five requests on their way until `count` were answered or the process is gone; notes the ids that were accepted. */
async function submitStream(postroom: PostroomProcess, ids: string[], count: number): Promise<void> {
  const lane = async () => {
    for (let i = 0; i < count / 5; i += 1) {
      const id = await postroom.sendTo('ada@fabrikam.com').catch(() => undefined);
      if (!id) return;
      ids.push(id);
    }
  };
  await Promise.all(Array.from({ length: 5 }, lane));
}
