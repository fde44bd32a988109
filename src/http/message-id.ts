/** Longer ones cannot be ours and are not looked up. */
const ID = /^[A-Za-z0-9_-]{1,64}$/;

export function isMessageId(id: string): boolean {
  return ID.test(id);
}
