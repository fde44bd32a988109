import { EventEmitter, once } from 'node:events';
import {
  type Api,
  type Caller,
  type Idempotency,
  type Replayed,
  StoreUnavailable,
  type TimelineEvent,
} from '../../src/gateway/api.ts';
import type { ListQuery } from '../../src/gateway/list.ts';
import { cursorOf } from '../../src/gateway/position.ts';
import type { RetryQuery } from '../../src/gateway/retry-many.ts';
import type { MessageView } from '../../src/gateway/view.ts';
import type { Submission } from '../../src/mail/message.ts';

/** A key for every purpose; each belongs to a caller of its own. */
export const KEYS = {
  all: 'pr_fake_all_0123456789abcdef0123456789abcdef',
  other: 'pr_fake_other_0123456789abcdef0123456789abcd',
  sendOnly: 'pr_fake_send_0123456789abcdef0123456789abcde',
  readOnly: 'pr_fake_read_0123456789abcdef0123456789abcde',
  operator: 'pr_fake_operate_0123456789abcdef0123456789ab',
  test: 'pr_test_fake_0123456789abcdef0123456789abcdef',
} as const;

const CALLERS: Readonly<Record<string, Caller>> = {
  [KEYS.all]: { id: 'all', permissions: ['send', 'read'] },
  [KEYS.other]: { id: 'other', permissions: ['send', 'read'] },
  [KEYS.sendOnly]: { id: 'sendOnly', permissions: ['send'] },
  [KEYS.readOnly]: { id: 'readOnly', permissions: ['read'] },
  [KEYS.operator]: { id: 'operator', permissions: ['operate'] },
  [KEYS.test]: { id: 'test', permissions: ['send', 'read', 'operate'], test: true },
};

interface Held {
  callerId: string;
  message: MessageView;
  revision: number;
  events: TimelineEvent[];
}

/** A gateway in memory: it accepts, and a test moves the messages on. */
export function fakeApi() {
  const held = new Map<string, Held>();
  const replays = new Map<string, { fingerprint: string; message: MessageView }>();
  const changes = new EventEmitter().setMaxListeners(0);
  const calls = { authenticate: 0, replay: 0, accept: 0, read: 0, timeline: 0, changed: 0 };
  const submissions: Submission[] = [];
  const queries: ListQuery[] = [];
  const retries: RetryQuery[] = [];

  function store(caller: Caller, submission: Submission, idempotency?: Idempotency): MessageView {
    const message = viewOf(`msg_${held.size + 1}`, submission);
    held.set(message.id, { callerId: caller.id, message, revision: 1, events: [] });
    tell(message.id);
    submissions.push(submission);
    if (idempotency) replays.set(`${caller.id} ${idempotency.key}`, { ...idempotency, message });
    return message;
  }

  function earlierOf(caller: Caller, { key, fingerprint }: Idempotency): Replayed | undefined {
    const earlier = replays.get(`${caller.id} ${key}`);
    if (!earlier) return undefined;
    if (earlier.fingerprint !== fingerprint) return { kind: 'conflict', messageId: earlier.message.id };
    return { kind: 'replayed', message: earlier.message };
  }

  function tell(id: string): void {
    const found = held.get(id);
    if (!found) return;
    const { status, updatedAt, failure } = found.message;
    const code = failure && { code: failure.code };
    found.events.push({ number: found.events.length + 1, at: updatedAt, status, ...code });
  }

  const api: Api = {
    authenticate: async (key) => {
      calls.authenticate++;
      return Object.hasOwn(CALLERS, key) ? CALLERS[key] : undefined;
    },
    replay: async (caller, idempotency) => {
      calls.replay++;
      return earlierOf(caller, idempotency);
    },
    accept: async (caller, submission, idempotency) => {
      calls.accept++;
      if (submission.subject === 'Redis is away') throw new StoreUnavailable('away');
      const earlier = idempotency && earlierOf(caller, idempotency);
      return earlier ?? { kind: 'accepted', message: store(caller, submission, idempotency) };
    },
    preview: async (_caller, submission) => {
      if (submission.subject === 'Redis is away') throw new StoreUnavailable('away');
      const { mailbox, sizeBytes, recipients } = viewOf('msg_0', submission);
      return {
        kind: 'preview',
        preview: { status: 'queued', mailbox, recipients: recipients.map(({ address }) => address), sizeBytes },
      };
    },
    read: async (caller, id) => {
      calls.read++;
      const found = held.get(id);
      return found?.callerId === caller.id ? { message: found.message, etag: `r${found.revision}` } : undefined;
    },
    list: async (caller, query) => {
      queries.push(query);
      const own = [...held.values()].filter(({ callerId }) => callerId === caller.id);
      const messages = own.map(({ message: { attempts: _, ...listed } }) => listed);
      return { messages, next: cursorOf({ acceptedAt: 1, id: 'msg_1' }) };
    },
    counts: async (caller) => ({
      statuses: { failed: 1 },
      mailboxes: [{ mailbox: 'fake', statuses: { failed: 1 } }],
      ...(caller.permissions.includes('operate') && {
        test: { statuses: { sent: 1 }, mailboxes: [{ mailbox: 'fake', statuses: { sent: 1 } }] },
      }),
    }),
    retryMany: async (_caller, query) => {
      retries.push(query);
      return { retried: 1, notRetried: { contentGone: 0, notAllowed: 0, tooLate: 0 } };
    },
    timeline: async (caller, id) => {
      calls.timeline++;
      const found = held.get(id);
      return found?.callerId === caller.id ? [...found.events] : undefined;
    },
    changed: async (id, milliseconds, signal) => {
      calls.changed++;
      // Not `AbortSignal.timeout`: joined by `AbortSignal.any` it may be collected as garbage before its time.
      const over = new AbortController();
      const timer = setTimeout(() => over.abort(), milliseconds);
      const told = once(changes, id, { signal: AbortSignal.any([signal, over.signal]) });
      return told
        .then(() => true)
        .catch(() => false)
        .finally(() => clearTimeout(timer));
    },
    charge: () => undefined,
    keys: {
      create: async () => Promise.reject(new Error('There are no keys here.')),
      list: async () => [],
      read: async () => undefined,
      change: async () => ({ kind: 'unknown' }),
      rotate: async () => ({ kind: 'unknown' }),
      revoke: async () => ({ kind: 'unknown' }),
    },
    readiness: async () => ({ ready: true, checks: { store: { status: 'ok', detail: 'All is in memory.' } } }),
    cancel: async () => ({ kind: 'unknown' }),
    retry: async () => ({ kind: 'unknown' }),
    resolve: async () => ({ kind: 'unknown' }),
    reschedule: async (caller, id, sendAt) => {
      const found = held.get(id);
      if (found?.callerId !== caller.id) return { kind: 'unknown' };
      if (found.message.status !== 'scheduled') return { kind: 'tooLate', status: found.message.status };
      if (sendAt !== null && sendAt >= Date.parse(found.message.expiresAt))
        return { kind: 'unfit', errors: [{ pointer: '/sendAt', message: 'After its end.' }] };
      const change = sendAt === null ? { status: 'queued' as const } : { sendAt: new Date(sendAt).toISOString() };
      found.message = { ...found.message, ...change };
      return { kind: 'changed' };
    },
    expedite: async (caller, id) => {
      const found = held.get(id);
      if (found?.callerId !== caller.id) return { kind: 'unknown' };
      if (found.message.status === 'sent') return { kind: 'tooLate', status: 'sent' };
      return { kind: 'changed' };
    },
    mailboxes: async () => [],
    mailbox: async () => undefined,
    hold: async () => undefined,
    release: async () => undefined,
    metrics: async () => ({
      messages: [],
      holds: [],
      driven: [],
      webhooks: { outbox: 0, dropped: { outboxFull: 0, tooOld: 0, queueFull: 0 } },
    }),
    verify: async () => undefined,
    webhooks: noWebhooks(),
  };

  return {
    api,
    /** How often each was called. */
    calls,
    /** Everything accepted, oldest first. */
    submissions,
    /** Every list and every retry of many that was asked for. */
    queries,
    retries,
    /** Changes a message as callers see it. */
    move(id: string, change: Partial<MessageView>): void {
      const found = held.get(id);
      if (!found) throw new Error(`There is no message ${id}.`);
      found.message = { ...found.message, ...change };
      found.revision++;
      tell(id);
      changes.emit(id);
    },
    /** Readers who listen for a change of this message at present. */
    listeners: (id: string): number => changes.listenerCount(id),
  };
}

function noWebhooks(): Api['webhooks'] {
  return {
    create: async () => ({ kind: 'tooMany', limit: 0 }),
    list: async () => [],
    read: async () => undefined,
    change: async () => undefined,
    remove: async () => false,
    rotate: async () => undefined,
    test: async () => undefined,
    replay: async () => undefined,
    deliveries: async () => undefined,
  };
}

function viewOf(id: string, submission: Submission): MessageView {
  const { from, to, cc, bcc, subject, tags, metadata, onUnconfirmed, priority } = submission;
  const now = new Date().toISOString();
  const addresses = [...to, ...cc, ...bcc].map(({ address }) => address);
  return {
    ...{ id, status: 'queued', mailbox: 'fake', subject, tags, metadata, onUnconfirmed, priority },
    from: from.address,
    to: to.map(({ address }) => address),
    cc: cc.map(({ address }) => address),
    bcc: bcc.map(({ address }) => address),
    internetMessageId: `<${id}@contoso.com>`,
    sizeBytes: 1_000,
    ...{ createdAt: now, updatedAt: now, expiresAt: now },
    recipients: addresses.map((address) => ({ address, status: 'queued' })),
    attempts: [],
  };
}
