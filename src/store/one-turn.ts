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
 * one sync instead of many. What comes alone waits for nothing.
 *
 * @param octetsOf about what an item adds to a command
 * @param send answers all items, in order
 */
export function inOneTurn<Item, Answer>(
  octetsOf: (item: Item) => number,
  send: (items: Item[]) => Promise<Answer[]>,
): (item: Item) => Promise<Answer> {
  let waiting: Waiting<Item, Answer>[] = [];
  let octets = 0;

  function flush(): void {
    const sent = waiting;
    waiting = [];
    octets = 0;
    if (sent.length > 0) void answer(sent);
  }

  async function answer(sent: Waiting<Item, Answer>[]): Promise<void> {
    try {
      const answers = await send(sent.map(({ item }) => item));
      for (const [index, { resolve }] of sent.entries()) resolve(answers[index] as Answer);
    } catch (error) {
      for (const { reject } of sent) reject(error);
    }
  }

  return (item) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(flush);
      waiting.push({ item, resolve, reject });
      octets += octetsOf(item);
      if (octets >= MAX_OCTETS || waiting.length >= MAX_ITEMS) flush();
    });
}
