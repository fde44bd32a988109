import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino';
import pretty from 'pino-pretty';

/**
 * JSON lines on standard output, or readable ones on a terminal. Errors are told by what they say and by their code:
 * nothing else of them, since libraries hang requests, commands and credentials on theirs.
 *
 * @param destination a file's path or descriptor, for JSON lines
 */
export function createLogger(level: string, readable: boolean, destination: string | number = 1): Logger {
  const options = {
    level,
    base: { service: 'postroom' },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { error: tellError, err: tellError },
  };
  return readable ? pino(options, readableLines()) : pino(options, inOneWrite(destination));
}

const MOST_CHARACTERS = 4_096;

/**
 * The lines of one turn of the event loop in one write, since each costs as much as making the line. What a kill -9 can
 * take of them is what that very turn had to say.
 */
function inOneWrite(dest: string | number): DestinationStream {
  const destination = pino.destination({ dest, sync: true, minLength: MOST_CHARACTERS });
  const flush = () => destination.flushSync();
  process.once('exit', flush);
  let isDue = false;
  return {
    write(line) {
      destination.write(line);
      if (isDue) return;
      isDue = true;
      setImmediate(() => {
        isDue = false;
        flush();
      });
    },
  };
}

function tellError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const { type, message, stack, code } = stdSerializers.err(error) as Record<string, unknown>;
  return { type, message, ...(code !== undefined && { code }), stack };
}

/** One readable line each, for a person at a terminal. */
function readableLines() {
  const colorize = process.stdout.isTTY === true;
  return pretty({ colorize, ignore: 'pid,hostname,service', translateTime: 'HH:MM:ss', singleLine: true });
}
