/** What all messages of a batch have that do not say otherwise. */
export type SharedFields = Readonly<Record<string, unknown>>;

/** A message as it would be written out alone: its own fields stand instead of the shared ones, each as a whole. */
export function withShared(shared: SharedFields, item: unknown): unknown {
  return isObject(item) ? { ...shared, ...item } : item;
}

/** Where a pointer into a message that was written out leads in the body as it was sent. */
export function pointerInBatch(shared: SharedFields, item: unknown, index: number, pointer: string): string {
  const [, first = ''] = pointer.split('/');
  const isShared = Object.hasOwn(shared, first) && isObject(item) && !Object.hasOwn(item, first);
  return isShared ? `/shared${pointer}` : `/messages/${index}${pointer}`;
}

/** Length of all text in a value, about: what it is as JSON, without building that. */
export function lengthOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (!isObject(value)) return 1;
  return Object.entries(value).reduce((sum, [name, each]) => sum + name.length + lengthOf(each), 0);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
