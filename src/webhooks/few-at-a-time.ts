interface Question<T> {
  answer: Promise<T>;
  /** How many wait for the answer. */
  askers: number;
}

/**
 * Asks no more than `most` questions at a time; who asks what is being asked already shares the answer. Nobody waits
 * longer than `milliseconds`. A question that was begun keeps its place until it is answered; one that nobody waits for
 * any more is not begun, so that whoever asks a thousand holds the others up for no longer than that.
 *
 * @returns rejects where there was no answer in time, or with what `ask` rejects with
 */
export function fewAtATime<T>(
  ask: (name: string) => Promise<T>,
  most: number,
  milliseconds: number,
): (name: string) => Promise<T> {
  const asked = new Map<string, Question<T>>();
  const waiting: (() => void)[] = [];
  let running = 0;

  async function inTurn(name: string): Promise<T> {
    if (running < most) running += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      if (asked.get(name)?.askers === 0) throw tooLate();
      return await ask(name);
    } finally {
      asked.delete(name);
      const next = waiting.shift();
      // The place is handed on, and never free in between.
      if (next) next();
      else running -= 1;
    }
  }

  return async (name) => {
    const question = asked.get(name) ?? { answer: inTurn(name), askers: 0 };
    asked.set(name, question);
    question.askers += 1;
    try {
      return await inTime(question.answer, milliseconds);
    } finally {
      question.askers -= 1;
    }
  };
}

function inTime<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(tooLate()), milliseconds);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function tooLate(): Error {
  return new Error('There was no answer in time');
}
