import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { type Client, client, eventually, KEY } from './postroom.ts';

/** Postroom as its operator runs it: a process of its own, configured by its environment. */
export interface PostroomProcess extends Client {
  readonly url: string;
  output(): string;
  /** Ends the process with this signal and waits until it is gone; resolves to its exit code, if it had one. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  signal(signal: NodeJS.Signals): void;
}

export interface ProcessOptions {
  redisUrl: string;
  sandbox: Sandbox;
  port: number;
  environment?: Record<string, string>;
}

/** Starts `postroom start` and waits until it is ready. */
export async function startProcess(options: ProcessOptions): Promise<PostroomProcess> {
  const { sandbox, port } = options;
  const from = sandbox.mailboxes[0]?.address ?? '';
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli.ts', 'start'], {
    env: { PATH: process.env.PATH ?? '', ...environmentOf(options), ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = collect(child);
  const url = `http://127.0.0.1:${port}`;
  await eventually(
    async () => {
      if (child.exitCode !== null) throw new Error(`It ended: ${output()}`);
      if (options.environment?.POSTROOM_ROLE === 'worker') return output().includes('Postroom started');
      return (await fetch(`${url}/health/ready`).catch(() => undefined))?.ok === true;
    },
    () => `It never became ready: ${output()}`,
    30_000,
  );
  return {
    ...client(() => url, from),
    url,
    output,
    signal: (signal) => void child.kill(signal),
    async end(signal) {
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
      child.kill(signal);
      await ended;
      return child.exitCode;
    },
  };
}

function environmentOf({ redisUrl, sandbox, port }: ProcessOptions): Record<string, string> {
  return {
    PORT: String(port),
    REDIS_URL: redisUrl,
    POSTROOM_API_KEY: KEY,
    NODE_EXTRA_CA_CERTS: '',
    M365_MAILBOX: sandbox.mailboxes[0]?.address ?? '',
    M365_PASSWORD: sandbox.mailboxes[0]?.password ?? '',
    M365_SMTP_HOST: sandbox.smtp.host,
    M365_SMTP_PORT: String(sandbox.smtp.port),
    M365_HELO_NAME: 'gateway.contoso.com',
    M365_MESSAGES_PER_MINUTE: '10000',
  };
}

function collect(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += chunk));
  return () => text;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
