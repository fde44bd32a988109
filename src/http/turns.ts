/** Requests whose bodies are to be worked on, of several callers in turn. */
export interface Turns {
  /** Notes that this caller is there. */
  seen(callerId: string): void;
  /**
   * Runs at once while no other caller is there; else when it is the caller's turn.
   *
   * @param bytes of the body, which is what the work depends on
   * @returns to be called when the work is over, if it had to wait; harmless when called twice
   */
  take(callerId: string, bytes: number, run: () => void): (() => void) | undefined;
}

/** For so long after its last request a caller counts as there, in milliseconds. */
const PRESENT_MILLISECONDS = 10_000;
/**
 * What is begun before the event loop looks at what has come in meanwhile, in octets of bodies: some 15 ordinary
 * messages, since what comes in one turn of the loop is written to Redis at once; or a single large one.
 */
const AT_A_TIME = 32 * 1024;
/** What a request costs whose body is empty, in the same unit. */
const LEAST = 2 * 1024;
/** What one caller has begun and not ended, in the same unit; but one of any size. Redis takes its time for each. */
const UNDER_WAY = 16 * LEAST;

interface Waiting {
  cost: number;
  run(): void;
}

interface Line {
  waiting: Waiting[];
  underWay: number;
}

/**
 * A process has one thread. Bodies of one caller that have come in together would be parsed, judged and composed one
 * after the other before anything of another caller is even looked at: 4 milliseconds for each mebibyte. They wait
 * here, and not before they are read, so that a slow body keeps back nothing.
 *
 * @param now milliseconds, by a clock that does not jump
 */
export function callerTurns(now: () => number): Turns {
  /** In the order of their turns. */
  const lines = new Map<string, Line>();
  /** First ones of callers that had nothing here: who asks for little goes before who asks for much. */
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
      // What has ended makes a new plan.
      if (!next) return;
      left -= next.cost;
      next.run();
    }
    plan();
  }

  /** Its caller goes to the end; one of whom there is nothing left is forgotten. */
  function nextInLine(): Waiting | undefined {
    for (const [callerId, line] of lines) {
      const [next] = line.waiting;
      if (!next && line.underWay === 0) lines.delete(callerId);
      if (!next || (line.underWay > 0 && line.underWay + next.cost > UNDER_WAY)) continue;
      line.waiting.shift();
      line.underWay += next.cost;
      lines.delete(callerId);
      lines.set(callerId, line);
      return next;
    }
    return undefined;
  }

  function leaving(line: Line, waiting: Waiting): () => void {
    let held = waiting.cost;
    return () => {
      if (line.waiting.includes(waiting)) return;
      line.underWay -= held;
      if (held > 0) plan();
      held = 0;
    };
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
        return undefined;
      }
      const waiting = { cost: Math.max(bytes, LEAST), run };
      const known = lines.get(callerId);
      const line = known ?? { waiting: [], underWay: waiting.cost };
      if (known) known.waiting.push(waiting);
      else {
        lines.set(callerId, line);
        fresh.push(waiting);
      }
      plan();
      return leaving(line, waiting);
    },
  };
}
