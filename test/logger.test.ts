import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../src/logger.ts';

const sentencesIn = (lines: string) =>
  lines
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line).msg);

describe('the log', () => {
  it('has the lines of a turn of the event loop when that turn is over, in order', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'log-')), 'lines');
    const log = createLogger('info', false, file);
    const sentences = Array.from({ length: 100 }, (_, index) => `It happened ${index}`);
    for (const sentence of sentences) log.info({ messageId: 'msg_1' }, sentence);
    await nextTurn();
    await nextTurn();
    expect(sentencesIn(await readFile(file, 'utf8'))).toEqual(sentences);
  });

  for (const [how, end] of [
    ['ends the process', 'process.exit(0)'],
    ['is the last before the process fails', 'throw new Error("on purpose")'],
  ] as const)
    it(`keeps the line that ${how}`, async () => {
      const code = `import { createLogger } from './src/logger.ts';
        createLogger('info', false).info('The last words');
        ${end};`;
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', code], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let output = '';
      child.stdout.on('data', (chunk) => (output += chunk));
      await once(child, 'close');
      expect(sentencesIn(output)).toEqual(['The last words']);
    });
});
