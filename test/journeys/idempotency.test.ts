import { hash } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MessageView } from '../../src/gateway/view.ts';
import { eventually, startPostroom, type TestPostroom } from '../support/postroom.ts';

let postroom: TestPostroom;
beforeAll(async () => {
  postroom = await startPostroom({
    limits: { messagesPerMinute: 10_000 },
    sandbox: { limits: { messagesPerWindow: 10_000 } },
  });
});
afterAll(() => postroom[Symbol.asyncDispose]());

const withKey = (key: string) => ({ 'idempotency-key': key });

describe('an Idempotency-Key', () => {
  it('makes one message of fifty equal requests at the same instant', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => postroom.send({ to: 'fifty@fabrikam.com' }, withKey('fifty'))),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(202));
    const ids = new Set(await Promise.all(answers.map(async (each) => ((await each.json()) as MessageView).id)));
    expect(ids.size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(49);
    const [id] = ids;
    const { internetMessageId } = await postroom.until(id ?? '', 'sent');
    const copies = postroom.sandbox.inbox.messages().filter((each) => each.messageId === internetMessageId);
    expect(copies).toHaveLength(1);
  });

  it('repeats the first answer word for word, whatever has become of the message', async () => {
    const first = await postroom.send({ to: 'again@fabrikam.com' }, withKey('again'));
    const body = (await first.json()) as MessageView;
    await postroom.until(body.id, 'sent');
    const second = await postroom.send({ to: 'again@fabrikam.com' }, withKey('again'));
    expect(second.status).toBe(202);
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect(second.headers.get('location')).toBe(first.headers.get('location'));
    expect(await second.json()).toEqual(body);
  });

  it('is remembered for a day, also where the clock of Redis is set two days ahead', async () => {
    await postroom.send({ to: 'ahead@fabrikam.com' }, withKey('ahead'));
    const redis = new Redis(postroom.redis.url);
    const [entry = ''] = await redis.keys(`*idempotency*${hash('sha256', 'ahead', 'hex')}`);
    const untilForgotten = await redis.pttl(entry);
    redis.disconnect();
    const minute = 60_000;
    expect(untilForgotten + minute).toBeGreaterThanOrEqual((2 + 1) * 24 * 60 * minute);
  });

  it('refuses another body with 422 and names the first message', async () => {
    const first = (await (await postroom.send({ to: 'one@fabrikam.com' }, withKey('other'))).json()) as MessageView;
    const second = await postroom.send({ to: 'two@fabrikam.com' }, withKey('other'));
    expect(second.status).toBe(422);
    const problem = (await second.json()) as { code: string; detail: string };
    expect(problem.code).toBe('idempotency_key_reused');
    expect(problem.detail).toContain(first.id);
  });

  it('whose message is not kept any more makes no second one, and says so', async () => {
    const first = (await (await postroom.send({ to: 'one@fabrikam.com' }, withKey('gone'))).json()) as MessageView;
    await postroom.until(first.id, 'sent');
    const redis = new Redis(postroom.redis.url);
    await redis.del(`{postroom}:message:${first.id}`);
    redis.disconnect();
    const second = await postroom.send({ to: 'one@fabrikam.com' }, withKey('gone'));
    expect(second.status).toBe(422);
    const { detail } = (await second.json()) as { detail: string };
    expect(detail).toContain('not kept any more');
    expect(detail).toContain(first.id);
  });

  it('keeps no refusal: a corrected request may use the same key', async () => {
    expect((await postroom.send({ to: 'not an address' }, withKey('corrected'))).status).toBe(422);
    expect((await postroom.send({ to: 'ada@fabrikam.com' }, withKey('corrected'))).status).toBe(202);
  });

  it('repeats the first answer though what was right then has become wrong: a time that has passed', async () => {
    const expiresAt = new Date(Date.now() + 1_500).toISOString();
    const body = { to: 'ada@fabrikam.com', expiresAt };
    const first = (await (await postroom.send(body, withKey('passing'))).json()) as MessageView;
    await eventually(async () => (await postroom.send(body)).status === 422);
    const second = await postroom.send(body, withKey('passing'));
    expect(second.status).toBe(202);
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect(((await second.json()) as MessageView).id).toBe(first.id);
  });

  it('refuses another body as such, also one that would be refused anyway', async () => {
    expect((await postroom.send({ to: 'ada@fabrikam.com' }, withKey('worse'))).status).toBe(202);
    for (const wrong of [{ to: 'not an address' }, { from: 'somebody@elsewhere.example' }]) {
      const answer = await postroom.send({ to: 'ada@fabrikam.com', ...wrong }, withKey('worse'));
      expect(answer.status).toBe(422);
      expect(await answer.json()).toMatchObject({ code: 'idempotency_key_reused' });
    }
  });

  it('repeats the first answer to a body of a mebibyte too', async () => {
    const body = { to: 'ada@fabrikam.com', text: 'Hello again. '.repeat(80_000) };
    const first = (await (await postroom.send(body, withKey('large'))).json()) as MessageView;
    const second = await postroom.send(body, withKey('large'));
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect(((await second.json()) as MessageView).id).toBe(first.id);
  });

  it('survives a restart of the service', async () => {
    const first = (await (await postroom.send({ to: 'ada@fabrikam.com' }, withKey('restart'))).json()) as MessageView;
    await postroom.restart();
    const second = (await (await postroom.send({ to: 'ada@fabrikam.com' }, withKey('restart'))).json()) as MessageView;
    expect(second.id).toBe(first.id);
  });
});
