/**
 * A fault at start that its message explains in one sentence to the person at the terminal: what is wrong,
 * where, and what to do. The command line prints that sentence alone, without a stack.
 */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}
