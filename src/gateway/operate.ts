import type { Failure } from '../failure/failure.ts';
import { testLaneOf } from '../mail/test-lane.ts';
import type { Sender } from './accept.ts';
import type { MailboxView } from './api.ts';
import { estimateSendAt } from './estimate.ts';
import type { DamagedKey, MailboxStore, StoredHold } from './ports.ts';
import { lastingHold, rfc3339 } from './view.ts';

/** What an operator sees and does of the mailboxes. */
export interface OperateTools {
  senders: Sender[];
  mailboxes: MailboxStore;
  now(): Date;
  log: { info(fields: object, sentence: string): void; warn(fields: object, sentence: string): void };
}

type ReadTools = Omit<OperateTools, 'log'>;

export async function listMailboxes(tools: ReadTools): Promise<MailboxView[]> {
  return Promise.all(tools.senders.map((sender) => viewMailbox(tools, sender)));
}

export async function readMailbox(tools: ReadTools, id: string): Promise<MailboxView | undefined> {
  const sender = tools.senders.find((each) => each.id === id);
  return sender && viewMailbox(tools, sender);
}

/**
 * Stops a mailbox until a person releases it. What is being sent is finished. Again, it only gives another reason.
 *
 * @param by who asks, for the log
 */
export async function holdMailbox(
  tools: OperateTools,
  id: string,
  reason: string,
  by: string,
): Promise<MailboxView | undefined> {
  const key = `mailbox:${id}`;
  const [now, holds] = await Promise.all([tools.mailboxes.now(), tools.mailboxes.holds([key])]);
  const earlier = holds.get(key);
  await tools.mailboxes.setHold(key, {
    failure: heldByOperator(reason, new Date(now)),
    since: earlier?.byOperator ? earlier.since : now,
    nextProbeAt: now,
    probes: 0,
    settings: '',
    byOperator: true,
  });
  tools.log.warn({ mailbox: id, by, reason }, 'Mailbox held by an operator');
  return readMailbox(tools, id);
}

/** Ends an operator's hold; brings the next try of any other hold forward to now. @param by who asks, for the log */
export async function releaseMailbox(tools: OperateTools, id: string, by: string): Promise<MailboxView | undefined> {
  const { mailboxes } = tools;
  const holds = await mailboxes.releaseHolds(id);
  tools.log.info({ mailbox: id, by, holds }, 'Mailbox released by an operator, or to be tried now');
  await mailboxes.wake(id);
  return readMailbox(tools, id);
}

/** One whose keys are damaged must not keep an operator from seeing the others. */
async function viewMailbox(tools: ReadTools, sender: Sender): Promise<MailboxView> {
  try {
    return await viewWhole(tools, sender);
  } catch (error) {
    const damaged = await tools.mailboxes.damagedKeys(sender.id);
    if (damaged.length === 0) throw error;
    return viewDamaged(sender, damaged, tools.now());
  }
}

async function viewWhole({ mailboxes }: ReadTools, sender: Sender): Promise<MailboxView> {
  const [holds, counts, usage, driven, test] = await Promise.all([
    mailboxes.holdsOf(sender.id),
    mailboxes.counts(sender.id),
    mailboxes.usage(sender.id),
    mailboxes.isDriven(sender.id),
    viewTests(mailboxes, sender.id),
  ]);
  const hold = lastingHold(holds);
  const { pace, connections, recipientsPerMessage, messageBytes } = sender;
  const count = (counts.queued ?? 0) + (counts.deferred ?? 0);
  const left = Math.max(0, pace.perWindow - usage.inWindow);
  return {
    id: sender.id,
    from: sender.from,
    state: hold ? 'held' : 'open',
    ...(hold && { hold: viewHold(hold) }),
    messages: hold ? asHeld(counts) : counts,
    waiting: {
      count,
      ...(count > 0 && { driven }),
      ...(!hold && driven && count > 0 && { estimatedLastSendAt: lastSendAt(count, usage, sender) }),
    },
    window: {
      seconds: pace.windowMilliseconds / 1000,
      limit: pace.perWindow,
      left,
      ...(left === 0 && usage.nextFreeAt !== undefined && { nextFreeAt: rfc3339(usage.nextFreeAt) }),
    },
    day: { limit: sender.recipientsPerDay, left: Math.max(0, sender.recipientsPerDay - usage.recipientsToday) },
    limits: { connections, recipientsPerMessage, messageBytes },
    ...(test && { test }),
  };
}

/** How much waits in it, and what it has left, is not to be known. */
function viewDamaged({ id, from, pace, ...limits }: Sender, damaged: DamagedKey[], now: Date): MailboxView {
  const { connections, recipientsPerMessage, messageBytes, recipientsPerDay } = limits;
  const failure = keysDamaged(damaged, now);
  return {
    id,
    from,
    state: 'held',
    hold: viewHold({ failure, since: now.getTime(), nextProbeAt: now.getTime(), probes: 0, settings: '' }),
    messages: {},
    waiting: { count: 0 },
    window: { seconds: pace.windowMilliseconds / 1000, limit: pace.perWindow, left: 0 },
    day: { limit: recipientsPerDay, left: 0 },
    limits: { connections, recipientsPerMessage, messageBytes },
  };
}

/** Nothing of the mailbox goes on while its keys are not what Postroom keeps there. */
function keysDamaged(damaged: DamagedKey[], at: Date): Failure {
  const named = damaged.map(({ key, holds, should }) => `${key} (is a ${holds}, should be a ${should})`);
  return {
    category: 'configuration',
    code: 'mailbox_damaged',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: `Keys of this mailbox in Redis are not what Postroom has written: ${named.join(', ')}.`,
    remedy:
      'Find out who has written to our keys: only Postroom may. Then delete those named with redis-cli (DEL): the mailbox goes on by itself. A message of it that does not is expedited (POST /v1/messages/{id}/expedite).',
    at: at.toISOString(),
  };
}

/** What waits in a held mailbox reads as `held`. */
function asHeld({ queued = 0, deferred = 0, ...others }: MailboxView['messages']): MailboxView['messages'] {
  return queued + deferred > 0 ? { ...others, held: queued + deferred } : others;
}

type Usage = Awaited<ReturnType<MailboxStore['usage']>>;

function lastSendAt(count: number, usage: Usage, { pace, recipientsPerDay }: Sender): string {
  const { inWindow, nextFreeAt, now, recipientsToday: used } = usage;
  // Where all that are taken are taken by those that run, a place is free a window after the first answer.
  const use = { taken: inWindow, nextFreeAt: nextFreeAt ?? now + pace.windowMilliseconds };
  return rfc3339(estimateSendAt(count - 1, pace, now, use, { perDay: recipientsPerDay, used }));
}

/** Apart from the mailbox's own: what a team tries out must not look like a backlog. */
async function viewTests(mailboxes: MailboxStore, id: string): Promise<MailboxView['test']> {
  const messages = await mailboxes.counts(testLaneOf(id));
  if (Object.keys(messages).length === 0) return undefined;
  const hold = lastingHold(await mailboxes.holdsOf(testLaneOf(id)));
  return {
    state: hold ? 'held' : 'open',
    ...(hold && { hold: viewHold(hold) }),
    messages: hold ? asHeld(messages) : messages,
  };
}

function viewHold({ failure, since, nextProbeAt, probes, byOperator }: StoredHold): NonNullable<MailboxView['hold']> {
  return {
    failure,
    since: rfc3339(since),
    probes,
    byOperator: byOperator === true,
    ...(!byOperator && { nextProbeAt: rfc3339(nextProbeAt) }),
  };
}

function heldByOperator(reason: string, at: Date): Failure {
  return {
    category: 'heldByOperator',
    code: 'held_by_operator',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: `An operator holds this mailbox${reason ? `: ${reason}` : '.'}`,
    remedy: 'An operator releases it when its time has come.',
    at: at.toISOString(),
  };
}
