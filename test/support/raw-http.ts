import { connect, type Socket } from 'node:net';

/** Sends bytes as they are, and gathers what comes back until the server closes. */
export async function exchange(port: number, bytes: string | Buffer, whenOpen?: (socket: Socket) => void) {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
    socket.on('error', () => undefined);
  });
  socket.write(bytes);
  whenOpen?.(socket);
  await closed;
  return Buffer.concat(chunks).toString('latin1');
}

/** Asks the condition again and again until it holds. */
export async function until(condition: () => boolean, milliseconds = 10_000): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('It did not become so in time.');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
