import { type Redis, ReplyError } from 'ioredis';

/**
 * Octets of contents that are on their way over one connection to Redis at a time. What is sent has two seconds to be
 * answered, everything else that is sent has to wait behind it, and a disk that is busy takes some ten megabytes a second.
 */
const MOST_OCTETS = 8 * 1024 * 1024;
/** Smaller contents go at once: together they are no more than the requests in work. */
const SMALL_OCTETS = 64 * 1024;
/** Where one is given up and none was answered for so long, Redis is silent, and not busy with those before it. */
const SILENCE_MILLISECONDS = 500;

interface Waiting {
  octets: number;
  begin(): void;
  giveUp(cause: unknown): void;
}

interface Line {
  waiting: Waiting[];
  onTheWay: number;
  /** By `performance.now()`. */
  answeredAt: number;
}

/** Of each connection: nobody waits for what was said over another, where it may be waited for without end. */
const lines = new WeakMap<Redis, Line>();

/**
 * Sends a content when there is room for it; of large ones those that came first go first. Whoever waits for room while
 * those before them are given up without an answer is given up with them: only to begin then would take the caller, who
 * is to be answered within about two seconds, as long again.
 */
export function whenThereIsRoom<T>(redis: Redis, octets: number, send: () => Promise<T>): Promise<T> {
  return octets < SMALL_OCTETS ? send() : inLine(lineOf(redis), octets, send);
}

function lineOf(redis: Redis): Line {
  const known = lines.get(redis);
  if (known) return known;
  const made: Line = { waiting: [], onTheWay: 0, answeredAt: Number.NEGATIVE_INFINITY };
  lines.set(redis, made);
  return made;
}

async function inLine<T>(line: Line, octets: number, send: () => Promise<T>): Promise<T> {
  await new Promise<void>((begin, giveUp) => {
    line.waiting.push({ octets, begin, giveUp });
    letIn(line);
  });
  const begunAt = performance.now();
  try {
    const answer = await send();
    line.answeredAt = performance.now();
    return answer;
  } catch (error) {
    // Refused is answered; it may be about this content alone, as what cannot be sent is, which fails at once.
    if (error instanceof ReplyError) line.answeredAt = performance.now();
    const silentSince = Math.max(begunAt, line.answeredAt);
    if (performance.now() - silentSince >= SILENCE_MILLISECONDS)
      for (const { giveUp } of line.waiting.splice(0)) giveUp(error);
    throw error;
  } finally {
    line.onTheWay -= octets;
    letIn(line);
  }
}

/** One that is larger than all the room goes alone. */
function letIn(line: Line): void {
  const { waiting } = line;
  for (let [first] = waiting; first && hasRoomFor(line, first.octets); [first] = waiting) {
    waiting.shift();
    line.onTheWay += first.octets;
    first.begin();
  }
}

function hasRoomFor({ onTheWay }: Line, octets: number): boolean {
  return onTheWay === 0 || onTheWay + octets <= MOST_OCTETS;
}
