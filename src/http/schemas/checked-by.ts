import type { z } from 'zod';

/** A refinement from one of the checks under `mail`, which say what is wrong in a sentence. */
export function checkedBy(check: (text: string) => string | undefined) {
  return (text: string, context: z.core.$RefinementCtx<string>): void => {
    const message = check(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  };
}
