import type { Redis } from 'ioredis';
import { inOneTurn } from './one-turn.ts';
import type { Scripted } from './redis.ts';

/** One of the steps that the script `STEPS` knows. */
export interface Step {
  name: 'begin' | 'markDot' | 'move';
  keys: string[];
  values: string[];
}

type Answer = (Buffer | null)[];

/**
 * Takes the steps of one turn of the event loop by one script, in order.
 *
 * @returns takes a step and gives its answer; throws what ioredis throws, or what Redis said of this step
 */
export function stepsTogether(redis: Redis & Scripted): (step: Step) => Promise<Answer> {
  const take = inOneTurn(octetsOf, (steps: Step[]) => {
    const keys: string[] = [];
    const values: (string | number)[] = [];
    for (const step of steps) {
      keys.push(...step.keys);
      values.push(step.name, step.keys.length, step.values.length, ...step.values);
    }
    return redis.takeStepsBuffer(keys.length, ...keys, ...values);
  });
  return async (step) => {
    const answer = await take(step);
    if (String(answer[0]) === 'error') throw new Error(`Redis did not take the step ${step.name}: ${answer[1]}`);
    return answer;
  };
}

function octetsOf({ values }: Step): number {
  return values.reduce((sum, value) => sum + value.length, 0);
}
