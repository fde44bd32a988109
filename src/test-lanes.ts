import { randomBytes } from 'node:crypto';
import type { Connecting } from './gateway/deliver.ts';
import { isTestLane, TEST_HOLDS, testLaneOf } from './mail/test-lane.ts';
import type { MailboxConfig } from './mailbox-config.ts';
import { type Connection, paceOf } from './mailboxes.ts';
import type { LaneSettings } from './queue/lane.ts';
import { openConnection, quitConnection, type SmtpServer } from './smtp/connection.ts';
import { runTransaction } from './smtp/transaction.ts';
import type { TestSandbox } from './test-sandbox.ts';

/** All that a test lane is told of its mailbox. Where that logs in, and with what, is not among it. */
type Told = Pick<MailboxConfig, 'id' | 'from' | 'limits'>;

/** A server that cannot lock anybody out is tried again soon, so that what one team tries out does not stop the others. */
const LONGEST_HOLD_MILLISECONDS = 10_000;

/**
 * For each mailbox a second lane, which carries its test messages into the sandbox: with the same limits, and permits,
 * holds, connections and a login of its own. Opened like any other lane, when it has something to do.
 */
export function testLanes(mailboxes: readonly MailboxConfig[], sandbox: TestSandbox): LaneSettings<Connection>[] {
  const taken = mailboxes.find(({ id }) => isTestLane(id));
  if (taken) throw new Error(`The mailbox id ${taken.id} is one of a lane for tests`);
  return mailboxes.map(({ id, address, from, limits }) => testLane({ id, from: [address, ...from], limits }, sandbox));
}

function testLane({ id, from, limits }: Told, sandbox: TestSandbox): LaneSettings<Connection> {
  let access: Promise<Access> | undefined;
  return {
    mailbox: testLaneOf(id),
    connections: limits.connections,
    pace: paceOf(limits),
    // Nothing in a configuration can end a hold of the sandbox.
    settingsDigest: 'sandbox',
    holdKeys: { mailbox: `${TEST_HOLDS}mailbox:${id}`, network: `${TEST_HOLDS}host:${id}` },
    longestHoldMilliseconds: LONGEST_HOLD_MILLISECONDS,
    dialer: {
      async open() {
        access ??= moveIn({ id, from, limits }, sandbox);
        try {
          return await dial(await access);
        } catch (error) {
          access = undefined;
          return noSandbox(error);
        }
      },
      quit: quitConnection,
      isOpen: (connection) => connection.isOpen(),
    },
    transact: runTransaction,
  };
}

interface Access {
  server: SmtpServer;
  user: string;
  password: string;
}

/** Makes the lane a mailbox of its own in the sandbox, which may send as the real one may. */
async function moveIn({ id, from, limits }: Told, sandbox: TestSandbox): Promise<Access> {
  const { smtp, caPem, addMailbox } = await sandbox.open();
  const user = `${testLaneOf(id)}@postroom.example`;
  const password = randomBytes(18).toString('base64url');
  const { messagesPerMinute: messagesPerWindow, windowSeconds, connections, recipientsPerDay } = limits;
  const own = { messagesPerWindow, windowSeconds, connections, recipientsPerDay };
  addMailbox({ address: user, password, sendAs: from, limits: own });
  return { server: { ...smtp, ca: caPem, heloName: 'postroom.localhost.localdomain' }, user, password };
}

const THIS_MACHINE = ['127.0.0.1', '::1'];

async function dial({ server, user, password }: Access): Promise<Connecting<Connection>> {
  if (!THIS_MACHINE.includes(server.host))
    throw new Error(`${server.host} is not this machine, and no sandbox of ours`);
  const opening = await openConnection(server, { type: 'password', user, password });
  return opening.ok ? { ...opening, reused: false } : opening;
}

function noSandbox(error: unknown): Connecting<Connection> {
  const message = `The sandbox for test mail cannot be used: ${(error as Error).message}`;
  return { ok: false, trouble: { via: 'client', code: 'ECONNREFUSED', message, stage: 'connect' } };
}
