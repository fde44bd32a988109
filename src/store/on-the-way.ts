/**
 * Octets of contents that this process has on their way to Redis at a time. What is sent has two seconds to be
 * answered, everything else that is sent has to wait behind it, and a disk that is busy takes some ten megabytes a second.
 */
const MOST_OCTETS = 8 * 1024 * 1024;
/** Smaller contents go at once: together they are no more than the requests in work. */
const SMALL_OCTETS = 64 * 1024;

interface Waiting {
  octets: number;
  begin(): void;
}

const line: Waiting[] = [];
let onTheWay = 0;

/** Sends a content when there is room for it; of large ones those that came first go first. */
export function whenThereIsRoom<T>(octets: number, send: () => Promise<T>): Promise<T> {
  return octets < SMALL_OCTETS ? send() : inLine(octets, send);
}

async function inLine<T>(octets: number, send: () => Promise<T>): Promise<T> {
  await new Promise<void>((begin) => {
    line.push({ octets, begin });
    letIn();
  });
  try {
    return await send();
  } finally {
    onTheWay -= octets;
    letIn();
  }
}

/** One that is larger than all the room goes alone. */
function letIn(): void {
  for (let [first] = line; first && (onTheWay === 0 || onTheWay + first.octets <= MOST_OCTETS); [first] = line) {
    line.shift();
    onTheWay += first.octets;
    first.begin();
  }
}
