import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { expect, it } from 'vitest';
import { entraTokens } from '../src/entra-tokens.ts';

const DAY = 86_400_000;
const TENANT = '11111111-1111-4111-8111-111111111111';

/** A tenant whose keys change, and the two clocks of whoever asks for them. */
async function aTenant() {
  const state = { now: Date.now(), monotonic: 0, kid: 'k1' };
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const jwk = await exportJWK(publicKey);
  const server = createServer((_request, response) => {
    response.end(JSON.stringify({ keys: [{ ...jwk, use: 'sig', kid: state.kid }] }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const authority = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const judge = entraTokens(
    { tenantId: TENANT, audiences: ['api://postroom'], authority },
    { now: () => state.now, monotonic: () => state.monotonic },
    { warn: () => undefined },
  );
  return {
    state,
    judge,
    /** A token of the present key and time, good for an hour. */
    token: () =>
      new SignJWT({ tid: TENANT, oid: 'o', azp: 'c', roles: ['Messages.Send'] })
        .setProtectedHeader({ alg: 'RS256', kid: state.kid })
        .setIssuer(`${authority}/${TENANT}/v2.0`)
        .setAudience('api://postroom')
        .setIssuedAt(state.now / 1_000)
        .setExpirationTime(state.now / 1_000 + 3_600)
        .sign(privateKey),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

it('a new key of the tenant is fetched although the clock was set back since the last one was', async () => {
  await using tenant = await aTenant();
  tenant.state.now += 2 * DAY;
  expect(await tenant.judge(await tenant.token())).toMatchObject({ permissions: ['send'] });
  tenant.state.now -= 2 * DAY;
  tenant.state.monotonic += 31_000;
  tenant.state.kid = 'k2';
  expect(await tenant.judge(await tenant.token())).toMatchObject({ permissions: ['send'] });
});

it('a token that was good is judged anew in time, also where the clock was set back', async () => {
  await using tenant = await aTenant();
  const token = await tenant.token();
  expect(await tenant.judge(token)).toMatchObject({ permissions: ['send'] });
  tenant.state.now -= 2 * DAY;
  tenant.state.kid = 'k2';
  tenant.state.monotonic += 59_000;
  expect(await tenant.judge(token)).toMatchObject({ permissions: ['send'] });
  tenant.state.monotonic += 3_600_000;
  expect(await tenant.judge(token)).toMatchObject({ refused: expect.stringContaining('does not have') });
});
