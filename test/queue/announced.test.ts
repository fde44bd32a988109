import type { Socket } from 'node:net';
import { expect, it } from 'vitest';
import type { Pace } from '../../src/gateway/ports.ts';
import { holdTeller } from '../../src/queue/hold-teller.ts';
import { type LaneSettings, openLane } from '../../src/queue/lane.ts';
import { openConnection, quitConnection } from '../../src/smtp/connection.ts';
import type { Session } from '../../src/smtp/session.ts';
import { runTransaction } from '../../src/smtp/transaction.ts';
import { pause, pick, randomFrom } from '../support/disasters.ts';
import { laneTools, SILENT_LOG } from '../support/lane.ts';
import { eventually } from '../support/postroom.ts';
import { type ScriptedServer, startScriptedServer } from '../support/scripted-smtp.ts';
import { aMessage, LEASE, leasedStore } from '../support/store.ts';

/**
 * A lane over real connections to a server that answers dots at once, so that messages are announced along with the dots
 * of those before them, and that misbehaves in between. Again as it was with POSTROOM_ANNOUNCED_SEED.
 */
const SEED = Number(process.env.POSTROOM_ANNOUNCED_SEED ?? Date.now() % 1_000_000);
const MESSAGES = Number(process.env.POSTROOM_ANNOUNCED_MESSAGES ?? 100);
const PACE: Pace = { perWindow: 40, windowMilliseconds: 1_000, recipientsPerDay: 1_000_000 };

const store = leasedStore();

/** What a server does at one command, or at a final dot. */
interface Deed {
  /** Waits so long before it says anything; all that comes meanwhile waits, as it does at any server. */
  after?: number;
  /** Nothing is said where it is absent. */
  say?: string;
  isKept?: boolean;
  afterwards?: 'close';
}

type Command = 'MAIL' | 'RCPT' | 'DATA' | 'dot';
/** @param isAnnounced at a dot: the next message's commands came with it */
type Decide = (command: Command, isAnnounced: boolean) => Deed | undefined;

const USUAL: Record<Command, Deed> = {
  MAIL: { say: '250 2.1.0 Sender OK' },
  RCPT: { say: '250 2.1.5 Recipient OK' },
  DATA: { say: '354 Go ahead' },
  dot: { say: '250 2.0.0 OK', isKept: true },
};

/** What the server saw: when a transaction was begun, what was kept for whom, and what nobody may say at that point. */
interface Seen {
  begunAt: number[];
  /** Who got which message, by its subject, each time. */
  kept: string[];
  outOfPlace: string[];
  announced: number;
}

interface Conversation {
  lines: string[];
  body?: string[];
  isBusy: boolean;
  isOver: boolean;
  /** Of the transaction under way. */
  sender: boolean;
  recipients: string[];
}

/** One line after the other, as a server reads them off its connection, however many came in one write. */
function misbehaving(decide: Decide) {
  const seen: Seen = { begunAt: [], kept: [], outOfPlace: [], announced: 0 };
  const conversations = new WeakMap<Socket, Conversation>();

  async function work(talk: Conversation, socket: Socket): Promise<void> {
    if (talk.isBusy) return;
    talk.isBusy = true;
    for (let line = talk.lines.shift(); line !== undefined && !talk.isOver; line = talk.lines.shift())
      await take(talk, line, socket);
    talk.isBusy = false;
  }

  async function take(talk: Conversation, line: string, socket: Socket): Promise<void> {
    const { body } = talk;
    if (body && line !== '.') {
      if (/^(MAIL FROM|RCPT TO|DATA$|RSET$|QUIT$)/.test(line)) seen.outOfPlace.push(`${line} in a body`);
      body.push(line);
      return;
    }
    const verb = body ? 'dot' : (line.split(' ')[0] ?? '');
    if (verb === 'RSET' || verb === 'QUIT') {
      talk.sender = false;
      socket.write(verb === 'RSET' ? '250 2.0.0 Reset\r\n' : '221 2.0.0 Bye\r\n');
      if (verb === 'QUIT') end(talk, socket);
      return;
    }
    if (!(verb in USUAL)) return void seen.outOfPlace.push(`${line} outside a body`);
    const command = verb as Command;
    if (command === 'MAIL') {
      if (talk.sender) seen.outOfPlace.push(`${line} within a transaction`);
      seen.begunAt.push(performance.now());
    }
    const subject = body?.find((each) => each.startsWith('Subject: '))?.slice('Subject: '.length) ?? '';
    if (command === 'dot') {
      delete talk.body;
      talk.sender = false;
    }
    const isAnnounced = command === 'dot' && talk.lines.some((each) => each.startsWith('MAIL'));
    if (isAnnounced) seen.announced += 1;
    const deed = outOfOrder(talk, command) ?? decide(command, isAnnounced) ?? USUAL[command];
    if (deed.after) await pause(deed.after);
    if (command === 'MAIL' && deed.say?.startsWith('2')) Object.assign(talk, { sender: true, recipients: [] });
    if (command === 'RCPT' && deed.say?.startsWith('2')) talk.recipients.push(line.slice('RCPT TO:<'.length, -1));
    if (command === 'DATA' && deed.say?.startsWith('3')) talk.body = [];
    if (deed.isKept) seen.kept.push(...talk.recipients.map((recipient) => `${subject} ${recipient}`));
    if (deed.say && socket.writable) socket.write(`${deed.say}\r\n`);
    if (deed.afterwards === 'close') end(talk, socket);
  }

  function outOfOrder(talk: Conversation, command: Command): Deed | undefined {
    if (command === 'RCPT' && !talk.sender) return { say: '503 5.5.2 No sender' };
    return command === 'DATA' && (!talk.sender || talk.recipients.length === 0)
      ? { say: '503 5.5.2 Nobody' }
      : undefined;
  }

  function end(talk: Conversation, socket: Socket): void {
    talk.isOver = true;
    socket.end();
  }

  const script = (line: string, _heard: readonly string[], socket: Socket) => {
    const known = conversations.get(socket);
    const talk = known ?? { lines: [], isBusy: false, isOver: false, sender: false, recipients: [] };
    if (!known) conversations.set(socket, talk);
    talk.lines.push(line);
    // What came in one write is all there before the first of it is answered.
    setImmediate(() => void work(talk, socket));
    return undefined;
  };
  return { seen, script };
}

async function openLaneTo(server: ScriptedServer, pace: Pace) {
  const { messages, mailboxes } = store;
  const { port, caPem: ca } = server;
  const settings: LaneSettings<Session> = {
    mailbox: 'main',
    pace,
    connections: 3,
    dialer: {
      open: async () => {
        const opening = await openConnection(
          { host: '127.0.0.1', port, ca, heloName: 'gateway.contoso.com' },
          { type: 'password', user: 'main@contoso.com', password: 'let me in' },
        );
        return opening.ok ? { ...opening, reused: false } : opening;
      },
      quit: quitConnection,
      isOpen: (connection) => connection.isOpen(),
    },
    transact: runTransaction,
    settingsDigest: '',
    holdKeys: { mailbox: 'mailbox:main', network: 'host:example:587' },
    longestHoldMilliseconds: 50,
  };
  const tools = laneTools(store);
  const { jobs } = tools;
  const ids: string[] = [];
  for (let index = 0; index < MESSAGES; index += 1) {
    const mime = Buffer.from(`Subject: ${index}\r\n\r\nIt works.\r\n${'.\r\n'.repeat(index % 3)}`);
    const to = index % 5 === 0 ? ['ada@fabrikam.com', 'ben@fabrikam.com'] : ['ada@fabrikam.com'];
    const message = aMessage({ id: `msg_${index}`, mime, to });
    await messages.accept(message);
    await jobs.add('main', { messageId: message.id, number: 1, priority: 'normal' });
    ids.push(message.id);
  }
  let lane = await openLane(settings, LEASE, tools, holdTeller(SILENT_LOG));
  let owners = 1;
  return {
    ids,
    /** Hands it over as a process does that stops. */
    async handOver() {
      await lane.close(5_000);
      await mailboxes.releaseLease('main', owners === 1 ? LEASE : `owner-${owners}`);
      owners += 1;
      await mailboxes.takeLease('main', `owner-${owners}`, 60_000);
      lane = await openLane(settings, `owner-${owners}`, tools, holdTeller(SILENT_LOG));
    },
    async close() {
      await lane.close(5_000);
      await jobs.close();
    },
  };
}

/** The most of these times that lie in any window. */
function busiest(times: number[]): number {
  return Math.max(
    ...times.map((from) => times.filter((at) => at >= from && at < from + PACE.windowMilliseconds).length),
  );
}

const AFTER_DOT: Deed[] = [
  { say: '451 4.3.0 Not now' },
  { say: '554 5.6.0 Not this one' },
  { say: '421 4.3.2 Closing', afterwards: 'close' },
  { afterwards: 'close' },
  { isKept: true, afterwards: 'close' },
  { say: '250 2.0.0 OK', isKept: true, afterwards: 'close' },
  { say: '250 2.0.0 OK', isKept: true, after: 80 },
  { say: '250 2.0.0 OK', isKept: true, after: 1_200 },
  { say: '250 2.0.0 OK\r\n421 4.3.2 Closing', isKept: true, afterwards: 'close' },
];
const BEFORE: Record<Exclude<Command, 'dot'>, Deed[]> = {
  MAIL: [
    { say: '451 4.3.0 Not you' },
    { say: '421 4.3.2 Closing', afterwards: 'close' },
    { afterwards: 'close' },
    { after: 70, ...USUAL.MAIL },
  ],
  RCPT: [{ say: '450 4.2.1 Busy' }, { say: '550 5.1.10 Unknown' }, { afterwards: 'close' }],
  DATA: [{ say: '451 4.3.0 No' }, { say: '421 4.3.2 Closing', afterwards: 'close' }],
};

/** Where what is said of a recipient is not what the server knows. */
async function lies(ids: string[], seen: Seen): Promise<string[]> {
  const records = await store.messages.findMany(ids);
  return records.flatMap((record, index) =>
    (record?.recipients ?? []).flatMap(({ address, status }) => {
      const copies = seen.kept.filter((each) => each === `${index} ${address}`).length;
      const isTrue = copies === 1 ? /^(sent|unconfirmed)$/ : /^(failed|deferred|queued|unconfirmed)$/;
      return copies < 2 && isTrue.test(status)
        ? []
        : [`${index} is ${status} for ${address}, who got it ${copies} times`];
    }),
  );
}

/** What a mailbox is said to have and have used, and what its messages show. */
async function miscounted(ids: string[]): Promise<string[]> {
  const records = await store.messages.findMany(ids);
  const told = await store.mailboxes.counts('main');
  const found: Record<string, number> = {};
  for (const { status = 'lost' } of records.map((record) => record ?? {}) as { status?: string }[])
    found[status] = (found[status] ?? 0) + 1;
  const recipients = records.flatMap((record) => record?.recipients ?? []);
  const used = recipients.filter(({ status }) => status === 'sent').length;
  // Those refused at RCPT are counted with those of whom nobody knows.
  const perhaps = records
    .filter((record) => record?.status === 'unconfirmed')
    .flatMap((record) => record?.recipients ?? []);
  const { recipientsToday } = await store.mailboxes.usage('main');
  const isDayRight = recipientsToday >= used && recipientsToday <= used + perhaps.length;
  const sending = await store.redis.scard(store.keys.sending('main'));
  return [
    ...(JSON.stringify(Object.entries(told).sort()) === JSON.stringify(Object.entries(found).sort())
      ? []
      : [JSON.stringify({ told, found })]),
    ...(isDayRight ? [] : [`${recipientsToday} of the day, ${used} to ${used + perhaps.length} were used`]),
    ...(sending === 0 ? [] : [`${sending} are said to be sent at present`]),
  ];
}

it.each(['one owner', 'one owner after the other'])(
  `what a server does to one message is never the fate of the one announced with it: %s (seed ${SEED})`,
  { timeout: 120_000 },
  async (whose) => {
    const random = randomFrom(SEED);
    const decide: Decide = (command) => {
      if (command === 'dot') return random() < 0.25 ? pick(random, AFTER_DOT) : undefined;
      return random() < 0.03 ? pick(random, BEFORE[command]) : undefined;
    };
    const { seen, script } = misbehaving(decide);
    await using server = await startScriptedServer(script, ['PIPELINING', '8BITMIME', 'SIZE 1000000']);
    const { ids, handOver, close } = await openLaneTo(server, PACE);
    let left = ids;
    await eventually(
      async () => {
        if (whose !== 'one owner') await handOver();
        await pause(300);
        const records = await store.messages.findMany(left);
        left = left.filter((_, index) => ['queued', 'sending'].includes(records[index]?.status ?? ''));
        return left.length === 0;
      },
      () => `${left.length} are not over: ${left}`,
      90_000,
    );
    await close();
    expect(await lies(ids, seen)).toEqual([]);
    expect(await miscounted(ids)).toEqual([]);
    expect(seen.outOfPlace).toEqual([]);
    expect(seen.announced).toBeGreaterThan(5);
    expect(busiest(seen.begunAt)).toBeLessThanOrEqual(PACE.perWindow);
  },
);

it('a message that a server was told of takes a place of the window, although it could not go', async () => {
  const refuseAnnouncing: Decide = (_, isAnnounced) => (isAnnounced ? { say: '554 5.6.0 Not this one' } : undefined);
  const { seen, script } = misbehaving(refuseAnnouncing);
  await using server = await startScriptedServer(script, ['PIPELINING']);
  const pace = { ...PACE, perWindow: 30, windowMilliseconds: 10_000 };
  const { close } = await openLaneTo(server, pace);
  await eventually(async () => (await store.mailboxes.usage('main')).inWindow >= pace.perWindow);
  await close();
  expect(seen.announced).toBeGreaterThan(0);
  expect(seen.begunAt.length).toBeLessThanOrEqual(pace.perWindow);
});

it('a mailbox that may send thirty a minute has no message announced, which its server might read after a worker died', async () => {
  const { seen, script } = misbehaving(() => undefined);
  await using server = await startScriptedServer(script, ['PIPELINING']);
  const { close } = await openLaneTo(server, { ...PACE, perWindow: 30, windowMilliseconds: 60_000 });
  await eventually(() => seen.begunAt.length === 30);
  await close();
  expect(seen.announced).toBe(0);
});
