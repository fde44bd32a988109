/** An answer that took longer may be out of date: this process may have been asleep, and its lane another's. */
const FRESH_MILLISECONDS = 1_500;
/** By so much the last owner of a lane, if it lives, may still act on an answer from before it lost the lane. */
export const LATE_MILLISECONDS = FRESH_MILLISECONDS + 500;

/** Asks, and asks again what was answered too late to act on. Only of what may be asked twice. */
export async function freshly<T>(ask: () => Promise<T>, monotonic: () => number = () => performance.now()): Promise<T> {
  for (;;) {
    const askedAt = monotonic();
    const answer = await ask();
    if (monotonic() - askedAt < FRESH_MILLISECONDS) return answer;
  }
}
