import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { firstCallers } from './credentials.ts';
import { entraTokens } from './entra-tokens.ts';
import { type AcceptTools, accept, replay, type Sender } from './gateway/accept.ts';
import { type Api, IdentityUnavailable, type KeysApi, StoreUnavailable } from './gateway/api.ts';
import { authenticate } from './gateway/authenticate.ts';
import { type ChangeTools, cancelMessage, resolveMessage, retryMessage } from './gateway/change.ts';
import { countMessages } from './gateway/counts.ts';
import type { Ticket } from './gateway/deliver.ts';
import { headroom } from './gateway/headroom.ts';
import { newMessageId } from './gateway/identifiers.ts';
import { keyCache } from './gateway/key-cache.ts';
import { changeKey, createKey, type KeyTools, listKeys, readKey, revokeKey, rotateKey } from './gateway/keys.ts';
import { listMessages } from './gateway/list.ts';
import { holdMailbox, listMailboxes, type OperateTools, readMailbox, releaseMailbox } from './gateway/operate.ts';
import { previewMessage } from './gateway/preview.ts';
import { readMessage, readTimeline } from './gateway/read.ts';
import { retryMessages } from './gateway/retry-many.ts';
import { expediteMessage, rescheduleMessage, type ScheduleTools } from './gateway/schedule.ts';
import type { SearchTools } from './gateway/search.ts';
import { watchDelays } from './gateway/sweep.ts';
import { createServer, DEFAULT_LIMITS, type HttpLimits } from './http/server.ts';
import { markTests } from './lane-log.ts';
import type { MailboxConfig } from './mailbox-config.ts';
import { laneSettings, paceOf } from './mailboxes.ts';
import { pacedLog } from './paced-log.ts';
import { sharedBackends } from './queue/backend.ts';
import { type Clock, type KnownClock, steadyClock } from './queue/clock.ts';
import { tellDamage } from './queue/damage-log.ts';
import { FIRST_JOBS, type Jobs, jobQueues } from './queue/jobs.ts';
import { driveLanes } from './queue/lanes.ts';
import { recoverMessage, sweepAway } from './queue/recovery.ts';
import { startReleaser } from './queue/releaser.ts';
import { BOOT } from './queue/same-host.ts';
import { steadyTime } from './queue/steady-time.ts';
import { startSweeper } from './queue/sweeper.ts';
import { startTidier } from './queue/tidier.ts';
import type { LaneLog, LaneTools } from './queue/tools.ts';
import { redisTrouble } from './redis-trouble.ts';
import { composeMessage } from './smtp/compose.ts';
import { watchStandstill } from './standstill.ts';
import { StartupError } from './startup-error.ts';
import { admissionStore } from './store/admission.ts';
import { keyStore, watchKeys } from './store/api-keys.ts';
import { watchChanges } from './store/changes.ts';
import { clockMemory } from './store/clock-memory.ts';
import { watchForDemotion } from './store/demoted.ts';
import { readLoads } from './store/headroom.ts';
import { redisChecks, settingsChecks } from './store/health.ts';
import { type Keys, keysOf } from './store/keys.ts';
import { messageLists } from './store/lists.ts';
import { mailboxStore } from './store/mailboxes.ts';
import { messageStore } from './store/messages.ts';
import { rates } from './store/rates.ts';
import { connectRedis, type Patience, withScripts } from './store/redis.ts';
import { redisFacts } from './store/redis-facts.ts';
import { scheduleStore } from './store/schedule.ts';
import { testLanes } from './test-lanes.ts';
import { type TestServer, testSandbox } from './test-sandbox.ts';
import { verifier } from './verify.ts';
import { VERSION } from './version.ts';
import type { WebhookSettings } from './webhook-settings.ts';
import { startWebhooks, wireWebhookApi } from './webhook-wiring.ts';

const HOUR = 3_600_000;
/** A day is what callers are told. Redis forgets by its clock, which may be set two days ahead. */
const KEY_REMEMBERED_HOURS = 24 + 48;
/** What is being sent into the sandbox then is cut off: no deployment waits for a test message that hangs. */
const TEST_GRACE_MILLISECONDS = 3_000;

/** A configuration with nothing left open: the sandbox and the embedded Redis have filled in what was absent. */
export type Settled = Omit<Config, 'pace' | 'webhooks'> & {
  redisUrl: string;
  mailboxes: MailboxConfig[];
  apiKey: string;
  sandbox?: TestServer;
  webhooks?: WebhookSettings;
};

export interface Service {
  /** Where the API listens; undefined for the role `worker`. */
  url: string | undefined;
  /** Not ready first, then no new work, then what runs is finished within the configured grace. */
  close(): Promise<void>;
}

/** Wires everything together and starts it, in the order in which it depends on one another. */
export async function startService(config: Settled, log: Logger): Promise<Service> {
  const trouble = redisTrouble(log);
  const standstill = watchStandstill(log);
  const paced = pacedLog(markTests(log), trouble);
  const parts = connectParts(config, log, trouble.met);
  const closers: (() => Promise<unknown>)[] = [
    parts.close,
    async () => {
      paced.close();
      trouble.close();
      standstill.close();
    },
  ];
  try {
    // HTTP first: without Redis the process is alive, says that it is not ready, and answers 503.
    const http = config.role === 'worker' ? undefined : await startHttp(config, parts, log, paced);
    if (http) closers.unshift(http.close);
    const stopEngine = config.role === 'api' ? undefined : await startEngine(config, parts, log, paced);
    if (stopEngine) closers.splice(http ? 1 : 0, 0, stopEngine);
    return { url: http?.url, close: () => inOrder(closers) };
  } catch (error) {
    await inOrder(closers);
    throw error;
  }
}

type Parts = ReturnType<typeof connectParts>;

/** Connections to Redis and what is said over them. */
function connectParts(config: Settled, log: Logger, tell: (error: Error) => void) {
  const keys = keysOf(config.redisPrefix);
  const connections: Redis[] = [];
  const connect = (patience: Patience) => {
    const redis = connectRedis(config.redisUrl, patience, tell);
    connections.push(redis);
    return redis;
  };
  /** All of the process's, subscribers included: they lead to the same server. */
  const leaveReplica = () => {
    tell(
      new Error('READONLY The server is a replica; connecting anew, in case that its address leads to another by now'),
    );
    for (const redis of connections) if (redis.status === 'ready') redis.disconnect(true);
  };
  const watches: { stop(): void }[] = [];
  const warnOfSettings = settingsWarner(log);
  /** For commands, as opposed to a subscriber. */
  const connectForCommands = (patience: Patience) => {
    const redis = withScripts(connect(patience));
    redis.on('ready', () => void warnOfSettings(redis));
    watches.push(watchForDemotion(redis, leaveReplica));
    return redis;
  };
  const close = async () => {
    for (const watch of watches) watch.stop();
    for (const redis of connections) redis.disconnect();
  };
  return { keys, connect, connectForCommands, close };
}

/**
 * What a Redis we do not control may lose is said at the start, since nobody reads a readiness that is fine, and again of
 * the one that a connection leads to later, if it is otherwise.
 */
function settingsWarner(log: Logger): (redis: Redis) => Promise<void> {
  const told = new Map<string, string>();
  return async (redis) => {
    // One that does not answer is another trouble, and asked again when it does.
    const checks = await settingsChecks(redis).catch(() => ({}));
    for (const [check, { status, detail }] of Object.entries(checks)) {
      const isNew = told.get(check) !== detail;
      told.set(check, detail);
      if (isNew && status !== 'ok') log.warn({ check, detail }, 'Redis may lose what is accepted');
    }
  };
}

const retentionOf = (config: Settled) => ({
  recordMilliseconds: hours(config.retentionDays * 24),
  failedContentMilliseconds: hours(Math.min(config.retentionDays, 7) * 24),
  idempotencyMilliseconds: hours(KEY_REMEMBERED_HOURS),
  lifetimeMilliseconds: hours(config.expiresHours),
});

/** In whole milliseconds, however many decimals a setting has: Redis takes no others, and reads others as damaged. */
function hours(count: number): number {
  return Math.round(count * HOUR);
}

async function startEngine(
  config: Settled,
  { keys, connect, connectForCommands }: Parts,
  log: Logger,
  paced: LaneLog,
): Promise<() => Promise<void>> {
  const redis = connectForCommands('patient');
  const subscriber = connect('patient');
  const backends = sharedBackends(redis);
  const jobs = jobQueues(redis, keys.bull, backends);
  const mailboxes = mailboxStore(redis, keys);
  const clock = watchedClock(redis, keys, mailboxes.now);
  const tools: LaneTools = {
    redis,
    prefix: keys.bull,
    backends,
    jobs,
    messages: messageStore(redis, keys, retentionOf(config)),
    mailboxes,
    admission: admissionStore(redis, keys),
    clock,
    chance: { now: () => new Date(), random: Math.random, token: randomUUID },
    log: tellDamage(paced, mailboxes.damagedKeys),
  };
  const sandbox = testSandbox(config.sandbox, config.production, log);
  const lanes = await driveLanes({
    owner: randomUUID(),
    mailboxes: [...laneSettings(config.mailboxes), ...testLanes(config.mailboxes, sandbox)],
    tools,
    subscriber,
    channel: keys.wake,
  });
  const sweeper = startSweeper({
    messages: tools.messages,
    enqueue: enqueuer(jobs, tools.mailboxes.wake),
    giveUp: (id) => sweepAway(id, tools),
    async promote(mailbox, ticket) {
      await jobs.promote(mailbox, ticket);
      await tools.mailboxes.wake(mailbox);
    },
    recover: (id) => recoverMessage(id, tools),
    now: clock.now,
    jumped: () => clock.jumped(),
    hasWaited: watchDelays(() => performance.now()),
    log: tools.log,
  });
  const releaser = startReleaser({
    schedule: scheduleStore(redis, keys, retentionOf(config), tools.messages),
    postpone: tools.messages.postpone,
    clock,
    addJob: jobs.add,
    wake: mailboxes.wake,
    log: tools.log,
  });
  const tidier = startTidier({
    lists: messageLists(redis, keys),
    mailboxes,
    clock,
    now: mailboxes.now,
    recordMilliseconds: retentionOf(config).recordMilliseconds,
    log: paced,
  });
  const webhooks = startWebhooks({
    redis,
    connect: () => connect('patient'),
    keys,
    settings: config.webhooks,
    log: paced,
  });
  return async () => {
    sweeper.stop();
    tidier.stop();
    await releaser.stop();
    const over = setTimeout(() => void sandbox.close().catch(() => undefined), TEST_GRACE_MILLISECONDS);
    const grace = config.shutdownSeconds * 1000;
    await Promise.all([lanes.close(grace), webhooks.close(grace)]);
    clearTimeout(over);
    await sandbox.close();
    await jobs.close();
  };
}

/** What this boot of the machine knows of Redis's clock already, where it can be told from others. */
function watchedClock(redis: Redis, keys: Keys, now: () => Promise<number>): Clock {
  const memory = BOOT === undefined ? undefined : clockMemory<KnownClock>(redis, keys, BOOT);
  return steadyClock(now, undefined, undefined, memory);
}

/** Adds a job and tells whoever drives the lane: once for all jobs of a turn, and unheard it costs seconds only. */
function enqueuer(jobs: Jobs, wake: (mailbox: string) => Promise<unknown>) {
  const told = new Set<string>();
  return async (mailbox: string, ticket: Ticket) => {
    await jobs.add(mailbox, ticket);
    if (told.has(mailbox)) return;
    told.add(mailbox);
    setImmediate(() => told.delete(mailbox));
    wake(mailbox).catch(() => undefined);
  };
}

async function startHttp(config: Settled, { keys, connect, connectForCommands }: Parts, log: Logger, paced: LaneLog) {
  const asked = askedOf(paced);
  const redis = connectForCommands('prompt');
  const subscriber = connect('patient');
  const changes = watchChanges(subscriber, keys);
  const apiKeys = keyStore(redis, keys);
  const knownKeys = keyCache(apiKeys, Date.now);
  watchKeys(subscriber, keys, knownKeys);
  const charge = rates(redis, keys);
  const messages = messageStore(redis, keys, retentionOf(config), FIRST_JOBS);
  const mailboxes = mailboxStore(redis, keys);
  const jobs = jobQueues(redis, keys.bull, sharedBackends(redis));
  const webhooks = wireWebhookApi(redis, keys, messages, config.webhooks);
  const tools: AcceptTools & ChangeTools & ScheduleTools & OperateTools & SearchTools = {
    senders: config.mailboxes.map(senderOf),
    allowTo: config.allowTo,
    messages,
    schedule: scheduleStore(redis, keys, retentionOf(config), messages),
    headroom: headroom((ids) => readLoads(redis, keys, ids)),
    steadyNow: steadyWallClock(),
    lists: messageLists(redis, keys),
    compose: composeMessage,
    mailboxes,
    enqueue: enqueuer(jobs, mailboxes.wake),
    lifetimeMilliseconds: retentionOf(config).lifetimeMilliseconds,
    newId: newMessageId,
    now: () => new Date(),
    webhookIdsOf: webhooks.idsOf,
    log: paced,
  };
  const isSender = (id: string) => tools.senders.some((each) => each.id === id);
  const callers = {
    first: firstCallers(config.apiKey, config.testApiKey),
    keys: knownKeys,
    tokens: config.entra && entraTokens(config.entra, { now: Date.now, monotonic: () => performance.now() }, log),
    defaultRate: config.defaultRate,
  };
  let closing = false;
  const api: Api = {
    authenticate: (credential) => {
      const caller = authenticate(callers, credential);
      return caller instanceof Promise ? asked(() => caller) : caller;
    },
    charge: ({ id, rate }, cost) => rate && asked(() => charge(id, rate, cost)),
    keys: eachAsked(keysApi({ keys: apiKeys, now: tools.now, log }), asked),
    replay: (caller, idempotency) => asked(() => replay(tools, caller, idempotency)),
    accept: (caller, submission, idempotency) => asked(() => accept(tools, caller, submission, idempotency)),
    preview: (caller, submission) => asked(() => previewMessage(tools, caller, submission)),
    read: (caller, id) => asked(() => readMessage(messages, tools.senders, caller, id)),
    list: (caller, query) => asked(() => listMessages(tools, caller, query)),
    counts: (caller) => asked(() => countMessages(tools, caller)),
    retryMany: (caller, query) => asked(() => retryMessages(tools, caller, query)),
    timeline: (caller, id) => asked(() => readTimeline(messages, caller, id)),
    changed: changes.changed,
    cancel: (caller, id) => asked(() => cancelMessage(tools, caller, id)),
    retry: (caller, id) => asked(() => retryMessage(tools, caller, id)),
    resolve: (caller, id, outcome) => asked(() => resolveMessage(tools, caller, id, outcome)),
    reschedule: (caller, id, sendAt) => asked(() => rescheduleMessage(tools, caller, id, sendAt)),
    expedite: (caller, id) => asked(() => expediteMessage(tools, caller, id)),
    mailboxes: () => asked(() => listMailboxes(tools)),
    mailbox: (id) => asked(() => readMailbox(tools, id)),
    hold: (id, reason, by) => asked(async () => (isSender(id) ? holdMailbox(tools, id, reason, by) : undefined)),
    release: (id, by) => asked(async () => (isSender(id) ? releaseMailbox(tools, id, by) : undefined)),
    metrics: () =>
      asked(async () => {
        const [ofMessages, ofWebhooks] = await Promise.all([mailboxes.metrics(), webhooks.metrics()]);
        return { ...ofMessages, webhooks: ofWebhooks };
      }),
    webhooks: eachAsked(webhooks.api, asked),
    verify: verifier(config.mailboxes, () => redisFacts(redis, keys.probe), admissionStore(redis, keys)),
    async readiness() {
      if (closing)
        return { ready: false, checks: { process: { status: 'fail', detail: 'This process is stopping.' } } };
      const checks = await redisChecks(redis, keys.probe, mailboxes.damagedKeys);
      return { ready: Object.values(checks).every(({ status }) => status !== 'fail'), checks };
    },
  };
  const [sender] = config.mailboxes;
  const app = await createServer({
    api,
    logger: log,
    version: VERSION,
    limits: {
      ...bodyLimits(config),
      ...(config.callerRequests !== undefined && { callerRequests: config.callerRequests }),
      ...(config.callerWaiting !== undefined && { callerWaiting: config.callerWaiting }),
    },
    ...(sender && { exampleFrom: sender.address }),
  });
  await connectedSoon(redis);
  const url = await listen(() => app.listen({ host: config.host, port: config.port }), config);
  return {
    url,
    close: async () => {
      closing = true;
      await app.close();
      await Promise.all([jobs.close(), webhooks.close()]);
    },
  };
}

/** How long HTTP waits at its start for a Redis that may be there. */
const CONNECTED_SOON_MILLISECONDS = 2_000;

/** A request that comes at once is not to be refused for a connection that is only being made. */
async function connectedSoon(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return;
  await once(redis, 'ready', { signal: AbortSignal.timeout(CONNECTED_SOON_MILLISECONDS) }).catch(() => undefined);
}

/** Base64 in JSON is shorter than in MIME, where it has line ends; the rest of a message takes little. */
function bodyLimits({ mailboxes, bodyMemoryMegabytes = 512 }: Settled): Partial<HttpLimits> {
  const messageBytes = Math.max(...mailboxes.map(({ limits }) => limits.messageBytes));
  const bodyBytes = Math.max(DEFAULT_LIMITS.bodyBytes, messageBytes + 4 * 1024 * 1024);
  return { messageBytes, bodyBytes, bodyMemoryBytes: bodyMemoryMegabytes * 1024 * 1024 };
}

function senderOf({ id, from, limits }: MailboxConfig): Sender {
  const { recipientsPerMessage, recipientsPerDay, messageBytes, connections } = limits;
  const { perWindow, windowMilliseconds } = paceOf(limits);
  const pace = { perWindow, windowMilliseconds };
  // What is more than a day's never could go, and would hold all that waits behind it.
  const most = Math.min(recipientsPerMessage, recipientsPerDay);
  return { id, from, recipientsPerMessage: most, recipientsPerDay, messageBytes, connections, pace };
}

async function listen(start: () => Promise<string>, { host, port }: Settled): Promise<string> {
  try {
    return await start();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE')
      throw new StartupError(`Port ${port} on ${host} is in use. Stop what uses it, or set PORT to another one.`);
    if (code === 'EACCES')
      throw new StartupError(`Port ${port} may not be used by this user. Set PORT to one above 1023.`);
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
      throw new StartupError(`HOST ${host} is not an address of this machine.`);
    throw error;
  }
}

function keysApi(tools: KeyTools): KeysApi {
  return {
    create: (wish, by) => createKey(tools, wish, by),
    list: () => listKeys(tools),
    read: (id) => readKey(tools, id),
    change: (id, change, by) => changeKey(tools, id, change, by),
    rotate: (id, graceMilliseconds, by) => rotateKey(tools, id, graceMilliseconds, by),
    revoke: (id, by) => revokeKey(tools, id, by),
  };
}

/** What is to go later must not go at once because this machine's clock was set ahead. */
function steadyWallClock(): () => number {
  const time = steadyTime();
  return () => {
    time.learn(Date.now());
    return time.now() ?? Date.now();
  };
}

type Asked = <T>(ask: () => Promise<T>) => Promise<T>;

/** Whatever the store throws means the same to a caller: not now. The log is told what it was. */
function askedOf(log: Pick<LaneLog, 'warn'>): Asked {
  return async (ask) => {
    try {
      return await ask();
    } catch (cause) {
      if (cause instanceof IdentityUnavailable) throw cause;
      log.warn({ error: cause }, 'The store could not be asked');
      throw new StoreUnavailable('The store could not be asked', { cause });
    }
  };
}

/** The same for every call of a part of the API. */
function eachAsked<Part extends object>(part: Part, asked: Asked): Part {
  const calls = Object.entries(part).map(([name, ask]) => [
    name,
    // So that what throws at once is told like what rejects.
    (...args: unknown[]) => asked(async () => ask(...args)),
  ]);
  return Object.fromEntries(calls) as Part;
}

async function inOrder(closers: (() => Promise<unknown>)[]): Promise<void> {
  for (const close of closers.splice(0)) await close();
}
