/** What goes on for so long is told again. */
const AGAIN_MILLISECONDS = 30_000;
const MOST_REMEMBERED = 100;

/**
 * Tells of trouble when it begins, and only once in a while that it goes on. Each lane asks a Redis that refuses several
 * times a second, for as long as it refuses: a log of all that is what fills the disk next, and hides what else happens.
 */
export function nowAndThen(
  tell: (error: unknown) => void,
  monotonic: () => number = () => performance.now(),
): (error: unknown) => void {
  const told = new Map<string, number>();
  return (error) => {
    const what = error instanceof Error ? error.message : String(error);
    const now = monotonic();
    if (now - (told.get(what) ?? Number.NEGATIVE_INFINITY) < AGAIN_MILLISECONDS) return;
    if (told.size >= MOST_REMEMBERED) told.clear();
    told.set(what, now);
    tell(error);
  };
}
