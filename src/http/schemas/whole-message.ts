import type { FieldError } from '../../gateway/api.ts';
import { MAX_RECIPIENTS } from './address.ts';

export const MAX_LIFETIME_DAYS = 30;
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
    ...expiryErrors(given.expiresAt, now),
    ...hiddenNameErrors(given.headers, '/headers'),
    ...hiddenNameErrors(given.metadata, '/metadata'),
  ];
}

/** The same for a message in `raw`. */
export function rawMessageErrors(received: unknown, now: number): FieldError[] {
  const { expiresAt, metadata } = received as Record<string, unknown>;
  return [...expiryErrors(expiresAt, now), ...hiddenNameErrors(metadata, '/metadata')];
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

function expiryErrors(expiresAt: unknown, now: number): FieldError[] {
  const pointer = '/expiresAt';
  const time = typeof expiresAt === 'string' ? Date.parse(expiresAt) : Number.NaN;
  if (time <= now) return [{ pointer, message: 'This time has passed; give one in the future, or leave it out.' }];
  if (time <= now + MAX_LIFETIME_DAYS * DAY) return [];
  return Number.isNaN(time)
    ? []
    : [{ pointer, message: `This time is more than ${MAX_LIFETIME_DAYS} days ahead; give an earlier one.` }];
}

/** zod's records leave `__proto__` out without a word. */
function hiddenNameErrors(entries: unknown, pointer: string): FieldError[] {
  if (typeof entries !== 'object' || entries === null || !Object.hasOwn(entries, '__proto__')) return [];
  return [{ pointer: `${pointer}/__proto__`, message: 'The name "__proto__" is reserved; use another.' }];
}

function lengthOf(value: unknown): number {
  if (value === undefined) return 0;
  return Array.isArray(value) ? value.length : 1;
}
