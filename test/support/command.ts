import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `postroom` as a process of its own, with this environment and nothing else. */
export async function runCommand(
  words: string[],
  environment: Record<string, string> = {},
  input = '',
): Promise<CommandResult> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli.ts', ...words], {
    env: { PATH: process.env.PATH ?? '', ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const told = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (chunk) => (told[name] += chunk));
  child.stdin.end(input);
  await once(child, 'close');
  return { code: child.exitCode, ...told };
}
