const LOOK_MILLISECONDS = 1_000;
/** A lease is lost in less, and Redis's answers are overdue by then. */
const WORTH_TELLING_MILLISECONDS = 3_000;

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
  let looked = monotonic();
  const looking = setInterval(() => {
    const late = monotonic() - looked - LOOK_MILLISECONDS;
    looked = monotonic();
    if (late > WORTH_TELLING_MILLISECONDS) log.warn({ milliseconds: Math.round(late) }, 'This process stood still');
  }, LOOK_MILLISECONDS);
  looking.unref();
  return { close: () => clearInterval(looking) };
}
