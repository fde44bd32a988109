import { afterAll, beforeAll, expect, test } from 'vitest';
import { explanation } from '../../src/http/schemas/explain.ts';
import { KEYS } from '../support/fake-api.ts';
import { type HttpService, problemOf, startHttpService } from '../support/http-service.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService();
});
afterAll(() => service.app.close());

function explain(body: unknown, key: string = KEYS.readOnly): Promise<Response> {
  return fetch(`${service.baseUrl}/v1/explain`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

test.each([
  ['550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup', 'recipient_unknown'],
  [
    'Error: Invalid login: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.',
    'auth_smtp_disabled',
  ],
  [
    'AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value',
    'token_credentials_invalid',
  ],
  ['connect ECONNREFUSED 52.97.0.1:465', 'connection_failed'],
])('explains %j', async (text, code) => {
  const response = await explain({ text });
  expect(response.status).toBe(200);
  const body = explanation.parse(await response.json());
  expect(body.failure).toMatchObject({ code, summary: expect.any(String), remedy: expect.any(String) });
});

test('the stage makes a difference', async () => {
  const ask = async (stage: string) => (await explain({ text: 'read ECONNRESET', stage })).json();
  expect(await ask('after-dot')).toMatchObject({ failure: { category: 'outcomeUnknown' } });
  expect(await ask('mail')).toMatchObject({ failure: { category: 'connection' } });
});

test('whoever may send or read may ask', async () => {
  for (const key of [KEYS.sendOnly, KEYS.readOnly, KEYS.operator])
    expect((await explain({ text: '250 OK' }, key)).status).toBe(200);
});

test.each([
  [{}, '/text'],
  [{ text: '' }, '/text'],
  [{ text: ' \n' }, '/text'],
  [{ text: 5 }, '/text'],
  [{ text: 'x'.repeat(20_001) }, '/text'],
  [{ text: '250 OK', stage: 'later' }, '/stage'],
  [{ text: '250 OK', stagee: 'data' }, '/stagee'],
])('refuses %j by field', async (body, pointer) => {
  const problem = await problemOf(await explain(body));
  expect(problem).toMatchObject({ status: 422, code: 'invalid_fields' });
  expect(problem.errors?.map((each) => each.pointer)).toEqual([pointer]);
});
