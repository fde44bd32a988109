import { z } from 'zod';
import type { FieldError } from '../gateway/api.ts';
import { quote } from '../mail/characters.ts';
import { fieldErrorsOf, MAX_FIELD_ERRORS, sentence } from './field-errors.ts';
import { jsonPointer } from './json-pointer.ts';
import { nearestName } from './nearest-name.ts';
import { ProblemError, type ProblemItem } from './problem.ts';

export type Validated = { value: unknown } | { error: ProblemError };

/** What a body has to satisfy besides its schema. */
export interface BodyRules {
  /** Names of the fields of the object at a path: what an unknown one may have meant. */
  fieldNames(path: readonly PropertyKey[]): readonly string[];
  /** What to do instead of giving an unknown field, where there is more to say than its nearest name. */
  advice?(path: readonly PropertyKey[], name: string): string | undefined;
  /** What is wrong with the body as received that its schema cannot say. */
  wholeErrors(received: unknown): FieldError[];
}

/** A Fastify validator for a body: all that is wrong at once, as `invalid_fields`. */
export function bodyValidator(schema: z.ZodType, { fieldNames, advice, wholeErrors }: BodyRules) {
  const compiled = z.compile(schema);
  return (received: unknown): Validated => {
    const result = compiled.safeParse(received, { error: sentence });
    const fieldErrors = result.success ? [] : fieldErrorsOf(result.error.issues, fieldNames, advice);
    const errors = merge(fieldErrors, wholeErrors(received));
    return errors.length === 0 && result.success ? { value: result.data } : { error: invalidFields(errors) };
  };
}

/** A Fastify validator for query parameters. */
export function queryValidator(schema: z.ZodObject, advice?: (name: string) => string | undefined) {
  return (received: unknown): Validated => {
    const blank = blankParameters(received);
    if (blank.length > 0) return { error: parameterProblem(blank) };
    const result = schema.safeParse(received, { error: sentence });
    return result.success
      ? { value: result.data }
      : { error: invalidParameters(result.error.issues, Object.keys(schema.shape), advice) };
  };
}

/** Where a number is expected, a blank would count as zero: whoever writes `?wait=` has forgotten something. */
function blankParameters(received: unknown): ProblemItem[] {
  return Object.entries(received ?? {})
    .filter(([, value]) => [value].flat().some((each) => typeof each === 'string' && each.trim() === ''))
    .slice(0, MAX_FIELD_ERRORS)
    .map(([name]) => ({
      parameter: nameIn(jsonPointer([name])),
      message: 'This has no value; give one, or leave the parameter out.',
    }));
}

/** A validator for what is in the schema only to be documented. */
export function unchecked(value: unknown): Validated {
  return { value };
}

/** Answers in the same form as a body that breaks its schema. */
export function invalidFields(errors: FieldError[]): ProblemError {
  const listed = errors.slice(0, MAX_FIELD_ERRORS);
  const [first] = listed;
  const where = first?.pointer === '' ? 'The body' : first?.pointer;
  const detail =
    listed.length === 1 ? `${where}: ${first?.message}` : `${listed.length} things are wrong; errors names each.`;
  return new ProblemError('invalid_fields', { detail, errors: listed });
}

/** A field that is already reported is not reported twice. */
function merge(errors: FieldError[], others: FieldError[]): FieldError[] {
  const reported = new Set(errors.map(({ pointer }) => pointer));
  return [...errors, ...others.filter(({ pointer }) => !reported.has(pointer))];
}

function invalidParameters(
  issues: readonly z.core.$ZodIssue[],
  names: readonly string[],
  advice?: (name: string) => string | undefined,
): ProblemError {
  const errors = fieldErrorsOf(
    issues,
    () => names,
    (_, name) => advice?.(name) ?? others(names, name),
    'parameter',
  );
  return parameterProblem(errors.map(({ pointer, message }) => ({ parameter: nameIn(pointer), message })));
}

/** A query has so few that all can be named. */
function others(names: readonly string[], unknown: string): string {
  const meant = nearestName(unknown, names);
  return `${meant === undefined ? 'remove it.' : `did you mean ${quote(meant)}?`} Known here: ${names.join(', ')}.`;
}

/** Of `/status/1` the parameter is `status`. */
function nameIn(pointer: string): string {
  return pointer.split('/')[1] ?? '';
}

function parameterProblem(errors: ProblemItem[]): ProblemError {
  const names = errors.map((error) => ('parameter' in error ? error.parameter : '')).join(', ');
  return new ProblemError('invalid_parameter', { detail: `Query parameter ${names}: ${errors[0]?.message}`, errors });
}
