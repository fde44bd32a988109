import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/**
 * Ends, when the server closes, the connections over which nothing was ever asked. Node takes only those for idle that
 * have been used (Node 20, `server.closeIdleConnections`): a spare one of some client would hold up the end of the
 * process until its time to send a request is over.
 */
export function endSilentConnections(app: FastifyInstance): void {
  const silent = new Set<Socket>();
  const server = app.server as Server;
  server.on('connection', (socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  server.on('request', ({ socket }) => silent.delete(socket));
  app.addHook('preClose', async () => {
    for (const socket of silent) socket.destroy();
  });
}
