import type { Socket } from 'node:net';

/** One whole reply, its lines joined with `\n`; or what became of the connection instead. */
export type ReadReply = { text: string } | { lost: 'timeout' | 'closed' | Error };

export interface ReplyReader {
  /** The next reply, waiting at most so many milliseconds. */
  next(wait: number): Promise<ReadReply>;
  /** Leaves the socket to somebody else; what has arrived since the last reply is dropped (RFC 3207 §5). */
  stop(): void;
}

/** Untrusted: no reply needs more, and a server that never ends its line must not fill our memory. */
export const MAX_REPLY_CHARACTERS = 64 * 1024;

/** Reads replies off a socket (RFC 5321 §4.2.1): `250-` goes on, `250 ` ends. Anything else is a reply of one line. */
export function readReplies(socket: Socket): ReplyReader {
  let received = '';
  let lost: ReadReply | undefined;
  let wake: () => void = () => undefined;
  const onData = (chunk: Buffer) => {
    received += chunk.toString('utf8');
    wake();
  };
  const lose = (how: 'closed' | Error) => {
    lost ??= { lost: how };
    wake();
  };
  const onError = (error: Error) => lose(error);
  const onEnd = () => lose('closed');
  socket.on('data', onData).on('error', onError).on('end', onEnd).on('close', onEnd);

  function take(): ReadReply | undefined {
    const end = endOfReply(received);
    if (end === undefined) return received.length > MAX_REPLY_CHARACTERS ? flooded() : undefined;
    const text = received.slice(0, end).trimEnd().replaceAll('\r\n', '\n');
    received = received.slice(end);
    return { text };
  }

  function flooded(): ReadReply {
    received = '';
    socket.destroy();
    return { lost: new Error(`Invalid response: more than ${MAX_REPLY_CHARACTERS} characters without an end`) };
  }

  return {
    async next(wait) {
      const deadline = performance.now() + wait;
      for (;;) {
        const found = take() ?? lost;
        if (found) return found;
        const left = deadline - performance.now();
        if (left <= 0) return { lost: 'timeout' };
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    },
    stop() {
      socket.off('data', onData).off('error', onError).off('end', onEnd).off('close', onEnd);
      // Somebody must hear the errors of a socket that is being closed.
      socket.on('error', () => undefined);
    },
  };
}

/** Where the first whole reply ends; undefined while there is none. */
export function endOfReply(received: string): number | undefined {
  let at = 0;
  for (;;) {
    const lineEnd = received.indexOf('\n', at);
    if (lineEnd < 0) return undefined;
    if (!/^\d{3}-/.test(received.slice(at, at + 4))) return lineEnd + 1;
    at = lineEnd + 1;
  }
}
