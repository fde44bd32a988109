import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forTryingOut, USUAL_WEBHOOKS } from '../../src/webhook-settings.ts';
import { KEY, startPostroom, TEST_KEY, type TestPostroom } from '../support/postroom.ts';
import { difference, type Example, readExamples } from './read-examples.ts';

/** Addresses of the examples; the sandbox's own mailbox may send as all of them. */
const FROM = ['*@contoso.com', 'sender@postroom.example'];

let postroom: TestPostroom;
beforeAll(async () => {
  postroom = await startPostroom({
    mailbox: () => ({ from: FROM }),
    config: { testApiKey: TEST_KEY, webhooks: forTryingOut(USUAL_WEBHOOKS) },
  });
});
afterAll(() => postroom[Symbol.asyncDispose]());

const documents = [
  'README.md',
  ...readdirSync('docs')
    .toSorted()
    .map((name) => `docs/${name}`),
].filter((path) => path.endsWith('.md'));
const withExamples = documents.filter((path) => readExamples(path).length > 0);

it('there are examples to try', () => {
  expect(withExamples).toContain('README.md');
});

describe.each(withExamples)('%s', (path) => {
  it('shows requests that work and what they answer', async () => {
    const examples = readExamples(path);
    const outputs = await runInOneShell(examples);
    for (const [index, { line, shows }] of examples.entries()) {
      const { status = '', output = '' } = outputs[index] ?? {};
      expect(`line ${line}: exit ${status}`, output).toBe(`line ${line}: exit 0`);
      if (shows === undefined) continue;
      const answered: unknown = JSON.parse(output.slice(output.search(/^[[{]/m)));
      expect(difference(shows, answered), `${path}:${line} answered ${output}`).toBeUndefined();
    }
  }, 120_000);
});

const MARK = '\u0001';

/** One shell for a document, since a variable of one example is used in the next. */
async function runInOneShell(examples: Example[]): Promise<{ output: string; status: string }[]> {
  const blocks = examples.map(({ shell }) => `failed=0\n${here(shell)}\nprintf '${MARK}%s${MARK}' $failed`);
  const script = ["trap 'failed=$?' ERR", ...blocks].join('\n');
  const shell = spawn('bash', ['-uo', 'pipefail', '-c', script], {
    env: {
      ...process.env,
      POSTROOM_API_KEY: KEY,
      POSTROOM_TEST_API_KEY: TEST_KEY,
      POSTROOM_URL: postroom.url,
      REDIS_URL: postroom.redis.url,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 100_000,
  });
  let told = '';
  shell.stdout.on('data', (chunk) => {
    told += chunk;
  });
  await once(shell, 'close');
  const parts = told.split(MARK);
  return examples.map((_, index) => ({ output: parts[2 * index] ?? '', status: parts[2 * index + 1] ?? 'none' }));
}

/** The documents name the ports that `npm start` uses; a 4xx or 5xx that is not shown on purpose ends in failure. */
function here(shell: string): string {
  const { origin } = new URL(postroom.sandbox.http.url);
  return shell
    .replaceAll(/(?:http:\/\/)?localhost:3000/g, postroom.url)
    .replaceAll(/(?:http:\/\/)?localhost:3001/g, origin)
    .replaceAll('https://example.com', origin)
    .replaceAll(/\bcurl\b/g, 'curl -sS --fail-with-body --max-time 40');
}
