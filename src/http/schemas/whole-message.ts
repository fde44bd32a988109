import type { FieldError } from '../../gateway/api.ts';
import { MAX_RECIPIENTS } from './address.ts';
import { markErrors } from './marks.ts';
import { MAX_LIFETIME_DAYS, tooFarAhead } from './time.ts';

const DAY = 86_400_000;

/**
 * What no single field can say, or not without a clock. Looks at the body as received, so that it is told together
 * with what is wrong in the fields.
 *
 * @param now milliseconds since the epoch
 */
export function wholeMessageErrors(received: unknown, now: number): FieldError[] {
  if (typeof received !== 'object' || received === null || Array.isArray(received)) return [];
  const given = received as Record<string, unknown>;
  return [
    ...recipientErrors(lengthOf(given.to) + lengthOf(given.cc) + lengthOf(given.bcc)),
    ...(hasContent(given)
      ? []
      : [{ pointer: '/text', message: 'Give at least one of text, html, attachments and calendar.' }]),
    ...timeErrors(given, now),
    ...markErrors(given),
    ...hiddenNameErrors(given.headers, '/headers'),
    ...hiddenNameErrors(given.metadata, '/metadata'),
  ];
}

/** The same for a message in `raw`. */
export function rawMessageErrors(received: unknown, now: number): FieldError[] {
  const given = received as Record<string, unknown>;
  return [...timeErrors(given, now), ...hiddenNameErrors(given.metadata, '/metadata')];
}

function recipientErrors(recipients: number): FieldError[] {
  if (recipients === 0) return [{ pointer: '/to', message: 'Give at least one recipient in to, cc or bcc.' }];
  if (recipients <= MAX_RECIPIENTS) return [];
  const message = `to, cc and bcc have ${recipients} addresses together, at most ${MAX_RECIPIENTS} are allowed; send several messages.`;
  return [{ pointer: '/to', message }];
}

function hasContent(given: Record<string, unknown>): boolean {
  const { text, html, calendar, attachments } = given;
  return text !== undefined || html !== undefined || calendar !== undefined || lengthOf(attachments) > 0;
}

function timeErrors({ sendAt, expiresAt, expiresInSeconds }: Record<string, unknown>, now: number): FieldError[] {
  const time = timeOf(sendAt);
  const unfitStart = tooFarAhead(time, now);
  const start = Number.isNaN(time) ? now : Math.max(time, now);
  const unfitEnd = unfitExpiry(timeOf(expiresAt), start, now);
  const both = expiresAt !== undefined && expiresInSeconds !== undefined;
  return [
    ...(unfitStart ? [{ pointer: '/sendAt', message: unfitStart }] : []),
    ...(unfitEnd ? [{ pointer: '/expiresAt', message: unfitEnd }] : []),
    ...(both ? [{ pointer: '/expiresInSeconds', message: 'Give either expiresAt or expiresInSeconds.' }] : []),
  ];
}

/** Milliseconds since the epoch; NaN for what is no time, which its own field complains about. */
function timeOf(given: unknown): number {
  return typeof given === 'string' ? Date.parse(given) : Number.NaN;
}

function unfitExpiry(time: number, start: number, now: number): string | undefined {
  if (time <= now) return 'This time has passed; give one in the future, or leave it out.';
  if (time <= start) return 'The message would expire before its sendAt; give a time after that.';
  if (!(time > start + MAX_LIFETIME_DAYS * DAY)) return undefined;
  const what = start > now ? 'after sendAt' : 'ahead';
  return `This time is more than ${MAX_LIFETIME_DAYS} days ${what}; give an earlier one.`;
}

/** zod's records leave `__proto__` out without a word. */
export function hiddenNameErrors(entries: unknown, pointer: string): FieldError[] {
  if (typeof entries !== 'object' || entries === null || !Object.hasOwn(entries, '__proto__')) return [];
  return [{ pointer: `${pointer}/__proto__`, message: 'The name "__proto__" is reserved; use another.' }];
}

function lengthOf(value: unknown): number {
  if (value === undefined) return 0;
  return Array.isArray(value) ? value.length : 1;
}
