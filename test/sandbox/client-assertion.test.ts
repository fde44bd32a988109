import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import {
  certificateAssertion,
  makeClientCertificate,
  makeIssuer,
  type TestCertificate,
} from '../support/client-certificate.ts';
import { askToken } from './smtp-client.ts';

let sandbox: Sandbox;
let own: TestCertificate;
let expired: TestCertificate;
let foreign: TestCertificate;
const issuer = makeIssuer();
const impostor = makeIssuer();

beforeAll(async () => {
  [own, expired, foreign] = await Promise.all([
    makeClientCertificate(),
    makeClientCertificate({ notAfter: new Date('2021-01-01') }),
    makeClientCertificate(),
  ]);
  sandbox = await startSandbox({
    clientCertificates: [own.certificate, expired.certificate],
    federatedCredentials: [issuer.credential],
  });
});
afterAll(() => sandbox[Symbol.asyncDispose]());

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1_000) + seconds;

function ask(assertion: string, type = JWT_BEARER): Promise<Response> {
  return askToken(sandbox, { client_secret: '', client_assertion_type: type, client_assertion: assertion });
}

async function codeOf(answer: Response): Promise<number | undefined> {
  expect(answer.status).toBe(401);
  const body = (await answer.json()) as { error: string; error_codes: number[] };
  expect(body.error).toBe('invalid_client');
  return body.error_codes[0];
}

const usual = () => ({
  iss: sandbox.clientId,
  sub: sandbox.clientId,
  aud: `${sandbox.authority}/${sandbox.tenantId}/oauth2/v2.0/token`,
});

describe('an assertion signed with a certificate', () => {
  test.each(['PS256', 'RS256'])('gets a token with %s, and only once', async (alg) => {
    const assertion = certificateAssertion(own, usual(), { alg });
    expect((await ask(assertion)).status).toBe(200);
    expect(await codeOf(await ask(assertion))).toBe(50027);
  });

  test.each([
    ['is not registered', 700027, () => certificateAssertion(foreign, usual())],
    ['has expired', 700027, () => certificateAssertion(expired, usual())],
    [
      'is not the one that signed',
      700027,
      () => certificateAssertion({ ...own, privateKey: foreign.privateKey }, usual()),
    ],
    ['signs in a way that is not taken', 700027, () => certificateAssertion(own, usual(), { alg: 'none' })],
  ])('is refused if the certificate %s', async (_what, code, make) => {
    expect(await codeOf(await ask(make()))).toBe(code);
  });

  test.each([
    ['has ended', 700024, () => ({ exp: inSeconds(-301) })],
    ['has not begun', 700024, () => ({ nbf: inSeconds(320), exp: inSeconds(900) })],
    ['never ends', 700024, () => ({ exp: null })],
    ['is for another endpoint', 700023, () => ({ aud: 'https://login.example/token' })],
    ['is of another application', 700021, () => ({ iss: 'someone', sub: 'someone' })],
    ['has another subject', 700021, () => ({ sub: 'someone' })],
    ['has no id', 50027, () => ({ jti: null })],
  ])('is refused if it %s', async (_what, code, claims) => {
    expect(await codeOf(await ask(certificateAssertion(own, { ...usual(), ...claims() })))).toBe(code);
  });

  test('is refused if it has been altered', async () => {
    const [header, , signature] = certificateAssertion(own, usual()).split('.');
    const claims = Buffer.from(JSON.stringify({ ...usual(), exp: inSeconds(9_999) })).toString('base64url');
    expect(await codeOf(await ask(`${header}.${claims}.${signature}`))).toBe(700027);
  });

  test.each(['', 'x', 'a.b.c', 'bnVsbA.bnVsbA.eA'])('is malformed as %j', async (assertion) => {
    expect(await codeOf(await ask(assertion))).toBe(50027);
  });

  test('needs its type named', async () => {
    expect(await codeOf(await ask(certificateAssertion(own, usual()), 'jwt'))).toBe(50027);
  });
});

describe('a federated assertion', () => {
  test('gets a token as often as it is shown, while it lasts', async () => {
    const assertion = issuer.assertion();
    expect((await ask(assertion)).status).toBe(200);
    expect((await ask(assertion)).status).toBe(200);
  });

  test.each([
    ['another issuer', 700211, () => issuer.assertion({ iss: 'https://oidc.cluster.example' })],
    ['a subject in another case', 700213, () => issuer.assertion({ sub: 'system:serviceaccount:mail:Postroom' })],
    ['another audience', 700212, () => issuer.assertion({ aud: ['api'] })],
    ['another signer', 700027, () => impostor.assertion()],
    ['an end that is past', 700024, () => issuer.assertion({ exp: inSeconds(-301) })],
  ])('is refused with %s', async (_what, code, make) => {
    expect(await codeOf(await ask(make()))).toBe(code);
  });
});
