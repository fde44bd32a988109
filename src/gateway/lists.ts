import type { Status } from '../mail/status.ts';
import type { Position } from './position.ts';

/**
 * The statuses that have lists of their own. An ordinary message passes through none of them, so that its moves cost no
 * list anything; what is on them is worth looking for.
 */
export const LISTED_STATUSES = [
  'scheduled',
  'deferred',
  'unconfirmed',
  'partiallySent',
  'failed',
  'canceled',
] as const satisfies readonly Status[];
export type ListedStatus = (typeof LISTED_STATUSES)[number];

/** A list that the store keeps for each caller: of all the messages, or of those that have this status now. */
export interface ListName {
  kind: 'all' | ListedStatus;
  callerId: string;
}

/** Ids of messages in order. Rejects with what the store throws when it cannot be asked. */
export interface MessageLists {
  /** Callers who have messages. */
  callers(): Promise<string[]>;
  /**
   * The entries next to a position, newest first, none accepted before `floor`: at most `count`, and fewer, but at least
   * one, also where there are more.
   *
   * @param before from the newest if absent
   */
  older(
    list: ListName,
    range: { before?: Position; floor: number; count: number },
  ): Promise<{ entries: Position[]; isEnd: boolean }>;
  /** The oldest entries after the first `skip`, oldest first. */
  oldest(list: ListName, skip: number, count: number): Promise<Position[]>;
  /** Messages that are not finished, in no order, of all callers; undefined if they are more than `most`. */
  unfinished(most: number): Promise<string[] | undefined>;
  /** Is anything held at present? */
  hasHolds(): Promise<boolean>;
  /** How many messages a caller has, by the lane they are in. */
  countOwn(callerId: string): Promise<{ lane: string; status: Status; count: number }[]>;
  /** Those of these messages whose record is not kept any more. */
  gone(ids: string[]): Promise<string[]>;
  remove(list: ListName, ids: string[]): Promise<unknown>;
  /** Forgets a caller who has no messages. */
  forgetCaller(callerId: string): Promise<unknown>;
  /** The right to tidy all lists: once in this time, over all processes. */
  claimTidying(milliseconds: number): Promise<boolean>;
}
