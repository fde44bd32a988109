/**
 * Asks no more than `most` questions at a time; who asks what is being asked already shares the answer. Nobody waits
 * longer than `milliseconds`, though a question that was begun keeps its place until it is answered.
 *
 * @returns rejects where there was no answer in time, or with what `ask` rejects with
 */
export function fewAtATime<T>(
  ask: (name: string) => Promise<T>,
  most: number,
  milliseconds: number,
): (name: string) => Promise<T> {
  const asked = new Map<string, Promise<T>>();
  const waiting: (() => void)[] = [];
  let running = 0;

  async function inTurn(name: string): Promise<T> {
    if (running < most) running += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await ask(name);
    } finally {
      asked.delete(name);
      const next = waiting.shift();
      // The place is handed on, and never free in between.
      if (next) next();
      else running -= 1;
    }
  }

  return (name) => {
    const answer = asked.get(name) ?? inTurn(name);
    asked.set(name, answer);
    return inTime(answer, milliseconds);
  };
}

function inTime<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('There was no answer in time')), milliseconds);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
