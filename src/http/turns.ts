/** Requests whose bodies are to be worked on, of several callers in turn. */
export interface Turns {
  /** Notes that this caller is there. */
  seen(callerId: string): void;
  /**
   * Runs at once while no other caller is there; else when it is the caller's turn.
   *
   * @param bytes of the body, which is what the work depends on
   */
  take(callerId: string, bytes: number, run: () => void): void;
}

/** For so long after its last request a caller counts as there, in milliseconds. */
const PRESENT_MILLISECONDS = 10_000;
/**
 * What is worked on before the event loop looks at what has come in meanwhile, in octets of bodies: some 15 ordinary
 * messages, since what comes in one turn of the loop is written to Redis at once; or a single large one.
 */
const AT_A_TIME = 32 * 1024;
/** What a request costs whose body is empty, in the same unit. */
const LEAST = 1024;

interface Waiting {
  bytes: number;
  run(): void;
}

/**
 * A process has one thread. Bodies of one caller that have come in together would be parsed, judged and composed one
 * after the other before anything of another caller is even looked at: 4 milliseconds for each mebibyte.
 *
 * @param now milliseconds, by a clock that does not jump
 */
export function callerTurns(now: () => number): Turns {
  /** In the order of their turns. */
  const lines = new Map<string, Waiting[]>();
  /** First requests of callers that had nothing waiting: who asks for little goes before who asks for much. */
  const fresh: Waiting[] = [];
  let isPlanned = false;
  let latest = { callerId: '', at: Number.NEGATIVE_INFINITY };
  /** The last one that was another than the latest. */
  let other = latest;

  function plan(): void {
    if (isPlanned) return;
    isPlanned = true;
    setImmediate(work);
  }

  function work(): void {
    isPlanned = false;
    for (let left = AT_A_TIME; left > 0; ) {
      const next = fresh.shift() ?? nextInLine();
      if (!next) return;
      left -= Math.max(next.bytes, LEAST);
      next.run();
    }
    if (fresh.length > 0 || lines.size > 0) plan();
  }

  /** The caller goes to the end, and stays there a while with nothing waiting: it is not fresh again at once. */
  function nextInLine(): Waiting | undefined {
    for (const [callerId, line] of lines) {
      lines.delete(callerId);
      const next = line.shift();
      if (!next) continue;
      lines.set(callerId, line);
      return next;
    }
    return undefined;
  }

  return {
    seen(callerId) {
      if (callerId !== latest.callerId) {
        other = latest;
        latest = { callerId, at: 0 };
      }
      latest.at = now();
    },
    take(callerId, bytes, run) {
      if (lines.size === 0 && now() - other.at > PRESENT_MILLISECONDS) {
        run();
        return;
      }
      const line = lines.get(callerId);
      if (line) line.push({ bytes, run });
      else {
        lines.set(callerId, []);
        fresh.push({ bytes, run });
      }
      plan();
    },
  };
}
