/** For `meta({ override })`: `format: date-time` says it already, and zod's pattern for it fills the page. */
export function withoutPattern({ jsonSchema }: { jsonSchema: { pattern?: unknown } }): void {
  delete jsonSchema.pattern;
}
