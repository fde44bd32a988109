import type { Category, Failure } from '../failure/failure.ts';
import { parseAddress } from '../mail/address.ts';
import type { MessageRecord } from '../mail/message.ts';
import type { Status } from '../mail/status.ts';
import { mailboxOf } from '../mail/test-lane.ts';
import type { MailboxStore } from './ports.ts';
import { type Hold, lastingHold, readingOf } from './view.ts';

/** Which messages are meant; all that is given must be true of them. */
export interface MessageFilter {
  /** Any of these, as they read: what waits in a held mailbox is `held`. */
  status?: Status[];
  mailbox?: string;
  /** An envelope address, in any case. */
  recipient?: string;
  tag?: string;
  /** Of the present failure. */
  category?: Category;
  /** Accepted at this time or later; milliseconds since the epoch. */
  createdAfter?: number;
  /** Accepted before this time; milliseconds since the epoch. */
  createdBefore?: number;
  /** Only those of test keys, or only the others. */
  test?: boolean;
}

/** A message that is meant, and what holds it. */
export interface Match {
  record: MessageRecord;
  hold: Hold | undefined;
}

export type HoldOf = (mailbox: string) => Promise<Hold | undefined>;

/** The hold that each mailbox’s messages read as, asked once. */
export function holdsOnce(mailboxes: Pick<MailboxStore, 'holdsOf'>): HoldOf {
  const known = new Map<string, Promise<Hold | undefined>>();
  return (mailbox) => {
    const asked = known.get(mailbox) ?? mailboxes.holdsOf(mailbox).then(lastingHold);
    known.set(mailbox, asked);
    return asked;
  };
}

/** The address as records have it: without a name, its domain in ASCII (RFC 5890). What is no address stays as it is. */
export function withPlainRecipient(filter: MessageFilter): MessageFilter {
  if (filter.recipient === undefined) return filter;
  const parsed = parseAddress(filter.recipient);
  return parsed.ok ? { ...filter, recipient: parsed.address.address } : filter;
}

/** Undefined for a message that is not meant. */
export async function matchOf(
  record: MessageRecord,
  filter: MessageFilter,
  holdOf: HoldOf,
): Promise<Match | undefined> {
  if (!isRecordMeant(record, filter)) return undefined;
  const hold = await holdOf(record.mailbox);
  const { status, failure } = readingOf(record, hold);
  return isReadingMeant(status, failure, filter) ? { record, hold } : undefined;
}

function isRecordMeant(record: MessageRecord, filter: MessageFilter): boolean {
  const { mailbox, envelope, tags, acceptedAt, test = false } = record;
  const recipient = filter.recipient?.toLowerCase();
  return (
    (filter.mailbox === undefined || filter.mailbox === mailboxOf(mailbox)) &&
    (filter.test === undefined || filter.test === test) &&
    (filter.tag === undefined || tags.includes(filter.tag)) &&
    (recipient === undefined || envelope.recipients.some((each) => each.toLowerCase() === recipient)) &&
    (filter.createdAfter === undefined || acceptedAt >= filter.createdAfter) &&
    (filter.createdBefore === undefined || acceptedAt < filter.createdBefore)
  );
}

function isReadingMeant(status: Status, failure: Failure | undefined, filter: MessageFilter): boolean {
  return (
    (filter.status === undefined || filter.status.includes(status)) &&
    (filter.category === undefined || filter.category === failure?.category)
  );
}
