import { type Announced, type Connecting, LaneClosed, type Promised, type Upcoming } from '../gateway/deliver.ts';

/** How the lane opens and closes connections; `smtp` provides it. */
export interface Dialer<Connection> {
  open(): Promise<Connecting<Connection>>;
  /** Resolves when the server has let go of it, or soon after. */
  quit(connection: Connection): Promise<void>;
  isOpen(connection: Connection): boolean;
}

/** The mailbox's connections as they are counted over all processes. */
export interface Places {
  /**
   * Leave to open one connection more; undefined while there is none.
   *
   * @param open the places of those that are open
   */
  take(open: string[]): Promise<string | undefined>;
  /** It is closed. */
  leave(place: string): void;
}

export interface Share {
  /** Never more connections than this, those included that are being closed. */
  limit: number;
  /** As many as are enough, as long as the lane is not behind. */
  usual: number;
  /** Could the lane send more, if it had one more? */
  isBehind(): boolean;
}

/** The kept connections of one lane; idle ones are closed soon. */
export interface Connections<Connection> {
  /**
   * Waits while as many as may be are lent; whoever waits longest goes first.
   *
   * @throws LaneClosed once `stop` was called
   */
  lend(): Promise<Connecting<Connection>>;
  /** @param answeredIn after how many milliseconds the final dot was answered with 250; undefined where it was not */
  takeBack(connection: Connection, reusable: boolean, answeredIn?: number): void;
  /**
   * The final dot is about to leave on this one. Where the last was answered at once, whoever waits longest may be
   * promised it, and gets its message ready meanwhile. Microsoft takes its time over a dot, and its connections are not
   * promised.
   *
   * @returns whether it may be promised
   */
  promise(connection: Connection): boolean;
  /** What whoever was promised it wants to send, if it is known within this turn of the event loop. */
  upcoming(connection: Connection): Promise<Upcoming | undefined>;
  /** Lends nothing any more. */
  stop(): void;
  /** Resolves when the server has let go of those that are not lent; those that are close when they come back. */
  close(): Promise<void>;
}

/** Idle connections count against the mailbox's limit of three, for whoever else uses it. */
const IDLE_MILLISECONDS = 10_000;
/** A token is only checked at AUTH, and Exchange ends long sessions; a new one costs little at thirty a minute. */
const AGE_MILLISECONDS = 300_000;
/** Whoever waits looks again this soon: a place may have become free elsewhere. */
const LOOK_MILLISECONDS = 200;
/** A message that waits this long for a connection, while it might be sent, shows that the usual ones are too few. */
const BEHIND_MILLISECONDS = 2_000;

/** A server that answers a dot within this will answer the next one soon. */
const AT_ONCE_MILLISECONDS = 50;
/** Whoever was promised a connection waits no longer for it. */
const PROMISE_MILLISECONDS = 1_000;

/**
 * Another connection is opened where those that are open carried so many messages since the last was, or none came free
 * for so long. A login costs both sides more than a few messages do.
 */
const MESSAGES_BEFORE_ANOTHER = 16;
const WAIT_BEFORE_ANOTHER_MILLISECONDS = 200;

interface Kept {
  openedAt: number;
  place: string;
  /** Was the last final dot answered at once? */
  isQuick: boolean;
}

/** Of a connection that is about to be free. */
interface AboutToBeFree {
  /** Tells whoever was promised it. */
  told?: (isFree: boolean) => void;
  next?: Announced;
  /** The server has been told of the next message, and can do nothing else. */
  isAnnounced: boolean;
}

interface Waiting {
  since: number;
  wake(): void;
}

export function keepConnections<Connection>(
  dialer: Dialer<Connection>,
  { limit, usual, isBehind }: Share,
  places: Places,
): Connections<Connection> {
  const idle: { connection: Connection; timer: NodeJS.Timeout }[] = [];
  const opened = new Map<Connection, Kept>();
  const promises = new Map<Connection, AboutToBeFree>();
  /** What is being closed, by its place. */
  const closing = new Map<string, Promise<void>>();
  /** Whoever waits longest first. */
  const waiting: Waiting[] = [];
  let lent = 0;
  let opening: Promise<Connecting<Connection> | undefined> | undefined;
  let closed = false;
  /** What came free since a connection was opened last, and when. */
  let freed = { count: 0, at: 0 };

  function retire(connection: Connection): void {
    const place = opened.get(connection)?.place ?? '';
    opened.delete(connection);
    const quit = dialer.quit(connection).finally(() => {
      closing.delete(place);
      places.leave(place);
    });
    closing.set(place, quit);
  }

  function takeIdle(): Connection | undefined {
    for (let kept = idle.pop(); kept; kept = idle.pop()) {
      clearTimeout(kept.timer);
      if (dialer.isOpen(kept.connection)) return kept.connection;
      retire(kept.connection);
    }
    return undefined;
  }

  function keep(connection: Connection): void {
    const timer = setTimeout(() => {
      idle.splice(
        idle.findIndex((kept) => kept.connection === connection),
        1,
      );
      retire(connection);
    }, IDLE_MILLISECONDS);
    idle.push({ connection, timer });
  }

  async function open(most: number): Promise<Connecting<Connection> | undefined> {
    while (closing.size > 0 && opened.size + closing.size >= most) await Promise.race(closing.values());
    const place = await places.take([...[...opened.values()].map((each) => each.place), ...closing.keys()]);
    if (place === undefined) return undefined;
    const answer = await dialer.open();
    if (answer.ok) {
      opened.set(answer.connection, { openedAt: performance.now(), place, isQuick: false });
      freed = { count: 0, at: performance.now() };
    } else places.leave(place);
    return answer;
  }

  async function idleOrNew(most: number): Promise<Connecting<Connection> | undefined> {
    const connection = takeIdle();
    if (connection) return { ok: true, connection, reused: true };
    // One at a time: where a login fails, those who waited for it fail with it instead of trying it again themselves,
    // since every refused login brings the account nearer to its lock.
    while (opening !== undefined) {
      const before: Connecting<Connection> | undefined = await opening;
      if (!before?.ok) return before;
    }
    if (!isAnotherWorthIt()) return undefined;
    const mine = open(most).finally(() => {
      opening = undefined;
    });
    opening = mine;
    return mine;
  }

  function returned(): void {
    lent -= 1;
    waiting[0]?.wake();
    // The next in line, for whom this one is not: to open another.
    if (freed.count >= MESSAGES_BEFORE_ANOTHER) waiting[0]?.wake();
  }

  /** Until one is returned, and this is who has waited longest; or for a while. */
  function turn(since: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => wake(), LOOK_MILLISECONDS);
      const me: Waiting = { since, wake: () => wake() };
      function wake(): void {
        clearTimeout(timer);
        const index = waiting.indexOf(me);
        if (index >= 0) waiting.splice(index, 1);
        resolve();
      }
      const later = waiting.findIndex((each) => each.since > since);
      waiting.splice(later < 0 ? waiting.length : later, 0, me);
      // Returned while it asked for a place. Others asked with it: whoever has waited longest, not whoever hears first.
      if (idle.length > 0) setImmediate(() => waiting[0]?.wake());
    });
  }

  /** How many may be lent to whoever has waited since then; 0 where others have waited longer. */
  function mostFor(since: number): number {
    if (waiting.some((each) => each.since < since)) return 0;
    const isLate = performance.now() - since >= BEHIND_MILLISECONDS;
    return isLate && isBehind() ? limit : usual;
  }

  /** Is it worth a login not to wait for one of those that are open? */
  function isAnotherWorthIt(): boolean {
    if (opened.size === 0 || freed.count >= MESSAGES_BEFORE_ANOTHER) return true;
    return performance.now() - freed.at >= WAIT_BEFORE_ANOTHER_MILLISECONDS;
  }

  /** Undefined where there was no place for it. */
  async function lendOne(most: number): Promise<Connecting<Connection> | undefined> {
    lent += 1;
    let answer: Connecting<Connection> | undefined;
    try {
      answer = await idleOrNew(most);
    } finally {
      // Where there is no place, nobody else would get one either.
      if (!answer) lent -= 1;
      else if (!answer.ok) returned();
    }
    return answer;
  }

  function isUsable(connection: Connection): boolean {
    const age = performance.now() - (opened.get(connection)?.openedAt ?? 0);
    return !closed && dialer.isOpen(connection) && age <= AGE_MILLISECONDS;
  }

  function lendPromised(): Connecting<Connection> | undefined {
    for (const [connection, promise] of promises)
      if (!promise.told && !promise.isAnnounced)
        return { ok: true, connection, reused: true, promised: promised(connection, promise) };
    return undefined;
  }

  function promised(connection: Connection, promise: AboutToBeFree): Promised {
    let isFree: boolean | undefined;
    let tell = (_: boolean) => {};
    promise.told = (answer) => {
      isFree = answer;
      tell(answer);
    };
    const forget = () => {
      delete promise.told;
      if (!promise.isAnnounced && promises.get(connection) === promise) promises.delete(connection);
    };
    return {
      async free(next) {
        promise.next = next;
        isFree ??= await new Promise<boolean>((resolve) => {
          const timer = setTimeout(() => tell(false), PROMISE_MILLISECONDS);
          tell = (answer) => {
            clearTimeout(timer);
            forget();
            resolve(answer);
          };
        });
        return { isFree, isAnnounced: promise.isAnnounced };
      },
      decline() {
        if (isFree) giveBack(connection, true);
        else forget();
      },
    };
  }

  function giveBack(connection: Connection, reusable: boolean): void {
    if (reusable && isUsable(connection)) keep(connection);
    else retire(connection);
    returned();
  }

  return {
    async lend() {
      const since = performance.now();
      for (;;) {
        if (closed) throw new LaneClosed('The lane is closing');
        const most = mostFor(since);
        const isThereOne = idle.length > 0 || opening !== undefined || isAnotherWorthIt();
        const mine = lent < most && isThereOne ? await lendOne(most) : undefined;
        const answer = mine ?? (most > 0 ? lendPromised() : undefined);
        if (answer) return answer;
        if (!closed) await turn(since);
      }
    },
    takeBack(connection, reusable, answeredIn) {
      freed = { count: freed.count + 1, at: performance.now() };
      const isWell = reusable && answeredIn !== undefined;
      const kept = opened.get(connection);
      if (kept) kept.isQuick = isWell && answeredIn < AT_ONCE_MILLISECONDS;
      const promise = promises.get(connection);
      promises.delete(connection);
      // It stays lent, to whoever it was promised.
      if (promise?.told && isWell && isUsable(connection)) return promise.told(true);
      promise?.told?.(false);
      giveBack(connection, reusable && !promise?.isAnnounced);
    },
    promise(connection) {
      if (closed || !opened.get(connection)?.isQuick) return false;
      promises.set(connection, { isAnnounced: false });
      waiting[0]?.wake();
      return true;
    },
    async upcoming(connection) {
      const promise = promises.get(connection);
      if (!promise?.told) return undefined;
      // Its leave to begin came with the same answer as the mark, and is being made known.
      if (!promise.next) await new Promise((resolve) => setImmediate(resolve));
      if (!promise.next || promises.get(connection) !== promise) return undefined;
      return {
        said: () => {
          promise.isAnnounced = true;
        },
        ...promise.next,
      };
    },
    stop() {
      closed = true;
      for (const { wake } of [...waiting]) wake();
    },
    async close() {
      this.stop();
      for (const { connection, timer } of idle.splice(0)) {
        clearTimeout(timer);
        retire(connection);
      }
      await Promise.all(closing.values());
    },
  };
}
