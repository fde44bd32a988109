const LOOK_MILLISECONDS = 1_000;
/** A lease is lost in less, and Redis's answers are overdue by then. */
const WORTH_TELLING_MILLISECONDS = 3_000;

/**
 * For whoever looks so often: how long, since the last look, this process stood still, so that nothing it did not hear is
 * taken for silence.
 *
 * @returns milliseconds; 0 where the look is about in time
 */
export function stoodStill(everyMilliseconds: number, monotonic: () => number): () => number {
  let looked = monotonic();
  return () => {
    const now = monotonic();
    const late = now - looked - everyMilliseconds;
    looked = now;
    return late > WORTH_TELLING_MILLISECONDS ? late : 0;
  };
}

/**
 * Tells the log that this process stood still: it was stopped (SIGSTOP, a debugger, a container that was frozen), its machine
 * had no time for it, or something in it took too long. What else it says then (Redis is silent, a lane has passed to
 * another process) has no other cause.
 *
 * @param monotonic milliseconds
 */
export function watchStandstill(
  log: { warn(fields: object, sentence: string): void },
  monotonic: () => number = () => performance.now(),
): { close(): void } {
  const stood = stoodStill(LOOK_MILLISECONDS, monotonic);
  const looking = setInterval(() => {
    const late = stood();
    if (late > 0) log.warn({ milliseconds: Math.round(late) }, 'This process stood still');
  }, LOOK_MILLISECONDS);
  looking.unref();
  return { close: () => clearInterval(looking) };
}
