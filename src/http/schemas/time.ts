import { z } from 'zod';

/** How long a message may be tried, and how far ahead it may be scheduled. */
export const MAX_LIFETIME_DAYS = 30;
export const MAX_DAYS_AHEAD = 30;
const DAY = 86_400_000;

/** RFC 3339 §5.6, less its lower-case `t` and `z`, which few programs read. */
export const givenTime = z.iso.datetime({
  offset: true,
  precision: null,
  error: ({ input }) =>
    input === undefined
      ? undefined
      : 'This must be a time with seconds and an offset, as in 2026-01-31T09:30:00Z (RFC 3339).',
});

/**
 * What is wrong with a time to send at, if anything.
 *
 * @param time milliseconds since the epoch; NaN for what is no time
 */
export function tooFarAhead(time: number, now: number): string | undefined {
  if (!(time > now + MAX_DAYS_AHEAD * DAY)) return undefined;
  return `This time is more than ${MAX_DAYS_AHEAD} days ahead; give an earlier one.`;
}

/** For `meta({ override })`: `format: date-time` says it already, and zod's pattern for it fills the page. */
export function withoutPattern({ jsonSchema }: { jsonSchema: { pattern?: unknown } }): void {
  delete jsonSchema.pattern;
}
