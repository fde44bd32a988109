import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf } from '../support/http-service.ts';
import { eventually, startPostroom, type TestPostroom } from '../support/postroom.ts';

const TENANT = '11111111-2222-3333-4444-555555555555';
const AUDIENCE = 'api://postroom';
const CLIENT = 'aaaaaaaa-2222-3333-4444-555555555555';
const PRINCIPAL = 'bbbbbbbb-2222-3333-4444-555555555555';

let keys: Awaited<ReturnType<typeof generateKeyPair>>;
let stranger: typeof keys;
let directory: Server;
let answering = true;
let authority: string;
let postroom: TestPostroom;

beforeAll(async () => {
  [keys, stranger] = await Promise.all([generateKeyPair('RS256'), generateKeyPair('RS256')]);
  const jwks = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'k1', use: 'sig' }] };
  directory = createServer((request, response) => {
    const found = answering && request.url === `/${TENANT}/discovery/v2.0/keys`;
    response.writeHead(found ? 200 : 503, { 'content-type': 'application/json' }).end(JSON.stringify(jwks));
  }).listen(0, '127.0.0.1');
  await once(directory, 'listening');
  authority = `http://127.0.0.1:${(directory.address() as AddressInfo).port}`;
  postroom = await startPostroom({ config: { entra: { tenantId: TENANT, audiences: [AUDIENCE], authority } } });
});
afterAll(async () => {
  await postroom[Symbol.asyncDispose]();
  directory.closeAllConnections();
  directory.close();
});

const seconds = () => Math.floor(Date.now() / 1000);

function claims(change: Record<string, unknown> = {}): JWTPayload {
  return {
    ...{ iss: `${authority}/${TENANT}/v2.0`, aud: AUDIENCE, tid: TENANT, azp: CLIENT, oid: PRINCIPAL, sub: PRINCIPAL },
    ...{
      iat: seconds(),
      nbf: seconds(),
      exp: seconds() + 3_600,
      roles: ['Messages.Send', 'Messages.Read'],
      ver: '2.0',
    },
    ...change,
  };
}
const token = (change: Record<string, unknown> = {}, key = keys.privateKey, kid = 'k1') =>
  new SignJWT(claims(change)).setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid }).sign(key);
const withToken = (bearer: string) =>
  fetch(`${postroom.url}/v1/messages/msg_00000000000000000000000000`, {
    headers: { authorization: `Bearer ${bearer}` },
  });
const send = async (bearer: string) => postroom.send({ to: 'ada@fabrikam.com' }, { authorization: `Bearer ${bearer}` });

describe('a token of Entra ID', () => {
  it('cannot be judged while the keys cannot be fetched: 503, not 401', async () => {
    answering = false;
    const response = await withToken(await token());
    answering = true;
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await problemOf(response)).toMatchObject({ status: 503, code: 'identity_unavailable' });
  });

  it('is judged as soon as they can be fetched again', async () => {
    const bearer = await token();
    await eventually(async () => (await withToken(bearer)).status === 404);
  });

  it('sends and reads as the application that it was given to', async () => {
    const sent = await send(await token());
    expect(sent.status).toBe(202);
    const { id } = (await sent.json()) as { id: string };
    const read = async (bearer: string) =>
      (await fetch(`${postroom.url}/v1/messages/${id}`, { headers: { authorization: `Bearer ${bearer}` } })).status;
    expect(await read(await token({ exp: seconds() + 60 }))).toBe(200);
    expect(await read(await token({ azp: PRINCIPAL, oid: CLIENT }))).toBe(404);
    expect(await read(await token({ azp: PRINCIPAL, oid: CLIENT, roles: ['Postroom.Operate'] }))).toBe(200);
  });

  it('may be of version 1.0, and be a minute off by the clock', async () => {
    const v1 = { iss: `https://sts.windows.net/${TENANT}/`, azp: undefined, appid: CLIENT, ver: '1.0' };
    expect((await withToken(await token(v1))).status).toBe(404);
    expect((await withToken(await token({ exp: seconds() - 30, nbf: seconds() + 30 }))).status).toBe(404);
  });

  it('does only what its roles say', async () => {
    const answer = await send(await token({ roles: ['Messages.Read'] }));
    expect(answer.headers.get('www-authenticate')).toContain('error="insufficient_scope"');
    expect(await problemOf(answer)).toMatchObject({ status: 403, code: 'insufficient_scope' });
    for (const roles of [
      undefined,
      null,
      [],
      ['messages.send'],
      'Messages.Send',
      { 0: 'Messages.Send' },
      [['Messages.Send']],
    ])
      expect((await send(await token({ roles }))).status).toBe(403);
  });
});

describe('a token that proves nothing is refused, and its bearer told why', () => {
  const forged: [string, () => Promise<string>, string][] = [
    ['has no signature', async () => new UnsecuredJWT(claims()).encode(), 'RS256'],
    ['is signed with the public key as if it were a secret', hs256WithPublicKey, 'RS256'],
    ['is signed with another key under the same name', () => token({}, stranger.privateKey), 'signature'],
    ['is signed with a key that nobody knows', () => token({}, stranger.privateKey, 'k2'), 'does not have'],
    ['was changed', async () => `${(await token()).slice(0, -20)}AAAAAAAAAAAAAAAAAAAA`, 'signature'],
    ['is for another audience', () => token({ aud: 'api://other' }), 'audience'],
    ['is of another issuer', () => token({ iss: `https://evil.example/${TENANT}/v2.0` }), 'issuer'],
    ['is of another tenant', () => token({ tid: CLIENT }), 'tenant'],
    ['has expired', () => token({ exp: seconds() - 120 }), 'expired'],
    ['never expires', () => token({ exp: undefined }), 'claim'],
    ['is not valid yet', () => token({ nbf: seconds() + 600 }), 'not valid yet'],
    ['is a user’s', () => token({ scp: 'Messages.Send' }), 'user'],
    ['is an ID token', () => token({ azp: undefined }), 'no access token'],
    ['is a user’s, though it names no scope', () => token({ scp: '' }), 'user'],
    ['names no object of the tenant', () => token({ oid: undefined }), 'no access token'],
    ['names as its client what would be another caller', () => token({ azp: `${CLIENT}:x` }), 'no access token'],
    ['has no time of issue', () => token({ iat: undefined }), 'claim'],
    ['names no audience', () => token({ aud: undefined }), 'audience'],
    ['is for an audience that ours is the beginning of', () => token({ aud: `${AUDIENCE}/x` }), 'audience'],
    ['is of version 1.0 and another tenant', () => token({ iss: `https://sts.windows.net/${CLIENT}/` }), 'issuer'],
    ['is of another cloud', () => token({ iss: `https://sts.chinacloudapi.cn/${TENANT}/` }), 'issuer'],
    ['brings its own key', withItsOwnKey, 'signature'],
    ['must be understood in a way that nobody does', withCriticalHeader, 'not supported'],
    ['is garbage', async () => 'AAAA.AAAA.AAAA', 'no valid token'],
  ];

  it.each(forged)('%s', async (_name, make, reason) => {
    const bearer = await make();
    const response = await withToken(bearer);
    expect(response.headers.get('www-authenticate')).toMatch(
      new RegExp(`^Bearer realm="postroom", error="invalid_token", error_description="[^"]*${reason}[^"]*"$`),
    );
    const problem = await problemOf(response);
    expect(problem).toMatchObject({
      status: 401,
      code: 'invalid_credentials',
      detail: expect.stringContaining(reason),
    });
    expect(JSON.stringify(problem)).not.toContain(bearer);
  });

  it('is larger than any is, and none of it is read', async () => {
    const large = await withToken(await token({ roles: Array.from({ length: 450 }, () => 'Messages.Send') }));
    expect(await problemOf(large)).toMatchObject({ status: 401, code: 'invalid_credentials' });
    expect((await withToken('x'.repeat(20_000))).status).toBe(431);
  });

  it('is in the URL, where logs would keep it', async () => {
    const bearer = await token();
    for (const name of ['access_token', 'token', 'Authorization']) {
      const url = `${postroom.url}/v1/messages?${name}=${name === 'Authorization' ? `Bearer%20${bearer}` : bearer}`;
      expect((await fetch(url)).status).toBe(401);
    }
  });

  it('and no token is in the log', () => {
    expect(postroom.logged()).not.toContain('eyJ');
  });
});

async function withItsOwnKey(): Promise<string> {
  const jwk = await exportJWK(stranger.publicKey);
  const header = { alg: 'RS256', jwk, jku: `${authority}/mine`, x5c: ['AAAA'] };
  return new SignJWT(claims()).setProtectedHeader(header).sign(stranger.privateKey);
}

async function withCriticalHeader(): Promise<string> {
  const header = { alg: 'RS256', kid: 'k1', crit: ['b64'], b64: true };
  const bearer = await new SignJWT(claims()).setProtectedHeader(header).sign(keys.privateKey);
  const [, ...rest] = bearer.split('.');
  const changed = Buffer.from(JSON.stringify({ alg: 'RS256', kid: 'k1', crit: ['x-unheard-of'], 'x-unheard-of': 1 }));
  return [changed.toString('base64url'), ...rest].join('.');
}

async function hs256WithPublicKey(): Promise<string> {
  const secret = new TextEncoder().encode(await exportSPKI(keys.publicKey));
  return new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', kid: 'k1' }).sign(secret);
}
