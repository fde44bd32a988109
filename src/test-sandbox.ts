import type { Sandbox } from './sandbox/sandbox.ts';

/** What a test lane needs of the stand-in for Microsoft 365. */
export type TestServer = Pick<Sandbox, 'smtp' | 'caPem' | 'addMailbox'>;

export interface TestSandbox {
  /** Started by whoever asks first. @throws what listening throws */
  open(): Promise<TestServer>;
  /** Cuts off what is being sent into it; one that ran before goes on. Calling it again is harmless. */
  close(): Promise<void>;
}

/** What no mailbox's own limits say; the gateway has refused what is larger before. */
const LIMITS = { recipientsPerMessage: 1_000, messageBytes: 157_286_400 };

/**
 * The stand-in that test mail goes to: the one that runs already, or else one in this process, on a free port of
 * 127.0.0.1, from the first test message until the service closes. Without test mail nothing of it is even loaded.
 *
 * In production it keeps no mail and has no page: nobody else on that machine is to read what is sent.
 */
export function testSandbox(
  running: TestServer | undefined,
  production: boolean,
  log: { info(fields: object, sentence: string): void; error(fields: object, sentence: string): void },
): TestSandbox {
  let starting: Promise<Sandbox> | undefined;
  let closed = false;

  async function start(): Promise<Sandbox> {
    const { startSandbox } = await import('./sandbox/sandbox.ts');
    const unread = production && ({ httpPort: 'none', inboxMessages: 0 } as const);
    const sandbox = await startSandbox({ mailboxes: [], limits: LIMITS, logger: log, ...unread });
    const { smtp, http } = sandbox;
    log.info({ smtp, ...(http.url && { inbox: http.url }) }, 'Sandbox for test mail started');
    return sandbox;
  }

  return {
    async open() {
      if (running) return running;
      if (closed) throw new Error('The service is closing');
      starting ??= start().catch((error: unknown) => {
        starting = undefined;
        log.error({ error }, 'Sandbox for test mail not started; tried again soon');
        throw error;
      });
      return starting;
    },
    async close() {
      closed = true;
      const started = await starting?.catch(() => undefined);
      starting = undefined;
      await started?.[Symbol.asyncDispose]();
    },
  };
}
