import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyView } from '../../src/gateway/api-key.ts';
import { runCommand } from '../support/command.ts';
import { type Shown, statusWith } from '../support/keys.ts';
import { eventually, startPostroom, type TestPostroom } from '../support/postroom.ts';

let postroom: TestPostroom;
beforeAll(async () => {
  postroom = await startPostroom();
});
afterAll(() => postroom[Symbol.asyncDispose]());

/** In production, where much else would be missing: what is not needed is not asked for. */
const keys = (...words: string[]) =>
  runCommand(['keys', ...words], { REDIS_URL: postroom.redis.url, NODE_ENV: 'production' });
const json = async <T>(...words: string[]): Promise<T> => JSON.parse((await keys(...words, '--json')).stdout) as T;
const letIn = (secret: string) => statusWith(postroom.url, secret);

describe('postroom keys', () => {
  it('creates a key that works at once, rotates and revokes it in a running process', async () => {
    const wish = [
      '--name',
      'billing',
      '--scope',
      'send,read',
      '--from',
      '*@contoso.com',
      '--to',
      'ada@fabrikam.com,*@contoso.com',
      '--rate',
      '600',
      '--expires',
      '90d',
    ];
    const key = await json<Shown>('create', ...wish);
    expect(key).toMatchObject({
      scopes: ['send', 'read'],
      from: ['*@contoso.com'],
      to: ['ada@fabrikam.com', '*@contoso.com'],
      rate: { perMinute: 600, burst: 100 },
    });
    expect(await letIn(key.secret)).toBe(404);
    const rotated = await json<Shown>('rotate', key.id, '--grace', '5');
    expect([await letIn(key.secret), await letIn(rotated.secret)]).toEqual([404, 404]);
    expect((await json<KeyView>('revoke', key.id)).state).toBe('revoked');
    await eventually(async () => (await letIn(rotated.secret)) === 401 && (await letIn(key.secret)) === 401);
  });

  it('lists them in a table without their secrets', async () => {
    const { stdout: created } = await keys('create', '--name', 'a\u202eb', '--scope', 'send', '--test');
    const secret = /pr_test_[\w-]{43}/.exec(created)?.[0] ?? '';
    expect(secret).not.toBe('');
    const { code, stdout } = await keys('list');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ID +NAME +MODE +STATE +SCOPES +FROM +TO +RATE +EXPIRES +LAST USED +BEGINS$/m);
    expect(stdout).toMatch(/^key_\w+ +a\\u\{202e\}b +test +active +send +any +any +- +never +never +pr_test_/m);
    expect(stdout).not.toContain(secret);
  });

  it('ends with 1 for a key that is not there', async () => {
    const { code, stderr } = await keys('revoke', 'key_none');
    expect([code, stderr]).toEqual([1, expect.stringContaining('no key with this id')]);
  });

  it.each([
    [['create', '--scope', 'send'], '--name is needed'],
    [['create', '--name', 'x'], '--scope is needed'],
    [['create', '--name', 'x', '--scope', 'admin'], 'There is no scope "admin"'],
    [['create', '--name', 'x', '--scope', 'operate', '--test'], 'cannot have the scope operate'],
    [['create', '--name', 'x', '--scope', 'send', '--expires', '2020-01-01T00:00:00Z'], 'must be in the future'],
    [['create', '--name', 'x', '--scope', 'send', '--from', 'nobody'], '--from:'],
    [['list', '--rate', '5'], '--rate does not go with "keys list"'],
    [['revoke'], 'Name one key'],
    [['delete', 'x'], 'no command "keys delete"'],
    [[], 'Say what to do'],
  ])('ends with 2 and says what is wrong with %j', async (words, complaint) => {
    const { code, stderr } = await keys(...words);
    expect([code, stderr]).toEqual([2, expect.stringContaining(complaint)]);
  });

  it('ends with 2 where there is no Redis to ask', async () => {
    const none = await runCommand(['keys', 'list'], { POSTROOM_DATA_DIR: '/nonexistent' });
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('REDIS_URL is missing')]);
    const away = await runCommand(['keys', 'list'], { REDIS_URL: 'redis://127.0.0.1:1' });
    expect([away.code, away.stderr]).toEqual([2, expect.stringContaining('Redis cannot be asked')]);
  });
});
