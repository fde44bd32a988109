import { type Logger, pino, stdSerializers } from 'pino';
import pretty from 'pino-pretty';

/**
 * JSON lines on standard output, or readable ones on a terminal. Errors are told by what they say and by their code:
 * nothing else of them, since libraries hang requests, commands and credentials on theirs.
 */
export function createLogger(level: string, readable: boolean): Logger {
  const options = {
    level,
    base: { service: 'postroom' },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { error: tellError, err: tellError },
  };
  return readable ? pino(options, readableLines()) : pino(options);
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
