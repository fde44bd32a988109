import type { z } from 'zod';

/** For a schema's `error`: says what a value of another type should look like. That it is missing is said elsewhere. */
export function wrongType(sentence: string) {
  return ({ code, input }: z.core.$ZodRawIssue): string | undefined =>
    input !== undefined && (code === 'invalid_type' || code === 'invalid_union') ? sentence : undefined;
}
