/**
 * This process's own count of the sliding window, by its monotonic clock. The store's count is the one that holds over
 * processes and restarts, but it is kept by a wall clock: set forward, that would free every place at once.
 */
export interface LocalWindow {
  /** Milliseconds until a place is free; 0 if one is. */
  wait(): number;
  /** An attempt begins; call what it returns when its reply is in, and say if it was not made after all. */
  take(): (isMade?: boolean) => void;
  /** Takes every place for so long from now: nobody knows which are free. */
  fill(milliseconds: number): void;
}

/** @param perWindow attempts in any `windowMilliseconds`, counted from the reply to each */
export function localWindow(
  perWindow: number,
  windowMilliseconds: number,
  monotonic: () => number = () => performance.now(),
): LocalWindow {
  let running = 0;
  let freeAt: number[] = [];
  return {
    wait() {
      if (freeAt.length + running < perWindow) return 0;
      const now = monotonic();
      freeAt = freeAt.filter((at) => at > now);
      if (freeAt.length + running < perWindow) return 0;
      const [first] = freeAt;
      // Where every place is taken by a running attempt, the next reply decides; look again soon.
      return first === undefined ? Math.min(windowMilliseconds, 1_000) : Math.max(1, first - now);
    },
    take() {
      running += 1;
      return (isMade = true) => {
        running -= 1;
        if (isMade) freeAt.push(monotonic() + windowMilliseconds);
      };
    },
    fill(milliseconds) {
      freeAt = Array.from({ length: perWindow }, () => monotonic() + milliseconds);
    },
  };
}
