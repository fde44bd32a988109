import { type Connecting, LaneClosed } from '../gateway/deliver.ts';

/** How the lane opens and closes connections; `smtp` provides it. */
export interface Dialer<Connection> {
  open(): Promise<Connecting<Connection>>;
  /** Resolves when the server has let go of it, or soon after. */
  quit(connection: Connection): Promise<void>;
  isOpen(connection: Connection): boolean;
}

/** The kept connections of one lane; idle ones are closed soon. */
export interface Connections<Connection> {
  /**
   * Waits while as many as may be are lent; whoever waits longest goes first.
   *
   * @throws LaneClosed once `stop` was called
   */
  lend(): Promise<Connecting<Connection>>;
  takeBack(connection: Connection, reusable: boolean): void;
  /** Lends nothing any more. */
  stop(): void;
  /** Resolves when the server has let go of those that are not lent; those that are close when they come back. */
  close(): Promise<void>;
}

/** Idle connections count against the mailbox's limit of three, for whoever else uses it. */
const IDLE_MILLISECONDS = 10_000;
/** A token is only checked at AUTH, and Exchange ends long sessions; a new one costs little at thirty a minute. */
const AGE_MILLISECONDS = 300_000;

/** @param limit never more connections than this, those included that are being closed */
export function keepConnections<Connection>(dialer: Dialer<Connection>, limit: number): Connections<Connection> {
  const idle: { connection: Connection; timer: NodeJS.Timeout }[] = [];
  const bornAt = new Map<Connection, number>();
  const closing = new Set<Promise<void>>();
  const waiting: (() => void)[] = [];
  let lent = 0;
  let opening: Promise<Connecting<Connection>> | undefined;
  let closed = false;

  function retire(connection: Connection): void {
    bornAt.delete(connection);
    const quit = dialer.quit(connection).finally(() => closing.delete(quit));
    closing.add(quit);
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

  async function open(): Promise<Connecting<Connection>> {
    while (closing.size > 0 && bornAt.size + closing.size >= limit) await Promise.race(closing);
    const answer = await dialer.open();
    if (answer.ok) bornAt.set(answer.connection, performance.now());
    return answer;
  }

  async function idleOrNew(): Promise<Connecting<Connection>> {
    const connection = takeIdle();
    if (connection) return { ok: true, connection, reused: true };
    // One at a time: where a login fails, those who waited for it fail with it instead of trying it again themselves,
    // since every refused login brings the account nearer to its lock.
    while (opening !== undefined) {
      const before: Connecting<Connection> = await opening;
      if (!before.ok) return before;
    }
    const mine = open().finally(() => {
      opening = undefined;
    });
    opening = mine;
    return mine;
  }

  function returned(): void {
    lent -= 1;
    waiting.shift()?.();
  }

  return {
    async lend() {
      if (lent >= limit && !closed) await new Promise<void>((resolve) => waiting.push(resolve));
      if (closed) throw new LaneClosed('The lane is closing');
      lent += 1;
      const answer = await idleOrNew();
      if (!answer.ok) returned();
      return answer;
    },
    takeBack(connection, reusable) {
      const age = performance.now() - (bornAt.get(connection) ?? 0);
      if (closed || !reusable || !dialer.isOpen(connection) || age > AGE_MILLISECONDS) retire(connection);
      else keep(connection);
      returned();
    },
    stop() {
      closed = true;
      for (const wake of waiting.splice(0)) wake();
    },
    async close() {
      this.stop();
      for (const { connection, timer } of idle.splice(0)) {
        clearTimeout(timer);
        retire(connection);
      }
      await Promise.all(closing);
    },
  };
}
