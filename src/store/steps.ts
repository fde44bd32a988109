import type { Redis } from 'ioredis';
import { inOneTurn } from './one-turn.ts';
import type { Scripted } from './redis.ts';

/** What steps of one mailbox have in common, told once for all that follow each other in a turn. */
export interface LaneOfSteps {
  keys: string[];
  values: string[];
}

/** One of the steps that the script `STEPS` knows. */
export interface Step {
  name: 'begin' | 'markDot' | 'move';
  /** Always the same object for a mailbox. */
  lane?: LaneOfSteps;
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
    const add = (name: string, part: LaneOfSteps) => {
      for (const key of part.keys) keys.push(key);
      values.push(name, part.keys.length, part.values.length);
      for (const value of part.values) values.push(value);
    };
    let named: LaneOfSteps | undefined;
    for (const step of steps) {
      if (step.lane && step.lane !== named) add('lane', step.lane);
      named = step.lane ?? named;
      add(step.name, step);
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
