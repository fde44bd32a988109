import type { Redis } from 'ioredis';
import { inOneTurn } from './one-turn.ts';
import type { Scripted } from './redis.ts';

/** The mailbox that steps are about, told once for all that follow each other in a turn. */
export interface LaneOfSteps {
  mailbox: string;
  keys: string[];
}

/** One of the steps that the script `STEPS` knows. */
export interface Step {
  name: 'begin' | 'markDot' | 'move';
  /** Always the same object for a mailbox. */
  lane?: LaneOfSteps;
  /** What leave to begin depends on beside the message, told once while it stays the same. */
  terms?: readonly string[];
  values: readonly string[];
}

type Answer = (Buffer | null)[];

/**
 * Takes the steps of one turn of the event loop by one script, in order.
 *
 * @param common what all steps have in common, as the script `STEPS` wants it
 * @returns takes a step and gives its answer; throws what ioredis throws, or what Redis said of this step
 */
export function stepsTogether(redis: Redis & Scripted, common: readonly string[]): (step: Step) => Promise<Answer> {
  const take = inOneTurn(octetsOf, (steps: Step[]) => {
    const keys: string[] = [];
    const values: (string | number)[] = [...common];
    const add = (name: string, more: readonly string[]) => {
      values.push(name, more.length);
      for (const value of more) values.push(value);
    };
    let lane: LaneOfSteps | undefined;
    let terms: readonly string[] = [];
    for (const step of steps) {
      if (step.lane && step.lane !== lane) {
        lane = step.lane;
        keys.push(...lane.keys);
        add('lane', [lane.mailbox]);
      }
      if (step.terms && !areSame(step.terms, terms)) {
        terms = step.terms;
        add('terms', terms);
      }
      add(step.name, step.values);
    }
    return redis.takeStepsBuffer(keys.length, ...keys, ...values);
  });
  return async (step) => {
    const answer = await take(step);
    if (String(answer[0]) === 'error') throw new Error(`Redis did not take the step ${step.name}: ${answer[1]}`);
    return answer;
  };
}

export function areSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((each, index) => each === others[index]);
}

function octetsOf({ values }: Step): number {
  return values.reduce((sum, value) => sum + value.length, 0);
}
