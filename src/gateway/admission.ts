import type { Pace } from './ports.ts';

/**
 * A process that vanished may be asleep, with its connections open: they count for this long after another one has taken
 * its lane, longer than any pause that an operator would call one.
 */
export const LEFT_BEHIND_MILLISECONDS = 75_000;

/** Whose place it is: the owner of a lane's, as long as it has the lease, or a visitor's for so long. */
export interface PlaceWanted {
  mailbox: string;
  /** Unique to the connection; an owner's begins with its lease and a slash. */
  place: string;
  /** How many connections the mailbox may have, over all processes. */
  limit: number;
}

/** Who may be connected to a mailbox, and send by it, over all processes. Rejects with what the store throws. */
export interface AdmissionStore {
  /**
   * A place for one connection more of the lane's owner.
   *
   * @param open the places of what it has open; those that it does not name are free again
   * @returns false while there is none, or if the lease is another's
   */
  takePlace(wanted: PlaceWanted & { lease: string; open: string[] }): Promise<boolean>;
  /** A place for somebody who is no lane's owner. It ends by itself, in case that the visitor dies. */
  visit(wanted: PlaceWanted): Promise<boolean>;
  /** The places that are taken, whoever has them. */
  places(mailbox: string): Promise<string[]>;
  leavePlace(mailbox: string, ...places: string[]): Promise<unknown>;
  /**
   * Leave for a visitor's message: from the same window and day as the lane's.
   *
   * @returns 'go', 'quota' where the day is used up, or in how many milliseconds to ask again
   */
  permitVisitor(mailbox: string, token: string, pace: Pace, recipients: number): Promise<'go' | 'quota' | number>;
  /** Keeps its place for a window from now: while there is no reply, and when there is. */
  keepPermit(mailbox: string, token: string, pace: Pace): Promise<unknown>;
}
