import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { generateApi } from 'swagger-typescript-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MessageView } from '../../src/gateway/view.ts';
import { KEY, startPostroom, type TestPostroom } from '../support/postroom.ts';

let postroom: TestPostroom;
let folder: string;
beforeAll(async () => {
  postroom = await startPostroom();
  folder = await mkdtemp(join(tmpdir(), 'client-'));
  await copyFile(join(import.meta.dirname, 'journey.ts.txt'), join(folder, 'journey.ts'));
  const input = resolve('openapi/postroom.json');
  const { files } = await generateApi({ input, output: false, fileName: 'client.ts', silent: true });
  for (const { fileContent } of files) await writeFile(join(folder, 'client.ts'), fileContent);
});
afterAll(() => postroom[Symbol.asyncDispose]());

describe('a TypeScript client that a generator makes of the OpenAPI document', () => {
  it('compiles strictly, together with a program that uses it', async () => {
    const options = [
      '--noEmit',
      '--strict',
      '--target',
      'es2022',
      '--module',
      'esnext',
      '--moduleResolution',
      'bundler',
    ];
    const more = ['--allowImportingTsExtensions', '--lib', 'es2023,dom,dom.iterable', '--types', '', '--ignoreConfig'];
    const compile = promisify(execFile)('node_modules/.bin/tsc', [...options, ...more, join(folder, 'journey.ts')]);
    await expect(compile.catch(({ stdout }) => Promise.reject(new Error(stdout)))).resolves.toBeDefined();
  }, 60_000);

  it('sends, waits, reads the timeline, and is told what failed and what was wrong', async () => {
    const { journey } = (await import(join(folder, 'journey.ts'))) as typeof Journey;
    const from = postroom.sandbox.mailboxes[0]?.address ?? '';
    const { sent, replayedId, steps, failed, refused } = await journey(postroom.url, KEY, from);
    expect(sent).toMatchObject({ status: 'sent', recipients: [{ address: 'ada@fabrikam.com', status: 'sent' }] });
    expect(replayedId).toBe(sent.id);
    expect(steps).toEqual(['queued', 'sending', 'sent']);
    expect(failed).toMatchObject({ status: 'failed', failure: { scope: 'recipient' } });
    expect(refused).toMatchObject({ status: 422, code: 'invalid_fields', errors: [{ pointer: '/to/0' }] });
  });
});

declare const Journey: {
  journey(
    url: string,
    key: string,
    from: string,
  ): Promise<{
    sent: MessageView;
    replayedId: string;
    steps: string[];
    failed: MessageView;
    refused: { status: number; code: string; errors: { pointer: string }[] };
  }>;
};
