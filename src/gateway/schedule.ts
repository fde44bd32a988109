import type { Caller, Change } from './api.ts';
import type { ChangeTools } from './change.ts';
import type { Ticket } from './deliver.ts';
import type { Accepted, MessageStore, Moved, NewMessage } from './ports.ts';
import { mayRead } from './read.ts';
import { rfc3339 } from './view.ts';

/** A message that is to go later. Times are milliseconds since the epoch. */
export interface NewScheduled extends NewMessage {
  sendAt: number;
  /** How its content says `sendAt` in its Date field; with a change of the one the other changes. */
  /** The Date field that was made for it; absent where the caller gave its own, which stays. */
  date?: string;
}

/** Messages that wait for their time. Rejects with what the store throws when it cannot be asked. */
export interface ScheduleStore {
  accept(message: NewScheduled): Promise<Accepted>;
  /** Another time for a message that is still `scheduled`. */
  reschedule(id: string, to: { sendAt: number; expiresAt: number; date: string }): Promise<Moved>;
  /** Lets a waiting message go now, if it has one of these statuses; with `first` before the others of its lane. */
  expedite(id: string, wish: { from: Waiting[]; first: boolean; date: string }): Promise<Moved>;
  /** Queues some of what is due. */
  releaseDue(asOf: number): Promise<Released>;
}

export type Waiting = 'scheduled' | 'queued' | 'deferred';

export interface Released {
  /** The store's clock. */
  now: number;
  /** When the next scheduled message is due, or was; undefined where there is none. */
  next: number | undefined;
  queued: { mailbox: string; ticket: Ticket; expiresAt: number }[];
}

export interface ScheduleTools extends ChangeTools {
  schedule: ScheduleStore;
  /** Milliseconds since the epoch, by a clock that a jump of the machine's does not move. */
  steadyNow(): number;
}

/** A time as the Date field has it (RFC 5322 §3.3); as long for every time of our age. */
export function dateField(time: number): string {
  return new Date(time).toUTCString().replace('GMT', '+0000');
}

/** Another time for a scheduled message; none, or one that has passed, means now. */
export async function rescheduleMessage(
  tools: ScheduleTools,
  caller: Caller,
  id: string,
  sendAt: number | null,
): Promise<Change> {
  const record = await tools.messages.find(id);
  if (!record || !mayRead(caller, record)) return { kind: 'unknown' };
  if (record.status !== 'scheduled') return { kind: 'tooLate', status: record.status };
  if (sendAt === null || sendAt <= tools.steadyNow()) return goNow(tools, record, ['scheduled'], false);
  const expiresAt = record.lifetime === undefined ? record.expiresAt : sendAt + record.lifetime;
  if (sendAt >= expiresAt) return { kind: 'unfit', errors: [{ pointer: '/sendAt', message: pastExpiry(expiresAt) }] };
  return changeOf(await tools.schedule.reschedule(id, { sendAt, expiresAt, date: dateField(sendAt) }));
}

/** A waiting message goes before the others of its mailbox: a scheduled or deferred one does not wait for its time. */
export async function expediteMessage(tools: ScheduleTools, caller: Caller, id: string): Promise<Change> {
  const record = await tools.messages.find(id);
  if (!record || !mayRead(caller, record)) return { kind: 'unknown' };
  return goNow(tools, record, ['scheduled', 'queued', 'deferred'], true);
}

async function goNow(
  { schedule, enqueue, now }: ScheduleTools,
  { id, mailbox, priority }: { id: string; mailbox: string; priority: Ticket['priority'] },
  from: Waiting[],
  first: boolean,
): Promise<Change> {
  const moved = await schedule.expedite(id, { from, first, date: dateField(now().getTime()) });
  // The sweeper finds a queued message without a job.
  if (moved.moved)
    await enqueue(mailbox, { messageId: id, number: moved.ticket, priority: first ? 'first' : priority }).catch(
      () => undefined,
    );
  return changeOf(moved);
}

function changeOf(moved: Moved): Change {
  if (moved.moved) return { kind: 'changed' };
  return moved.status ? { kind: 'tooLate', status: moved.status } : { kind: 'unknown' };
}

function pastExpiry(expiresAt: number): string {
  return `The message expires at ${rfc3339(expiresAt)}, which its caller fixed; give a time before that.`;
}

export interface ReleaseTools {
  schedule: Pick<ScheduleStore, 'releaseDue'>;
  postpone: MessageStore['postpone'];
  addJob(mailbox: string, ticket: Ticket): Promise<void>;
  wake(mailbox: string): Promise<unknown>;
  log: { info(fields: object, sentence: string): void };
}

/**
 * Queues some of the scheduled messages whose time has come. A process that dies on the way leaves queued messages
 * without jobs, which the sweeper finds within seconds.
 *
 * @param asOf milliseconds since the epoch
 */
export async function releaseDue(tools: ReleaseTools, asOf: number): Promise<Released> {
  const released = await tools.schedule.releaseDue(asOf);
  const { queued } = released;
  if (queued.length === 0) return released;
  for (const { mailbox, ticket } of queued)
    tools.log.info({ messageId: ticket.messageId, mailbox }, 'Scheduled message queued');
  await Promise.all(queued.map(({ mailbox, ticket }) => tools.addJob(mailbox, ticket)));
  // They have their jobs, and need nobody to look after them; one that has moved on meanwhile may.
  await Promise.all(queued.map(({ ticket, expiresAt }) => tools.postpone(ticket.messageId, ticket.number, expiresAt)));
  await Promise.all([...new Set(queued.map(({ mailbox }) => mailbox))].map(tools.wake));
  return released;
}
