import type { Refused } from '../gateway/api.ts';
import { isProblemCode, type ProblemCode, ProblemError } from './problem.ts';

/** What the gateway refused at the door, as a problem. */
export function refusalOf({ code, status, errors }: Refused): ProblemError {
  const fallback: ProblemCode = status === 413 ? 'message_too_large' : 'message_refused';
  const [first] = errors;
  const detail = first && { detail: first.message };
  return new ProblemError(isProblemCode(code) ? code : fallback, { ...detail, errors });
}
