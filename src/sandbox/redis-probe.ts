import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What came of one question: an answer, nothing listening there, or a listener that said nothing in time. */
export type Answer = { kind: 'reply'; text: string } | { kind: 'gone' } | { kind: 'silent' };

const nobodyListens = new Set(['ECONNREFUSED', 'ENOENT', 'ENOTSOCK']);

/**
 * Asks the Redis at a unix socket one inline command and hands back its reply as it came over the wire.
 * No client library is needed to find out whether a server is there; it never rejects.
 */
export function askRedis(socketPath: string, command: string, withinMs = 1000): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    let text = '';
    const finish = (answer: Answer) => {
      resolve(answer);
      socket.destroy();
    };
    socket.setEncoding('latin1');
    socket.setTimeout(withinMs, () => finish({ kind: 'silent' }));
    socket.on('connect', () => socket.write(`${command}\r\n`));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      finish({ kind: nobodyListens.has(error.code ?? '') ? 'gone' : 'silent' }),
    );
    socket.on('close', () => finish({ kind: 'silent' }));
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (isWhole(text)) finish({ kind: 'reply', text });
    });
  });
}

/** RESP: a simple reply ends with its line, a bulk reply (`$12\r\n…`) says its length first. */
function isWhole(text: string): boolean {
  const lineEnd = text.indexOf('\r\n');
  if (lineEnd < 0) return false;
  if (!text.startsWith('$')) return true;
  return text.length >= lineEnd + 2 + Number(text.slice(1, lineEnd)) + 2;
}

/**
 * Ends the server that a former process left at this socket, and waits until it is gone; `false` when it still
 * answers after `withinMs`. A server stops listening only after its last write to disk, so that a socket nobody
 * listens on means files nobody writes to.
 */
export async function retireLeftover(socketPath: string, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline) {
    const answer = await askRedis(socketPath, 'SHUTDOWN NOSAVE');
    if (answer.kind === 'gone') return true;
    await sleep(50);
  }
  return false;
}
