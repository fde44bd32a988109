import type { z } from 'zod';
import type { FieldError } from '../gateway/api.ts';
import { quote } from '../mail/characters.ts';
import { jsonPointer } from './json-pointer.ts';
import { nearestName } from './nearest-name.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];
/** The names that the object at a path may have. */
type FieldNames = (path: Path) => readonly string[];
/** What to do instead of giving the unknown field of this name at a path, as the second half of a sentence. */
type Advice = (path: Path, name: string) => string | undefined;

/** No answer lists more; the first ones are what a person corrects. */
export const MAX_FIELD_ERRORS = 50;

/** What zod found, one entry a field, with JSON pointers. Needs issues whose messages `sentence` has made. */
export function fieldErrorsOf(
  issues: readonly Issue[],
  fieldNames: FieldNames,
  advice: Advice = () => undefined,
  kind: 'field' | 'parameter' = 'field',
): FieldError[] {
  const errors: FieldError[] = [];
  for (const { path, issue } of issues.flatMap((each) => leavesOf(each, []))) {
    const room = MAX_FIELD_ERRORS - errors.length;
    if (room === 0) break;
    if (issue.code === 'unrecognized_keys')
      errors.push(...unknownFields(issue.keys.slice(0, room), path, fieldNames, advice, kind));
    else errors.push({ pointer: jsonPointer(path), message: issue.message });
  }
  return errors;
}

interface Leaf {
  path: Path;
  issue: Issue;
}

/** Of a union's branches, the one that the caller meant: where the value at least has the right type. */
function leavesOf(issue: Issue, base: Path): Leaf[] {
  const path = [...base, ...issue.path];
  if (issue.code === 'invalid_key') return issue.issues.slice(0, 1).map((inner) => ({ path, issue: inner as Issue }));
  if (issue.code !== 'invalid_union') return [{ path, issue }];
  const meant = issue.errors.find((branch) => branch.length > 0 && !hasOtherType(branch));
  return meant ? meant.flatMap((inner) => leavesOf(inner, path)) : [{ path, issue }];
}

function hasOtherType(branch: readonly Issue[]): boolean {
  return branch.some(
    (issue) =>
      issue.path.length === 0 &&
      (issue.code === 'invalid_type' || (issue.code === 'invalid_union' && issue.errors.every(hasOtherType))),
  );
}

function unknownFields(
  keys: readonly string[],
  path: Path,
  fieldNames: FieldNames,
  advice: Advice,
  kind: string,
): FieldError[] {
  return keys.map((key) => {
    const instead = advice(path, key) ?? nearest(key, fieldNames(path)) ?? 'remove it.';
    return { pointer: jsonPointer([...path, key]), message: `There is no ${kind} ${quote(key)}; ${instead}` };
  });
}

function nearest(name: string, known: readonly string[]): string | undefined {
  const meant = nearestName(name, known);
  return meant && `did you mean ${quote(meant)}?`;
}

/** zod's error map: a sentence for the caller where the schema has none of its own. */
export function sentence(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined) return 'This field is required.';
  switch (issue.code) {
    case 'invalid_type':
      return `This must be ${withArticle(issue.expected)}.`;
    case 'invalid_union':
      return 'This has the wrong type; see the API document for the forms it may have.';
    case 'invalid_value':
      return `This must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}.`;
    case 'too_big':
      return `This has more than ${issue.maximum} ${unitOf(issue.origin)}; shorten it.`;
    default:
      return undefined;
  }
}

function withArticle(type: string): string {
  if (type === 'record') return 'an object';
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

function unitOf(origin: string): string {
  return origin === 'string' ? 'characters' : 'entries';
}
