import { describe, expect, it } from 'vitest';
import { makeCertificate } from '../../src/sandbox/certificate.ts';
import { milliseconds, webhookCaller } from '../../src/webhooks/call.ts';
import { webhookPolicy } from '../../src/webhooks/policy.ts';
import { newWebhookSecret } from '../../src/webhooks/signature.ts';
import { startReceiver, verified } from '../support/webhook-receiver.ts';

const HERE = webhookPolicy(['127.0.0.0/8', '::1'], true);
const secret = newWebhookSecret();
const aCall = (url: string, more: object = {}) => ({
  ...{ url, eventId: 'evt_1', secrets: [secret], body: '{"type":"message.sent","text":"Grüße"}', at: new Date() },
  ...more,
});
const toHere = async () => [{ address: '127.0.0.1', family: 4 }];

describe('a call', () => {
  it('is signed as Standard Webhooks has it, by every secret that is valid', async () => {
    await using receiver = await startReceiver();
    const other = newWebhookSecret();
    const call = webhookCaller({ policy: HERE, version: '1.2.3' });
    const result = await call(aCall(receiver.url, { secrets: [other, secret] }));
    expect(result).toEqual({ httpStatus: 204, durationMilliseconds: expect.any(Number) });
    const [received] = receiver.received;
    if (!received) throw new Error('Nothing came');
    expect(verified(received, secret)).toEqual({ type: 'message.sent', text: 'Grüße' });
    expect(verified(received, other)).toEqual(verified(received, secret));
    expect(() => verified(received, newWebhookSecret())).toThrow('No matching signature');
    expect(received.headers).toMatchObject({
      'webhook-id': 'evt_1',
      'content-type': 'application/json',
      'user-agent': 'Postroom/1.2.3',
    });
    expect(received.headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/);
  });

  it('checks the certificate against the name in the URL, not against the address', async () => {
    const certificate = await makeCertificate({ names: ['hooks.example'] });
    await using receiver = await startReceiver(undefined, certificate);
    const options = { policy: HERE, version: '1', resolve: toHere, ca: certificate.caPem };
    const right = await webhookCaller(options)(aCall(`https://hooks.example:${receiver.port}/`));
    expect(right.httpStatus).toBe(204);
    expect(receiver.received[0]?.headers.host).toBe(`hooks.example:${receiver.port}`);
    const wrong = await webhookCaller(options)(aCall(`https://other.example:${receiver.port}/`));
    expect(wrong).toMatchObject({ reason: 'Its certificate is for another name.' });
    const { ca: _, ...untrusting } = options;
    const untrusted = await webhookCaller(untrusting)(aCall(`https://hooks.example:${receiver.port}/`));
    expect(untrusted.reason).toContain('not trusted here');
    expect(receiver.received).toHaveLength(1);
  });

  it('goes to the addresses that were checked, whatever the name says a moment later', async () => {
    await using receiver = await startReceiver();
    let asked = 0;
    // Public when it is first asked, this machine ever after: the trick is called DNS rebinding.
    const rebinding = async () => {
      asked += 1;
      return asked === 1 ? [{ address: '203.0.114.1', family: 4 }] : toHere();
    };
    const call = webhookCaller({
      policy: webhookPolicy([], true),
      version: '1',
      resolve: rebinding,
      timeoutMilliseconds: 300,
    });
    const url = `http://rebind.example:${receiver.port}/`;
    const first = await call(aCall(url));
    expect(first.httpStatus).toBeUndefined();
    expect(asked).toBe(1);
    const second = await call(aCall(url));
    expect(second.reason).toContain('loopback');
    expect(receiver.received).toEqual([]);
  });

  it('follows no redirect', async () => {
    await using inside = await startReceiver();
    await using receiver = await startReceiver(() => ({ status: 307, headers: { location: inside.url } }));
    const result = await webhookCaller({ policy: HERE, version: '1' })(aCall(receiver.url));
    expect(result).toMatchObject({ httpStatus: 307, reason: 'It answered 307: redirects are not followed.' });
    expect(inside.received).toEqual([]);
  });

  it('reads of an answer no more than a little, in one line', async () => {
    const endless = `\u001b[31mno\r\n${'x'.repeat(100_000)}`;
    await using receiver = await startReceiver(() => ({ status: 500, body: endless }));
    const { response } = await webhookCaller({ policy: HERE, version: '1' })(aCall(receiver.url));
    expect(response).toHaveLength(200);
    expect(response?.startsWith('[31mno x')).toBe(true);
  });

  it('waits no longer than it should', async () => {
    await using receiver = await startReceiver(() => 'hang');
    const call = webhookCaller({ policy: HERE, version: '1', timeoutMilliseconds: 100 });
    expect((await call(aCall(receiver.url))).reason).toBe('There was no answer within 0.1 seconds.');
    const neverResolved = webhookCaller({
      ...{ policy: HERE, version: '1', timeoutMilliseconds: 100 },
      resolve: () => new Promise(() => undefined),
    });
    expect((await neverResolved(aCall(receiver.url))).reason).toContain('no answer within');
  });

  it('says that nothing listens', async () => {
    const port = await startReceiver().then(async (receiver) => {
      await receiver[Symbol.asyncDispose]();
      return receiver.port;
    });
    const call = webhookCaller({ policy: HERE, version: '1' });
    expect((await call(aCall(`http://127.0.0.1:${port}/`))).reason).toContain('nothing listens');
  });

  it('hears when it is asked to come back later', async () => {
    await using receiver = await startReceiver((call) => ({
      status: [429, 503, 500][call] ?? 200,
      headers: { 'retry-after': '7' },
    }));
    const call = webhookCaller({ policy: HERE, version: '1' });
    const waits = [];
    for (let i = 0; i < 4; i += 1) waits.push((await call(aCall(receiver.url))).retryAfterMilliseconds);
    expect(waits).toEqual([7_000, 7_000, undefined, undefined]);
    expect(milliseconds('Wed, 21 Oct 2026 07:28:10 GMT', Date.parse('2026-10-21T07:28:00Z'))).toBe(10_000);
    expect(milliseconds('soon', 0)).toBeUndefined();
  });
});
