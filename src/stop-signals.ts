/** The end of a command that runs until it is told to stop. */
export interface Ending {
  close(): Promise<void>;
  /** Everything that is closed has its own limit; this is for what has none. */
  withinSeconds: number;
  /** Told of every signal, and whether one came before. */
  onSignal?(signal: NodeJS.Signals, again: boolean): void;
}

export interface Stop {
  asked(): boolean;
  /** Said before anything is begun that wants an orderly end. Until then a signal simply ends the process. */
  leadsTo(ending: Ending): void;
  /** Stops without a signal, with exit code 1. */
  now(): void;
}

/**
 * Ends the process with 0 when SIGINT, SIGTERM or SIGHUP asks for it. To be called before anything slow: a signal that
 * nobody handles ends a process as if it had failed, and does not even reach process 1 of a container
 * (pid_namespaces(7)), which would start, and be killed when its grace is over. So this file imports nothing.
 */
export function stopOnSignals(): Stop {
  let asked = false;
  let ending: Ending | undefined;
  async function stop(exitCode: number): Promise<void> {
    if (asked) return;
    asked = true;
    if (ending) {
      setTimeout(() => process.exit(1), ending.withinSeconds * 1000).unref();
      await ending.close();
    }
    process.exit(exitCode);
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      ending?.onSignal?.(signal, asked);
      void stop(0);
    });
  return {
    asked: () => asked,
    leadsTo(named) {
      ending = named;
    },
    now: () => void stop(1),
  };
}
