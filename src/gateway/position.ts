/**
 * The place of a message in every list: by the time of its acceptance (milliseconds since the epoch by the store's
 * clock), then by its id. No two messages share one, and none ever moves: what a page was ended by holds for ever.
 */
export interface Position {
  acceptedAt: number;
  id: string;
}

/** For sorting newest first. */
export function newestFirst(a: Position, b: Position): number {
  if (a.acceptedAt !== b.acceptedAt) return b.acceptedAt - a.acceptedAt;
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0;
}

/** Does `a` come after `b` where the newest is first? */
export function isOlder(a: Position, b: Position): boolean {
  return newestFirst(b, a) < 0;
}

/** A position as a caller is given it, to be given back as it is. */
export function cursorOf({ acceptedAt, id }: Position): string {
  return Buffer.from(`${acceptedAt} ${id}`).toString('base64url');
}

/** Undefined for what is no cursor of ours. */
export function positionOf(cursor: string): Position | undefined {
  const [, acceptedAt, id] = /^(\d{1,15}) (\S{1,64})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  return acceptedAt && id ? { acceptedAt: Number(acceptedAt), id } : undefined;
}
