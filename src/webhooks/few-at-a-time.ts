interface Question<T> {
  answer: Promise<T>;
  /** How many wait for the answer. */
  askers: number;
}

interface Waiting {
  name: string;
  begin(): void;
}

/** Of names that were not answered in time so many are remembered; of more, the oldest is forgotten. */
const MOST_SILENT = 10_000;

/**
 * Asks no more than `most` questions at a time; who asks what is being asked already shares the answer. Nobody waits
 * longer than `milliseconds`. A question that was begun keeps its place until it is answered; one that nobody waits for
 * any more is not begun, so that whoever asks a thousand holds the others up for no longer than that. And what was not
 * answered in time is only asked again where another place is left for what was, or what nobody knows yet: who goes on
 * asking it is a burden to those alone who do the same.
 *
 * @returns rejects where there was no answer in time, or with what `ask` rejects with
 */
export function fewAtATime<T>(
  ask: (name: string) => Promise<T>,
  most: number,
  milliseconds: number,
): (name: string) => Promise<T> {
  const asked = new Map<string, Question<T>>();
  const running = new Set<string>();
  /** Names that were not answered in time when they were asked last. */
  const silent = new Set<string>();
  const mostSilent = Math.max(1, most - 1);
  let waiting: Waiting[] = [];

  function hasPlaceFor(name: string): boolean {
    if (running.size >= most) return false;
    return !silent.has(name) || [...running].filter((each) => silent.has(each)).length < mostSilent;
  }

  function letIn(): void {
    const next = waiting.find(({ name }) => hasPlaceFor(name));
    if (!next) return;
    waiting = waiting.filter((each) => each !== next);
    running.add(next.name);
    next.begin();
    letIn();
  }

  function remember(name: string): void {
    silent.add(name);
    const [oldest] = silent;
    if (silent.size > MOST_SILENT && oldest !== undefined) silent.delete(oldest);
  }

  async function inTurn(name: string): Promise<T> {
    if (hasPlaceFor(name)) running.add(name);
    else await new Promise<void>((begin) => waiting.push({ name, begin }));
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      remember(name);
    }, milliseconds);
    try {
      if (asked.get(name)?.askers === 0) throw tooLate();
      return await ask(name).finally(() => isLate || silent.delete(name));
    } finally {
      clearTimeout(timer);
      asked.delete(name);
      running.delete(name);
      letIn();
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
