import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/**
 * Ends, when the server closes, the connections that Node leaves open and that would hold up the end of the process
 * until their time is over: those over which nothing was ever asked, and those whose last answer ends while the server
 * closes, such as a stream. Node ends only what is idle after use at that very moment (Node 20,
 * `server.closeIdleConnections`).
 */
export function endSilentConnections(app: FastifyInstance): void {
  /** How many answers each connection still owes. */
  const owed = new Map<Socket, number>();
  const unused = new Set<Socket>();
  let closing = false;
  const server = app.server as Server;
  server.on('connection', (socket) => {
    unused.add(socket);
    socket.once('close', () => {
      unused.delete(socket);
      owed.delete(socket);
    });
  });
  server.on('request', ({ socket }, response) => {
    unused.delete(socket);
    owed.set(socket, (owed.get(socket) ?? 0) + 1);
    response.on('close', () => {
      const left = (owed.get(socket) ?? 1) - 1;
      if (left > 0) owed.set(socket, left);
      else owed.delete(socket);
      if (closing && left === 0) socket.destroySoon();
    });
  });
  app.addHook('preClose', async () => {
    closing = true;
    for (const socket of unused) socket.destroy();
  });
}
