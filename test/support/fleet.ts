import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { freePort, type PostroomProcess, startProcess } from './process.ts';

/** Limits of one mailbox, as a mailboxes file names them. */
export interface FleetLimits {
  messagesPerMinute?: number;
  windowSeconds?: number;
  connections?: number;
}

export interface FleetOptions {
  redisUrl: string;
  sandbox: Sandbox;
  limits?: FleetLimits;
  /** Log in by OAuth with this secret instead of by password. */
  clientSecret?: string;
  environment?: Record<string, string>;
}

/** Several processes on one Redis: one that accepts, and workers. */
export interface Fleet {
  api: PostroomProcess;
  workers: PostroomProcess[];
  /** Starts one more worker. */
  addWorker(): Promise<PostroomProcess>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startFleet(options: FleetOptions, workerCount: number): Promise<Fleet> {
  const environment = { ...mailboxesFile(options), LOG_LEVEL: 'info', ...options.environment };
  const start = async (role: 'api' | 'worker') =>
    startProcess({
      redisUrl: options.redisUrl,
      sandbox: options.sandbox,
      port: await freePort(),
      environment: { ...environment, POSTROOM_ROLE: role },
    });
  const [api, ...workers] = await Promise.all([
    start('api'),
    ...Array.from({ length: workerCount }, () => start('worker')),
  ]);
  return {
    api: api as PostroomProcess,
    workers,
    async addWorker() {
      const worker = await start('worker');
      workers.push(worker);
      return worker;
    },
    async [Symbol.asyncDispose]() {
      // One that is asleep cannot hear anything else.
      for (const each of [api as PostroomProcess, ...workers]) each.signal('SIGKILL');
      await Promise.all([api as PostroomProcess, ...workers].map((each) => each.end('SIGKILL')));
    },
  };
}

/** Every mailbox of the sandbox, `m0`, `m1` and so on; replaces the single one that `startProcess` names. */
function mailboxesFile({ sandbox, limits, clientSecret }: FleetOptions): Record<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'postroom-fleet-'));
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, sandbox.caPem);
  const { tenantId, clientId, authority } = sandbox;
  const mailboxes = sandbox.mailboxes.map(({ address, password }, index) => ({
    id: `m${index}`,
    address,
    auth:
      clientSecret === undefined
        ? { type: 'password', password }
        : { type: 'clientCredentials', tenantId, clientId, clientSecret, authority },
    smtp: { ...sandbox.smtp, caFile, heloName: 'gateway.contoso.com' },
    limits: { messagesPerMinute: 10_000, ...limits },
  }));
  const file = join(folder, 'mailboxes.json');
  writeFileSync(file, JSON.stringify({ mailboxes }));
  const single = ['M365_MAILBOX', 'M365_PASSWORD', 'M365_SMTP_HOST', 'M365_SMTP_PORT', 'M365_HELO_NAME'];
  const none = Object.fromEntries([...single, 'M365_MESSAGES_PER_MINUTE'].map((name) => [name, '']));
  return { ...none, M365_MAILBOXES_FILE: file };
}

/** So many mailboxes of a sandbox. */
export function manyMailboxes(count: number): { address: string; password: string }[] {
  return Array.from({ length: count }, (_, index) => ({
    address: `m${index}@postroom.example`,
    password: `password-of-${index}-0123456789`,
  }));
}
