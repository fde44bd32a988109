import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MessageView } from '../../src/gateway/view.ts';
import { hostileSubmissions } from '../support/hostile.ts';
import { faultsOfReceived, isEvil, namesField } from '../support/judge-received.ts';
import { KEY, startPostroom, type TestPostroom } from '../support/postroom.ts';

const FROM = 'sender@postroom.example';
const CASES = hostileSubmissions(FROM, 'ada@fabrikam.com');

let postroom: TestPostroom;
beforeAll(async () => {
  const pace = { messagesPerMinute: 100_000, recipientsPerMessage: 1_000 };
  const limits = { messagesPerWindow: 100_000, recipientsPerMessage: 1_000 };
  postroom = await startPostroom({ limits: pace, sandbox: { limits } });
});
afterAll(() => postroom[Symbol.asyncDispose]());

async function post(body: unknown): Promise<Response> {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  return fetch(`${postroom.url}/v1/messages`, { method: 'POST', headers, body: JSON.stringify(body) });
}

describe('a hostile request', () => {
  const refused = CASES.filter((each) => 'refusedAt' in each);
  it.each(refused)('is refused with a 4xx that names the field: $title', async (each) => {
    const response = await post(each.body);
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    const { errors = [] } = (await response.json()) as { errors?: { pointer: string }[] };
    expect(
      namesField(
        errors.map(({ pointer }) => pointer),
        each as never,
      ),
      JSON.stringify(errors).slice(0, 500),
    ).toBe(true);
  });

  const accepted = CASES.filter((each) => 'accepted' in each);
  it.each(accepted)('is harmless at the receiving server: $title', async (each) => {
    const response = await post(each.body);
    const view = (await response.json()) as MessageView;
    expect(response.status, JSON.stringify(view)).toBe(202);
    const { internetMessageId } = await postroom.until(view.id, 'sent');
    const stored = postroom.sandbox.inbox.messages().find((mail) => mail.messageId === internetMessageId);
    const { reversePath, recipients } = stored?.envelope ?? { reversePath: '', recipients: [] };
    const faults = await faultsOfReceived((each as never as { accepted: never }).accepted, each.body, {
      reversePath,
      recipients: [...recipients],
      raw: stored?.raw ?? Buffer.alloc(0),
    });
    expect(faults).toEqual([]);
  });

  it('never reached anybody it should not have', () => {
    const mails = postroom.sandbox.inbox.messages().map(({ envelope, raw }) => ({ ...envelope, raw }));
    expect(mails.length).toBeGreaterThan(0);
    expect(mails.filter((mail) => isEvil(mail as never))).toEqual([]);
  });
});
