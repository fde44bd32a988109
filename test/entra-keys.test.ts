import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { KeysUnavailable, tenantKeys } from '../src/entra-keys.ts';

let jwk: object;
beforeAll(async () => {
  jwk = { ...(await exportJWK((await generateKeyPair('RS256')).publicKey)), use: 'sig' };
});

type Answer = { status: number; headers?: Record<string, string>; body?: string } | 'hang';

const keySet = (kids: string[]) => JSON.stringify({ keys: kids.map((kid) => ({ ...jwk, kid })) });

/** A directory that counts how often it was asked, and a clock that the test moves. */
async function aDirectory() {
  const state = { asked: 0, now: 1_000_000, answer: undefined as Answer | undefined, kids: ['k1'] };
  const server = createServer((_request, response) => {
    state.asked += 1;
    const answer = state.answer ?? { status: 200, body: keySet(state.kids) };
    if (answer !== 'hang') response.writeHead(answer.status, answer.headers).end(answer.body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  const warned: string[] = [];
  const keys = tenantKeys({
    url,
    now: () => state.now,
    log: { warn: (fields) => void warned.push(JSON.stringify(fields)) },
  });
  return {
    ...{ state, warned, url },
    /** Is there such a key? */
    has: (kid: string) =>
      Promise.resolve(keys({ alg: 'RS256', kid }, { payload: '', signature: '' })).then(
        () => true,
        (error: unknown) => {
          if (error instanceof KeysUnavailable) return 'unavailable';
          if ((error as { code?: string }).code === 'ERR_JWKS_NO_MATCHING_KEY') return false;
          throw error;
        },
      ),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const HOUR = 3_600_000;

describe('the keys of a tenant', () => {
  it('are fetched once, however many tokens come at a time, and kept for an hour', async () => {
    await using directory = await aDirectory();
    const { state, has } = directory;
    expect(await Promise.all(Array.from({ length: 50 }, () => has('k1')))).not.toContain(false);
    expect(state.asked).toBe(1);
    state.now += HOUR - 1;
    await has('k1');
    expect(state.asked).toBe(1);
    state.now += 1;
    await has('k1');
    expect(state.asked).toBe(2);
  });

  it('are not fetched anew for each of a flood of tokens that name keys which nobody has', async () => {
    await using directory = await aDirectory();
    const { state, has } = directory;
    await has('k1');
    for (let round = 0; round < 5; round += 1)
      expect(new Set(await Promise.all(Array.from({ length: 100 }, (_, i) => has(`stranger-${round}-${i}`))))).toEqual(
        new Set([false]),
      );
    expect(state.asked).toBe(1);
    state.now += 30_000;
    await Promise.all(Array.from({ length: 100 }, (_, i) => has(`later-${i}`)));
    expect(state.asked).toBe(2);
  });

  it('are fetched anew for a key that was published since, half a minute after the last time', async () => {
    await using directory = await aDirectory();
    const { state, has } = directory;
    await has('k1');
    state.kids = ['k1', 'k2'];
    state.now += 30_000;
    expect(await has('k2')).toBe(true);
  });

  it('are used further while the directory is away, for a day; of an unknown one nobody can say then', async () => {
    await using directory = await aDirectory();
    const { state, has, warned } = directory;
    await has('k1');
    state.answer = { status: 503 };
    state.now += 23 * HOUR;
    expect([await has('k1'), await has('k2')]).toEqual([true, 'unavailable']);
    expect(warned[0]).toContain('503');
    state.now += HOUR;
    expect(await has('k1')).toBe('unavailable');
    state.answer = undefined;
    state.now += 1_000;
    expect([await has('k1'), await has('k2')]).toEqual([true, false]);
  });

  it('are not asked for at every request while the directory is away from the beginning', async () => {
    await using directory = await aDirectory();
    const { state, has } = directory;
    state.answer = { status: 500 };
    for (let i = 0; i < 100; i += 1) expect(await has(`k${i}`)).toBe('unavailable');
    expect(state.asked).toBe(1);
    state.answer = undefined;
    state.now += 1_000;
    expect(await has('k1')).toBe(true);
  });

  it.each<[string, (url: string) => Answer]>([
    ['a redirect', (url) => ({ status: 302, headers: { location: url } })],
    ['no JSON', () => ({ status: 200, body: '<html>' })],
    ['JSON that is no set of keys', () => ({ status: 200, body: '{"keys":1}' })],
    ['more than a set of keys can be', () => ({ status: 200, body: `${keySet(['k1'])}${' '.repeat(600_000)}` })],
    ['nothing', () => 'hang'],
  ])('cannot be had from %s', async (_name, answer) => {
    await using directory = await aDirectory();
    directory.state.answer = answer(directory.url);
    expect(await directory.has('k1')).toBe('unavailable');
    expect(directory.state.asked).toBe(1);
    expect(directory.warned).toHaveLength(1);
  });
});
