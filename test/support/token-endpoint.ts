import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TokenEndpoint {
  authority: string;
  /** The bodies of all requests so far. */
  bodies: string[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** Stands where a token endpoint should be, and answers anything. */
export async function startTokenEndpoint(
  answer: (response: ServerResponse, body: string) => void,
): Promise<TokenEndpoint> {
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    bodies.push(body);
    answer(response, body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    authority: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
