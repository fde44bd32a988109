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

/** What is written at once without waiting for the turn's end. */
const MOST_CHARACTERS = 8_192;

/**
 * The lines of one turn of the event loop in one write, since each costs as much as making the line. What a kill -9 can
 * take of them is what that very turn had to say.
 */
function inOneWrite(dest: string | number): DestinationStream {
  const destination = pino.destination({ dest, sync: true });
  let lines = '';
  function flush(): void {
    const due = lines;
    lines = '';
    if (due) destination.write(due);
  }
  process.once('exit', flush);
  return {
    write(line) {
      if (lines === '') setImmediate(flush);
      lines += line;
      if (lines.length > MOST_CHARACTERS) flush();
    },
  };
}

function tellError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const { type, message, stack, code } = stdSerializers.err(error) as Record<string, unknown>;
  // What Redis answers has been read by the driver, and nowhere else.
  return { type, message, ...(code !== undefined && { code }), ...(!isReply(type) && { stack }) };
}

function isReply(type: unknown): boolean {
  return type === 'SimpleError' || type === 'ReplyError';
}

/** One readable line each, for a person at a terminal. */
function readableLines() {
  const colorize = process.stdout.isTTY === true;
  return pretty({ colorize, ignore: 'pid,hostname,service', translateTime: 'HH:MM:ss', singleLine: true });
}
