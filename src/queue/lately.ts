/** What was remembered lately. */
export interface Lately<Value> {
  remember(key: string, value: Value): void;
  recall(key: string): Value | undefined;
}

/** @param most the oldest are forgotten first where there would be more */
export function lately<Value>(
  milliseconds: number,
  most: number,
  monotonic: () => number = () => performance.now(),
): Lately<Value> {
  const remembered = new Map<string, { value: Value; until: number }>();
  return {
    remember(key, value) {
      const now = monotonic();
      remembered.delete(key);
      remembered.set(key, { value, until: now + milliseconds });
      // In the order in which they were remembered, which is that in which they end.
      for (const [oldest, { until }] of remembered) {
        if (until > now && remembered.size <= most) break;
        remembered.delete(oldest);
      }
    },
    recall: (key) => remembered.get(key)?.value,
  };
}
