/** Octets and pieces that one command, or its answer, may carry: Redis does nothing else meanwhile. */
export const MAX_OCTETS = 1_048_576;
const MAX_ITEMS = 64;

interface Waiting<Item, Answer> {
  item: Item;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/**
 * Sends what is given to it within one turn of the event loop together, when the turn ends: one command, one write and
 * one sync instead of many. Without patience what comes alone waits for nothing.
 *
 * @param octetsOf about what an item adds to a command
 * @param send answers all items, in order
 * @param patience for so many milliseconds what comes next waits for the answer to what was sent, and goes together
 *   then: Redis could not begin with it sooner, and has one sync more for each command. None if absent
 * @param crowd so many pieces wait for nothing. Where Redis takes about as long as what is done here for them, the one
 *   works on some while the other prepares the next; whatever comes for one answer at a time soon comes all at once,
 *   and each waits while the other works
 */
export function inOneTurn<Item, Answer>(
  octetsOf: (item: Item) => number,
  send: (items: Item[]) => Promise<Answer[]>,
  patience = 0,
  crowd = MAX_ITEMS,
): (item: Item) => Promise<Answer> {
  let waiting: Waiting<Item, Answer>[] = [];
  let octets = 0;
  /** What was sent last, until it is answered or patience ends. */
  let awaited: NodeJS.Timeout | undefined;

  function turnEnds(): void {
    if (!awaited) flush();
  }

  function flush(): void {
    const sent = waiting;
    waiting = [];
    octets = 0;
    if (sent.length > 0) void answer(sent);
  }

  function waitNoLongerFor(sent: NodeJS.Timeout | undefined): void {
    if (sent === undefined || awaited !== sent) return;
    clearTimeout(awaited);
    awaited = undefined;
    flush();
  }

  async function answer(sent: Waiting<Item, Answer>[]): Promise<void> {
    const mine = patience > 0 ? setTimeout(() => waitNoLongerFor(mine), patience) : undefined;
    awaited = mine;
    try {
      const answers = await send(sent.map(({ item }) => item));
      waitNoLongerFor(mine);
      for (const [index, { resolve }] of sent.entries()) resolve(answers[index] as Answer);
    } catch (error) {
      waitNoLongerFor(mine);
      for (const { reject } of sent) reject(error);
    }
  }

  return (item) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(turnEnds);
      waiting.push({ item, resolve, reject });
      octets += octetsOf(item);
      if (octets >= MAX_OCTETS || waiting.length >= crowd) flush();
    });
}
